"""What each event does to a run: one small function per event, by the tables of `states`.

Each returns the changed run with the derived events, or None for an event that came too late to matter.
`lifecycle.apply` is the only caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from server.domain import events as happened
from server.domain.errors import ConflictError, IllegalTransitionError
from server.domain.events import Event, TaskEvent
from server.domain.progress import advance
from server.domain.resolve import first_error
from server.domain.run import Attempt, Offer, Run, TaskError, TaskKey, TaskRun
from server.domain.states import RUN_TABLE, TASK_TABLE, Binding, RunState, TaskState

Result = tuple[Run, list[Event]]
"""A changed run and the derived events."""

_MAY_BE_HELD = frozenset({TaskState.PENDING, TaskState.READY, TaskState.QUEUED})
"""States in which something can be said of why a task waits: here, or in the platform's own queue."""

WHOLE_SECOND = timedelta(seconds=1)
"""How much later than a platform's end something may be that came before it."""

MAX_LOSSES = 10
"""A task lost this often fails: something about it, or about every node, takes the nodes down."""


def _current(run: Run, event: TaskEvent) -> TaskRun | None:
    """The task an event is about, or None when it speaks of an attempt that is over."""
    task = run.tasks.get(event.key)
    if task is None:
        task = _dynamic(run, event.key)
    if event.attempt != task.current.number or task.state.is_end:
        return None
    return task


def _dynamic(run: Run, key: TaskKey) -> TaskRun:
    """A loop iteration that only the platform knew of, where the platform drives the graph."""
    loops = run.graph.loops.get(key.path)
    if run.options.binding is not Binding.AT_SUBMISSION or loops is None or len(loops) != len(key.iteration):
        raise IllegalTransitionError(f"run {run.id} has no task {key}\n{story(run)}")
    planned = run.tasks.get(TaskKey(key.path))
    attempt = Attempt(1, node=planned.current.node, option=planned.current.option) if planned else Attempt(1)
    return TaskRun(key, (attempt,))


def _move(run: Run, task: TaskRun, state: TaskState, **changes: Any) -> tuple[Run, TaskRun]:
    """Move a task's current attempt to `state`, if the table allows it."""
    if state not in TASK_TABLE[task.state]:
        raise IllegalTransitionError(
            f"task {task.key} of run {run.id} is {task.state}: it cannot become {state}\n{story(run)}"
        )
    attempt = replace(task.current, state=state, **changes)
    moved = replace(task, attempts=(*task.attempts[:-1], attempt), hold="")
    return put(run, moved), moved


def put(run: Run, task: TaskRun) -> Run:
    """The run with one task replaced."""
    return replace(run, tasks={**run.tasks, task.key: task})


def _placed(run: Run, event: happened.TaskPlaced) -> Result | None:
    task = _current(run, event)
    is_stopping = run.cancel_requested_at is not None and event.key.path != run.graph.spec.exit_task
    if task is None or is_stopping:
        return None
    run, _ = _move(
        run,
        task,
        TaskState.PLACED,
        node=event.node,
        option=event.option,
        decision_id=event.decision_id,
        planned_start_at=event.planned_start_at,
        planned_finish_at=event.planned_finish_at,
        placed_at=event.at,
    )
    if run.dispatched_at is None:
        run = replace(run, dispatched_at=event.at)
    return run, []


def _held(run: Run, event: happened.TaskHeld) -> Result | None:
    task = _current(run, event)
    if task is None or task.hold == event.reason or task.state not in _MAY_BE_HELD:
        return None
    return put(run, replace(task, hold=event.reason)), []


def _unbound(run: Run, event: happened.TaskUnbound) -> Result | None:
    task = _current(run, event)
    if task is None or task.state not in (TaskState.PLACED, TaskState.QUEUED):
        return None
    if run.cancel_requested_at is not None:
        return _ended(run, task, TaskState.CANCELLED, event.at, reason=event.reason)
    run, moved = _move(
        run, task, TaskState.READY, node=None, option=None, placed_at=None, queued_at=None, not_before=event.not_before
    )
    return put(run, replace(moved, hold=event.reason)), []


