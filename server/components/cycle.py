"""One scheduling cycle as pure functions, called by the live scheduler and by the simulator alike.

`question` turns live runs and a snapshot into a placement request; `answers` turns the outcome into events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from server.components.decision_unit import Outcome
from server.components.live_view import LiveView
from server.domain.events import (
    Event,
    RunEnded,
    RunReturned,
    RunSubmitted,
    TaskBecameReady,
    TaskCancelled,
    TaskFailed,
    TaskHeld,
    TaskLost,
    TaskPlaced,
    TaskSucceeded,
    TaskUnbound,
)
from server.domain.network import NodeNetwork
from server.domain.node import Snapshot
from server.domain.placement import Estimates, PlacementRequest, Promise, WaitingRun, WaitingTask
from server.domain.run import Run
from server.domain.states import Binding, RunState

WAKING = (
    RunSubmitted,
    TaskBecameReady,
    TaskUnbound,
    TaskSucceeded,
    TaskFailed,
    TaskCancelled,
    TaskLost,
    RunReturned,
    RunEnded,
)
"""Events after which another cycle can decide something new: work arrived, or room was made."""


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """What stays the same from cycle to cycle."""

    objective: str = "turnaround"
    seed: int = 0
    time_limit_seconds: float = 5.0
    network: NodeNetwork | None = None


def waiting_runs(runs: Iterable[Run], now: datetime, live_view: LiveView) -> tuple[WaitingRun, ...]:
    """The live runs in which a task waits for a node; tasks that must not start yet (backoff) are not ready."""
    found = []
    runs = list(runs)
    live = {run.id for run in runs}
    for run in runs:
        if run.retry_of in live:  # it replaces that one, which has not stopped yet
            continue
        is_unsent = run.options.binding is Binding.WHEN_READY or run.state is RunState.WAITING
        if run.state is RunState.CANCELLING or not is_unsent:
            continue
        view = live_view.waiting(run)
        if view.tasks or run.options.binding is Binding.AT_SUBMISSION:
            found.append(_as_of(run, view, now))
    return tuple(found)


def _as_of(run: Run, view: WaitingRun, now: datetime) -> WaitingRun:
    """The view with what depends on the hour; the same object where nothing does."""
    if run.options.binding is Binding.AT_SUBMISSION:  # the first tasks of a run that is handed over whole
        return replace(view, tasks=tuple(replace(task, is_ready=not task.waits_for) for task in view.tasks))
    if any(task.is_ready and _is_backing_off(run, task, now) for task in view.tasks):
        tasks = (replace(task, is_ready=False) if _is_backing_off(run, task, now) else task for task in view.tasks)
        return replace(view, tasks=tuple(tasks))
    return view


def _is_backing_off(run: Run, task: WaitingTask, now: datetime) -> bool:
    not_before = run.tasks[task.key].current.not_before
    return not_before is not None and not_before > now


def sent_back(runs: Iterable[Run], now: datetime) -> dict[str, str]:
    """Whole runs that the platform did not take a moment ago, with the reason; they are not sent again yet."""
    found = {}
    for run in runs:
        if run.state is RunState.WAITING and run.options.binding is Binding.AT_SUBMISSION:
            waits = next((task for task in run.tasks.values() if (task.current.not_before or now) > now), None)
            if waits is not None:
                found[run.id] = waits.hold
    return found


def is_worth_deciding(runs: Sequence[WaitingRun], live: Mapping[str, Run]) -> bool:
    """Whether a task is ready, or a whole run waits to be handed over."""
    return any(
        live[run.run_id].options.binding is Binding.AT_SUBMISSION or any(task.is_ready for task in run.tasks)
        for run in runs
    )


def next_wake(runs: Iterable[Run], now: datetime) -> datetime | None:
    """When the next backoff is over, or None."""
    instants = (task.current.not_before for run in runs for task in run.tasks.values() if not task.state.is_end)
    return min((instant for instant in instants if instant is not None and instant > now), default=None)


def question(
    number: int,
    now: datetime,
    runs: Sequence[WaitingRun],
    snapshot: Snapshot,
    estimates: Estimates,
    *,
    settings: CycleSettings,
    history: Mapping[str, int],
    promised: Sequence[Promise] = (),
) -> PlacementRequest:
    """The request of one cycle. The seed changes from cycle to cycle, reproducibly."""
    return PlacementRequest(
        cycle=number,
        now=now,
        runs=tuple(runs),
        snapshot=snapshot,
        estimates=estimates,
        objective=settings.objective,
        seed=settings.seed * 1_000_003 + number,
        time_limit_seconds=settings.time_limit_seconds,
        history=history,
        network=settings.network.among(snapshot.nodes) if settings.network is not None else None,
        promised=tuple(promised),
    )


def answers(request: PlacementRequest, outcome: Outcome) -> list[tuple[str, Event]]:
    """The events of one cycle, run by run: what is placed now, and why the rest of the ready tasks waits."""
    decision_of = {(decision.run_id, decision.key): decision.id for decision in outcome.decisions}
    attempts = {task.ref: task.attempt for task in request.tasks()}
    found: list[tuple[str, Event]] = [
        (
            placement.run_id,
            TaskPlaced(
                at=request.now,
                key=placement.key,
                attempt=attempts[(placement.run_id, placement.key)],
                node=placement.node,
                option=placement.option,
                decision_id=decision_of.get((placement.run_id, placement.key)),
                planned_start_at=placement.planned_start_at,
                planned_finish_at=placement.planned_finish_at,
            ),
        )
        for placement in outcome.bind_now
    ]
    for ref, reason in outcome.holds.items():
        run_id, key = ref
        found.append((run_id, TaskHeld(at=request.now, key=key, attempt=attempts[ref], reason=reason)))
    return found


def unsaid(events: Iterable[tuple[str, Event]], live: Mapping[str, Run]) -> Iterator[tuple[str, Event]]:
    """The events without the holds that a run's tasks carry already, word for word."""
    for run_id, event in events:
        run = live.get(run_id) if isinstance(event, TaskHeld) else None
        if run is None or not _says_already(run, event):
            yield run_id, event


def _says_already(run: Run, event: Event) -> bool:
    return isinstance(event, TaskHeld) and event.key in run.tasks and run.tasks[event.key].hold == event.reason
