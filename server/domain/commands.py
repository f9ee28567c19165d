"""What has to be done next for a run, in the imperative.

Derived from its stored state alone, so a restart finds the same commands again; every one is safe to repeat, since
the platform is called with the attempt id as idempotency key.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.domain.run import Run, TaskKey
from server.domain.states import BOUND, Binding, RunState, TaskState


@dataclass(frozen=True, slots=True)
class BindTask:
    """Hand a placed attempt to the platform."""

    run_id: str
    key: TaskKey
    attempt: int


@dataclass(frozen=True, slots=True)
class SubmitRun:
    """Hand a whole placed run to a platform that drives its own graph."""

    run_id: str


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Stop an attempt."""

    run_id: str
    key: TaskKey
    attempt: int


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Stop a whole run on a platform that drives its own graph."""

    run_id: str


Command = BindTask | SubmitRun | CancelTask | CancelRun


def outstanding(run: Run) -> tuple[Command, ...]:
    """Everything that still has to be told to the platform about this run."""
    if run.state.is_end:
        return ()
    if run.options.binding is Binding.AT_SUBMISSION:
        if run.state is RunState.CANCELLING:
            return (CancelRun(run.id),) if run.dispatched_at else ()
        waits = run.state is RunState.DISPATCHED and run.platform_run_id is None
        return (SubmitRun(run.id),) if waits else ()
    if run.cancel_requested_at is not None and run.state is RunState.CANCELLING:
        return tuple(CancelTask(run.id, key, attempt.number) for key, attempt in run.attempts_in(*BOUND))
    return tuple(BindTask(run.id, key, attempt.number) for key, attempt in run.attempts_in(TaskState.PLACED))