def _queued(run: Run, event: happened.TaskQueued) -> Result | None:
    task = _current(run, event)
    if task is None or task.state in (TaskState.QUEUED, TaskState.RUNNING):
        return None
    run, _ = _move(run, task, TaskState.QUEUED, queued_at=event.at, actual_node=event.node or task.current.actual_node)
    return run, []


def _started(run: Run, event: happened.TaskStarted) -> Result | None:
    task = _current(run, event)
    if task is None or task.state is TaskState.RUNNING:
        return None
    node = event.node or task.current.actual_node or task.current.node
    run, _ = _move(run, task, TaskState.RUNNING, started_at=event.at, actual_node=node, scheduled_at=event.scheduled_at)
    return replace(run, started_at=run.started_at or event.at, dispatched_at=run.dispatched_at or event.at), []


def _ready(run: Run, event: happened.TaskBecameReady) -> Result | None:
    task = _current(run, event)
    if task is None or task.state is not TaskState.PENDING:
        return None
    run, _ = _move(run, task, TaskState.READY, ready_at=event.at)
    return run, []


def _succeeded(run: Run, event: happened.TaskSucceeded) -> Result | None:
    task = _current(run, event)
    if task is None:
        return None
    task = replace(task, outputs=dict(event.outputs), from_cache=event.from_cache)
    inputs_at = _fetched(task, event)
    return _ended(
        run, task, TaskState.SUCCEEDED, event.at, peak_memory_bytes=event.peak_memory_bytes, inputs_at=inputs_at
    )


def _fetched(task: TaskRun, event: happened.TaskSucceeded | happened.TaskFailed) -> datetime | None:
    """When the inputs were there, between the start and the end, which a platform may tell in whole seconds; clocks
    that do not agree tell nothing."""
    started_at = task.current.started_at
    if event.inputs_at is None or started_at is None or event.inputs_at >= event.at + WHOLE_SECOND:
        return None
    return min(max(event.inputs_at, started_at), max(event.at, started_at))


def _failed(run: Run, event: happened.TaskFailed) -> Result | None:
    task = _current(run, event)
    if task is None:
        return None
    changes: dict[str, Any] = {"error": event.error, "peak_memory_bytes": event.peak_memory_bytes}
    changes["inputs_at"] = _fetched(task, event)
    retry = run.graph.task(event.key.path).retry
    is_final = retry is None or task.retries_used >= retry.max_retries or event.error.kind in ("refused", "definition")
    if is_final or run.cancel_requested_at is not None or run.options.binding is Binding.AT_SUBMISSION:
        return _ended(run, task, TaskState.FAILED, event.at, **changes)
    task = replace(task, retries_used=task.retries_used + 1)
    delay = retry.delay_seconds(task.retries_used) if retry else 0.0
    return _again(run, task, TaskState.FAILED, event.at, delay, **changes)


def _lost(run: Run, event: happened.TaskLost) -> Result | None:
    task = _current(run, event)
    if task is None:
        return None
    if run.cancel_requested_at is not None and run.state is RunState.CANCELLING:
        return _ended(run, task, TaskState.CANCELLED, event.at, reason=event.reason)
    task = replace(task, losses=task.losses + 1)
    error = TaskError("lost", event.reason)
    if task.losses > MAX_LOSSES:
        error = TaskError("lost", f"lost {task.losses} times, the last time: {event.reason}")
        return _ended(run, task, TaskState.FAILED, event.at, error=error)
    return _again(run, task, TaskState.LOST, event.at, 0.0, error=error)


def _cancelled(run: Run, event: happened.TaskCancelled) -> Result | None:
    task = _current(run, event)
    if task is None:
        return None
    return _ended(run, task, TaskState.CANCELLED, event.at, reason=event.reason)


