"""The only place where a run changes: an event goes in; a new run, the derived events and commands come out.

Pure. A pair of state and event that the tables do not allow raises `IllegalTransitionError` with the run's story; what
arrives after an end, or for an attempt that is over, is counted as late and changes nothing. `transitions` says what
each event does; here the run's own state follows its tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from server.domain import events as happened
from server.domain.commands import Command, outstanding
from server.domain.errors import IllegalTransitionError
from server.domain.events import Event
from server.domain.graph import Graph
from server.domain.progress import advance, is_over
from server.domain.resolve import first_error
from server.domain.run import Attempt, Output, Run, RunOptions, TaskKey, TaskRun
from server.domain.states import Binding, RunState, TaskState
from server.domain.transitions import HANDLERS, Result, move_run, put, story
from server.domain.unrolling import unrolled


@dataclass(frozen=True, slots=True)
class Change:
    """What an event led to. `events` begins with the cause; empty when the event came too late to matter."""

    run: Run
    events: tuple[Event, ...]
    commands: tuple[Command, ...]

    @property
    def is_late(self) -> bool:
        """Whether the event changed nothing because its run or attempt was already over."""
        return not self.events


def start_run(
    run_id: str,
    graph: Graph,
    *,
    parameters: Mapping[str, Any],
    options: RunOptions,
    at: datetime,
    retry_of: str | None = None,
    reuse: Mapping[TaskKey, Mapping[str, Output]] | None = None,
    iterated: Collection[str] = (),
) -> Change:
    """Accept a run. `reuse` holds outputs of an earlier run's tasks that need not run again.

    `iterated`: tasks in loops whose iterations the platform can place one by one before the run begins.
    """
    run = Run(id=run_id, graph=graph, parameters=dict(parameters), options=options, submitted_at=at, retry_of=retry_of)
    cause = happened.RunSubmitted(at=at, name=run.name, retry_of=retry_of)
    if options.binding is Binding.AT_SUBMISSION:
        static = {TaskKey(path): TaskRun(TaskKey(path)) for path in graph.order if not graph.loops[path]}
        run, expanded = unrolled(replace(run, tasks=static, version=1), iterated, at)
        return Change(run, (cause, *expanded), ())
    run, derived = advance(run, at)
    change = _finish(run, [cause, *derived], at)
    for key, outputs in (reuse or {}).items():
        task = change.run.tasks.get(key)
        if task is None or task.state is not TaskState.READY:
            continue
        reused = happened.TaskSucceeded(
            at=at, key=key, attempt=task.current.number, outputs=outputs, from_cache=True, reused_from=retry_of
        )
        following = apply(change.run, reused)
        change = Change(following.run, (*change.events, *following.events), following.commands)
    return replace(change, run=replace(change.run, version=1))


def apply(run: Run, event: Event) -> Change:
    """Give an event its meaning.

    Raises:
        IllegalTransitionError: the tables do not allow it; the message tells the run's story.
        ConflictError: a request (to cancel) that makes no sense in the present state.
    """
    handler = HANDLERS.get(type(event))
    if handler is None:
        raise IllegalTransitionError(f"nothing may tell a run {event.kind!r}")
    if run.state.is_end and not isinstance(event, happened.CancelRequested):
        return _late(run)
    changed = handler(run, event)
    if changed is None:
        return _late(run)
    after, derived = changed
    change = _finish(after, [event, *derived], event.at)
    return replace(change, run=replace(change.run, version=run.version + 1))


def _late(run: Run) -> Change:
    return Change(replace(run, late_events=run.late_events + 1), (), ())


def _finish(run: Run, events: list[Event], at: datetime) -> Change:
    """Let the run's own state follow its tasks, and name what is to be done."""
    if not run.state.is_end:
        for step in (_follow_tasks, _follow_end):
            run, derived = step(run, at)
            events.extend(derived)
    return Change(run, tuple(events), outstanding(run))


def _follow_tasks(run: Run, at: datetime) -> Result:
    if run.state is RunState.WAITING and run.dispatched_at is not None:
        run, first = move_run(run, RunState.DISPATCHED, at)
        run, second = _follow_tasks(run, at)
        return run, [*first, *second]
    if run.state is RunState.DISPATCHED and run.started_at is not None:
        return move_run(run, RunState.RUNNING, at)
    return run, []


def _follow_end(run: Run, at: datetime) -> Result:
    """Start the exit task once all others ended, and end the run after it."""
    if run.options.binding is Binding.AT_SUBMISSION:
        is_never_sent = run.state is RunState.CANCELLING and run.dispatched_at is None
        return move_run(run, RunState.CANCELLED, at) if is_never_sent else (run, [])
    is_cancelled = run.state is RunState.CANCELLING
    exit_path = run.graph.spec.exit_task
    others_done = all(task.state.is_end for key, task in run.tasks.items() if key.path != exit_path)
    if not others_done or not (is_cancelled or run.state is RunState.FINISHING or is_over(run)):
        return run, []
    if exit_path is not None:
        key = TaskKey(exit_path)
        task = run.tasks.get(key)
        if task is None:
            run = put(run, TaskRun(key, (Attempt(1, TaskState.READY, ready_at=at),)))
            run, moved = move_run(run, RunState.FINISHING, at)
            return run, [happened.TaskBecameReady(at=at, key=key, attempt=1), *moved]
        if not task.state.is_end:
            return run, []
    return move_run(run, *_verdict(run, at))


def _verdict(run: Run, at: datetime) -> tuple[RunState, datetime, str]:
    has_failed = bool(run.problems) or any(task.state is TaskState.FAILED for task in run.tasks.values())
    if run.cancel_requested_at is not None:
        return RunState.CANCELLED, at, run.cancel_reason
    return (RunState.FAILED, at, first_error(run)) if has_failed else (RunState.SUCCEEDED, at, "")


__all__ = ["Change", "apply", "start_run", "story"]
