"""Warns when a task asks for much more memory than its runs use, or for less than they are likely to need."""

from __future__ import annotations

from collections.abc import Iterator

from server.components.explaining.verdicts import amount_text
from server.domain.placement import Estimate, Estimates, TaskOption, WaitingTask

MIB = 2**20
TOO_MUCH, LEAST_WASTE_BYTES = 2.0, 256 * MIB
"""How many times what nine runs of ten stay below a request must be, and by how many bytes more, to be too large."""

SURE = 1.5
"""Where what nine runs of ten stay below is at most so many times the usual peak, enough is known to warn by it."""

HEADROOM, STEP_BYTES = 1.1, 64 * MIB
"""What is proposed beside the figure that nine runs of ten stay below, and what it is rounded up to."""


def memory_warnings(task: WaitingTask, estimates: Estimates, option: str | None = None) -> tuple[str, ...]:
    """A sentence for each option of a task (or for one of them) whose memory request does not fit what is known."""
    chosen = [one for one in task.options if option is None or one.name == option]
    return tuple(said for one in chosen for said in _said(task, one, estimates, is_named=len(task.options) > 1))


def _said(task: WaitingTask, option: TaskOption, estimates: Estimates, *, is_named: bool) -> Iterator[str]:
    row = estimates.profile_of.get((task.run_id, task.key, option.name))
    asked = option.requests.memory_bytes
    if row is None or not asked or not estimates.table[row]:
        return
    known = estimates.table[row][0]
    usual, high = known.peak_memory_bytes, known.peak_memory_p90_bytes
    if usual is None or high is None:
        return
    name = f"{task.key} with option {option.name}" if is_named else str(task.key)
    if asked < usual or (asked < high <= SURE * usual):
        yield (
            f"{name} asks for {amount_text('memory', asked)} of memory and may run out of it: {_peaks(known)};"
            f" ask for {amount_text('memory', proposed(high))}"
        )
    elif asked > TOO_MUCH * high and asked - high > LEAST_WASTE_BYTES:
        yield (
            f"{name} asks for {amount_text('memory', asked)} of memory and keeps others from it: {_peaks(known)};"
            f" {amount_text('memory', proposed(high))} would do"
        )


def proposed(high_bytes: float) -> int:
    """What to ask for, given what nine runs of ten stay below."""
    return -(-round(high_bytes * HEADROOM) // STEP_BYTES) * STEP_BYTES


def _peaks(known: Estimate) -> str:
    usual, high = round(known.peak_memory_bytes or 0), round(known.peak_memory_p90_bytes or 0)
    return f"its runs usually use {amount_text('memory', usual)}, nine of ten below {amount_text('memory', high)}"


__all__ = ["memory_warnings", "proposed"]