def _skipped(run: Run, event: happened.TaskSkipped) -> Result | None:
    task = _current(run, event)
    if task is None:
        return None
    return _ended(run, task, TaskState.SKIPPED, event.at, reason=event.reason)


def _ended(run: Run, task: TaskRun, state: TaskState, at: datetime, *, reason: str = "", **changes: Any) -> Result:
    """End a task for good, and let what waits for it move on."""
    run, moved = _move(run, replace(task, reason=reason), state, finished_at=at, **changes)
    if run.options.binding is Binding.AT_SUBMISSION or run.state is RunState.CANCELLING:
        return run, []
    return advance(run, at, [moved.key.path])


def _again(run: Run, task: TaskRun, state: TaskState, at: datetime, delay: float, **changes: Any) -> Result:
    """End an attempt and line up the next one."""
    run, moved = _move(run, task, state, finished_at=at, **changes)
    number = moved.current.number + 1
    not_before = at + timedelta(seconds=delay) if delay > 0 else None
    following = Attempt(number, TaskState.READY, ready_at=at, not_before=not_before)
    run = put(run, replace(moved, attempts=(*moved.attempts, following)))
    return run, [happened.TaskBecameReady(at=at, key=task.key, attempt=number, not_before=not_before)]


def _cancel(run: Run, event: happened.CancelRequested) -> Result | None:
    if run.state.is_end:
        raise ConflictError(f"run {run.id} is already {run.state}", hint="only a live run can be cancelled")
    if run.state is RunState.FINISHING:
        raise ConflictError(f"run {run.id} is finishing: its exit task runs in any case", hint="wait for it to end")
    if run.cancel_requested_at is not None:
        return None
    before = run.state
    run = replace(run, cancel_requested_at=event.at, cancel_reason=event.reason, state=RunState.CANCELLING)
    derived: list[Event] = [happened.RunStateChanged(at=event.at, before=before, after=RunState.CANCELLING)]
    for key, attempt in list(run.attempts_in(TaskState.PENDING, TaskState.READY)):
        is_unsent = run.options.binding is Binding.WHEN_READY or run.dispatched_at is None
        if key.path == run.graph.spec.exit_task or not is_unsent:
            continue
        run, _ = _move(run, run.tasks[key], TaskState.CANCELLED, finished_at=event.at)
        derived.append(happened.TaskCancelled(at=event.at, key=key, attempt=attempt.number))
    return run, derived


def _run_placed(run: Run, event: happened.RunPlaced) -> Result | None:
    if run.state is not RunState.WAITING:
        return None
    for planned in event.tasks:
        task = run.tasks.get(planned.key, TaskRun(planned.key))
        attempt = replace(
            task.current,
            node=planned.node,
            option=planned.option,
            decision_id=planned.decision_id,
            planned_start_at=planned.planned_start_at,
            planned_finish_at=planned.planned_finish_at,
            placed_at=event.at,
            not_before=None,
            alternatives=planned.alternatives,
        )
        if not run.graph.loops.get(planned.key.path) or planned.key in run.tasks:
            run = put(run, replace(task, attempts=(*task.attempts[:-1], attempt), hold=planned.reason))
    return replace(run, dispatched_at=event.at), []


def _run_returned(run: Run, event: happened.RunReturned) -> Result | None:
    if run.state is not RunState.DISPATCHED or run.platform_run_id is not None:
        return None
    tasks = {}
    for key, task in run.tasks.items():
        attempt = replace(task.current, not_before=event.not_before)
        tasks[key] = replace(task, attempts=(*task.attempts[:-1], attempt), hold=event.reason)
    if event.is_unsure:
        return replace(run, tasks=tasks), []
    moved = happened.RunStateChanged(at=event.at, before=run.state, after=RunState.WAITING)
    return replace(run, tasks=tasks, state=RunState.WAITING, dispatched_at=None), [moved]


def _handed_over(run: Run, event: happened.RunHandedOver) -> Result | None:
    if run.platform_run_id is not None:
        return None
    return replace(run, platform_run_id=event.platform_run_id), []


