"""Traces of runs: a span for the run, one for each attempt, and within it queue, decide, submit and run.

Ids follow from the run's id (its random part makes them unique), so that a task can be given its `TRACEPARENT` before
its span is told, and a server that was restarted goes on with the same trace. Spans are told when they are over.
A run that was submitted with a `traceparent` header belongs to that trace.
The header is that of W3C Trace Context, level 1.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.components.decision_unit import Outcome
from server.domain.lifecycle import Change
from server.domain.placement import PlacementRequest
from server.domain.run import Attempt, Run, TaskKey
from server.domain.states import RunState, TaskState
from server.domain.trace import read_trace_parent, trace_header

MOST_DECISIONS = 20_000
ENDS = ("task-succeeded", "task-failed", "task-cancelled", "task-lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span. `trace_id` has 16 bytes, `span_id` and `parent_id` 8; no parent is a root."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    name: str
    started_at: datetime
    ended_at: datetime
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    error: str | None = None


def trace_id(run: Run) -> bytes:
    """The trace of a run: that of whoever submitted it, else its own."""
    parent = read_trace_parent(run.options.trace_parent)
    return parent.trace_id if parent else hashlib.sha256(f"mlopx run {run.id}".encode()).digest()[:16]


def span_id(run_id: str, *parts: object) -> bytes:
    """A span within it."""
    return hashlib.sha256("\0".join(("mlopx span", run_id, *map(str, parts))).encode()).digest()[:8]


def environment(run: Run, key: TaskKey | None, attempt: int = 1) -> dict[str, str]:
    """What an attempt is told, so that its own spans join the trace of its run; without a task, below the whole run."""
    parent = span_id(run.id) if key is None else span_id(run.id, key, attempt, "run")
    return {"TRACEPARENT": trace_header(trace_id(run), parent, is_sampled=_is_sampled(run))}


def passed_on(run: Run, key: TaskKey | None, attempt: int = 1) -> dict[str, str]:
    """The same where no spans of ours are told: the header of whoever submitted the run, if there was one."""
    return {"TRACEPARENT": run.options.trace_parent} if run.options.trace_parent else {}


class Tracing:
    """Turns changes and decisions into spans, and hands each over when it is over."""

    def __init__(self, tell: Callable[[Span], None]) -> None:
        self._tell = tell
        self._decisions: OrderedDict[str, tuple[datetime, float, str, int]] = OrderedDict()

    def decided(self, request: PlacementRequest, outcome: Outcome) -> None:
        """Remember when decisions were made and how long they took."""
        for decision in outcome.decisions:
            if decision.node is not None:
                self._decisions[decision.id] = (request.now, outcome.seconds, decision.strategy, decision.cycle)
        while len(self._decisions) > MOST_DECISIONS:
            self._decisions.popitem(last=False)

    def notice(self, change: Change) -> None:
        """Tell the spans that are over with this change."""
        run = change.run
        if not _is_sampled(run):
            return
        for event in change.events:
            key, number = getattr(event, "key", None), getattr(event, "attempt", None)
            task = run.tasks.get(key) if isinstance(key, TaskKey) and event.kind in ENDS else None
            attempt = next((one for one in task.attempts if one.number == number), None) if task else None
            if task is not None and attempt is not None:
                self._attempt(run, task.key, attempt)
        if run.state.is_end and change.events:
            self._run(run)

    def _run(self, run: Run) -> None:
        ended_at = run.finished_at or run.submitted_at
        caller = read_trace_parent(run.options.trace_parent)
        self._span(
            run,
            (),
            None,
            f"run {run.name}",
            (run.submitted_at, ended_at),
            {"mlopx.run.state": run.state.value, "mlopx.project": run.options.project},
            error=f"run {run.state.value}" if run.state is RunState.FAILED else None,
            outside=caller.span_id if caller else None,
        )

    def _attempt(self, run: Run, key: TaskKey, attempt: Attempt) -> None:
        if attempt.finished_at is None:
            return
        began_at = attempt.ready_at or attempt.placed_at or attempt.started_at or attempt.finished_at
        identity = (key, attempt.number)
        facts: dict[str, str | int | float] = {"mlopx.task": str(key), "mlopx.attempt": attempt.number}
        if (node := attempt.actual_node or attempt.node) is not None:
            facts["mlopx.node"] = node
        failure = attempt.error.message if attempt.error is not None else None
        if failure is None and attempt.state in (TaskState.FAILED, TaskState.LOST):
            failure = attempt.state.value
        times = (began_at, attempt.finished_at)
        self._span(run, identity, (), f"task {key}", times, {**facts, "mlopx.state": attempt.state.value}, failure)
        handed_over_at = min((at for at in (attempt.queued_at, attempt.started_at) if at is not None), default=None)
        for name, start, end in (
            ("queue", began_at, attempt.placed_at),
            ("submit", attempt.placed_at, handed_over_at),
            ("start", handed_over_at, attempt.started_at),
            ("run", attempt.started_at, attempt.finished_at),
        ):
            if start is not None and end is not None and start <= end:
                error = failure if name == "run" else None
                self._span(run, (*identity, name), identity, name, (start, end), facts, error)
        self._decide(run, identity, attempt, facts)

    def _decide(
        self, run: Run, identity: tuple[object, ...], attempt: Attempt, facts: Mapping[str, str | int | float]
    ) -> None:
        if attempt.decision_id is None or (found := self._decisions.pop(attempt.decision_id, None)) is None:
            return
        at, seconds, strategy, cycle = found
        more: dict[str, str | int | float] = {
            "mlopx.decision.id": attempt.decision_id,
            "mlopx.strategy": strategy,
            "mlopx.cycle": cycle,
        }
        times = (at, at + timedelta(seconds=seconds))
        self._span(run, (*identity, "decide"), identity, "decide", times, {**facts, **more})

    def _span(
        self,
        run: Run,
        identity: tuple[object, ...],
        parent: tuple[object, ...] | None,
        name: str,
        times: tuple[datetime, datetime],
        attributes: Mapping[str, str | int | float],
        error: str | None = None,
        outside: bytes | None = None,
    ) -> None:
        """`outside` is a span of somebody else that this one belongs under."""
        self._tell(
            Span(
                trace_id=trace_id(run),
                span_id=span_id(run.id, *identity),
                parent_id=outside if parent is None else span_id(run.id, *parent),
                name=name,
                started_at=times[0],
                ended_at=times[1],
                attributes={"mlopx.run.id": run.id, **attributes},
                error=error,
            )
        )


def _is_sampled(run: Run) -> bool:
    """Whether whoever submitted the run wants its trace told; where nobody said, it is."""
    parent = read_trace_parent(run.options.trace_parent)
    return parent is None or parent.is_sampled


__all__ = ["Span", "Tracing", "environment", "passed_on", "span_id", "trace_id"]