def _replacement_offered(run: Run, event: happened.ReplacementOffered) -> Result | None:
    offer = Offer(event.at, event.nodes, event.reason, event.doubts)
    is_known = run.offer is not None and replace(run.offer, at=event.at) == offer
    if run.state.is_end or run.cancel_requested_at is not None or is_known:
        return None
    return replace(run, offer=offer), []


def _run_replaced(run: Run, event: happened.RunReplaced) -> Result | None:
    if run.state.is_end or run.replaced_by:
        return None
    return replace(run, replaced_by=event.by), []


def _run_ended(run: Run, event: happened.RunEnded) -> Result | None:
    """The platform's last word: whatever it never reported ends with the run."""
    leftover = {RunState.FAILED: TaskState.FAILED, RunState.CANCELLED: TaskState.CANCELLED}
    is_cancelled = run.cancel_requested_at is not None and event.state is not RunState.SUCCEEDED
    has_begun = run.platform_run_id is not None or any(task.current.queued_at for task in run.tasks.values())
    untold = "not-reported" if has_begun else "not-handed-over"
    derived: list[Event] = []
    for key, task in list(run.tasks.items()):
        if task.state.is_end:
            continue
        if is_cancelled:
            reason = run.cancel_reason
            run, _ = _move(run, replace(task, reason=reason), TaskState.CANCELLED, finished_at=event.at)
            derived.append(happened.TaskCancelled(at=event.at, key=key, attempt=task.current.number, reason=reason))
            continue
        is_running = task.state is TaskState.RUNNING
        state = leftover.get(event.state, TaskState.SUCCEEDED) if is_running else TaskState.SKIPPED
        run, moved = _move(run, replace(task, reason=untold), state, finished_at=event.at)
        if state is TaskState.SKIPPED:
            derived.append(happened.TaskSkipped(at=event.at, key=key, attempt=moved.current.number, reason=untold))
    state_at_end = RunState.CANCELLED if is_cancelled else event.state
    asked = run.cancel_reason if is_cancelled else ""
    run, change = move_run(run, state_at_end, event.at, asked or event.error or first_error(run))
    return run, [*derived, *change]


def move_run(run: Run, state: RunState, at: datetime, error: str = "") -> Result:
    """Move the run itself, if that is a change."""
    if state is run.state:
        return run, []
    if state not in RUN_TABLE[run.state]:
        raise IllegalTransitionError(f"run {run.id} is {run.state}: it cannot become {state}\n{story(run)}")
    moved = happened.RunStateChanged(at=at, before=run.state, after=state, error=error)
    finished_at = at if state.is_end else None
    return replace(run, state=state, error=error, finished_at=finished_at), [moved]


def story(run: Run) -> str:
    """One line per task with its attempts, for error messages."""
    lines = [f"run {run.id} ({run.name}) is {run.state}, version {run.version}"]
    for key, task in run.tasks.items():
        tries = ", ".join(f"{attempt.number}:{attempt.state}@{attempt.node or '-'}" for attempt in task.attempts)
        lines.append(f"  {key}: {tries}")
    return "\n".join(lines)


HANDLERS: dict[type[Event], Callable[[Run, Any], Result | None]] = {
    happened.TaskPlaced: _placed,
    happened.TaskHeld: _held,
    happened.TaskUnbound: _unbound,
    happened.TaskQueued: _queued,
    happened.TaskStarted: _started,
    happened.TaskBecameReady: _ready,
    happened.TaskSucceeded: _succeeded,
    happened.TaskFailed: _failed,
    happened.TaskLost: _lost,
    happened.TaskCancelled: _cancelled,
    happened.TaskSkipped: _skipped,
    happened.CancelRequested: _cancel,
    happened.RunPlaced: _run_placed,
    happened.RunReturned: _run_returned,
    happened.RunHandedOver: _handed_over,
    happened.RunEnded: _run_ended,
    happened.ReplacementOffered: _replacement_offered,
    happened.RunReplaced: _run_replaced,
}
