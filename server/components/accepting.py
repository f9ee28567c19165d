"""A user takes what a waiting task was offered: another node, or another option, at once.

It happens between two cycles, never within one, so that the room it takes is given to nobody else; and the run's state
table has the last word, so that a task that started meanwhile is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from server.components.cycle import CycleSettings, question
from server.components.decisions.records import Recorder
from server.components.explaining.placed import USER
from server.components.explaining.scene import EstimateAll
from server.components.explaining.texts import clock, names, span
from server.components.explaining.values import NodeVerdict
from server.components.explaining.verdicts import node_verdicts
from server.components.explaining.waiting import why_none
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.scheduler import Scheduler
from server.domain.errors import ConflictError, IllegalTransitionError, InvalidRequestError, NotFoundError
from server.domain.events import TaskPlaced
from server.domain.instants import after
from server.domain.placement import Decision, Placement, PlacementRequest, WaitingRun, WaitingTask
from server.domain.request import Defaults, waiting_task
from server.domain.run import Run, TaskKey, TaskRun
from server.domain.states import Binding, TaskState
from server.planning.needs import NeedsTable
from server.stores.interface import RunStoreInterface


@dataclass(frozen=True, slots=True)
class Accepted:
    """Where the task goes now."""

    run: Run
    key: TaskKey
    node: str
    option: str
    sentence: str


class Accepting:
    """Binds waiting tasks to what users choose."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: RunStoreInterface,
        scheduler: Scheduler,
        node_manager: NodeManager,
        estimate: EstimateAll,
        defaults: Defaults,
        new_id: Callable[[], str],
    ) -> None:
        self._journal, self._store, self._scheduler = journal, store, scheduler
        self._node_manager, self._estimate, self._defaults = node_manager, estimate, defaults
        self._new_id = new_id

    async def accept(self, run_id: str, key: TaskKey, *, option: str | None, node: str | None) -> Accepted:
        """Bind the task to a free node with this option, or to this node.

        Raises:
            NotFoundError: there is no such run, task or node.
            InvalidRequestError: neither is given, or the task has no such option.
            ConflictError: the task does not wait (any more), or there is no room now.
        """
        if option is None and node is None:
            raise InvalidRequestError("what is accepted?", hint="name an option, a node, or both")
        async with self._scheduler.turn:
            run = await self._journal.run(run_id)
            view = self._waiting(run, key, option)
            request = self._question(run, view)
            chosen = _choose(view, node, node_verdicts(view, request.snapshot, request.estimates))
            return await self._bind(run, view, request, chosen)

    def _waiting(self, run: Run, key: TaskKey, option: str | None) -> WaitingTask:
        """The task with the options that were accepted, if it can be placed at all."""
        task = run.tasks.get(key)
        if task is None:
            said = names([str(one) for one in run.tasks])
            raise NotFoundError(f"run {run.id} has no task {str(key)!r}", hint=f"its tasks are: {said}")
        _require_waiting(run, task)
        not_before = task.current.not_before
        now = self._scheduler.now()
        if not_before is not None and not_before > now:
            rest = span((not_before - now).total_seconds())
            raise ConflictError(f"task {key} failed before, and waits {rest} more until it is tried again")
        view = waiting_task(run, task, self._defaults)
        if option is None:
            return view
        chosen = tuple(one for one in view.options if one.name == option)
        if not chosen:
            known = ", ".join(one.name for one in view.options)
            raise InvalidRequestError(f"task {key} has no option {option!r}", hint=f"it has: {known}")
        return replace(view, options=chosen)

    def _question(self, run: Run, view: WaitingTask) -> PlacementRequest:
        snapshot = self._node_manager.current()
        runs = [WaitingRun(run.id, run.name, run.submitted_at, (view,))]
        return question(
            self._scheduler.cycles,
            self._scheduler.now(),
            runs,
            snapshot,
            self._estimate(runs, snapshot.nodes),
            settings=CycleSettings(),
            history={},
        )

    async def _bind(self, run: Run, view: WaitingTask, request: PlacementRequest, chosen: NodeVerdict) -> Accepted:
        option = chosen.option or view.options[0].name
        finish = None if chosen.seconds_p50 is None else after(request.now, chosen.seconds_p50)
        placement = Placement(
            run.id, view.key, chosen.node, option, request.now, finish, reason="accepted by a user who did not wait"
        )
        decision = self._record(request, view, placement)
        await asyncio.to_thread(self._store.add_decisions, [decision])
        event = TaskPlaced(
            at=request.now,
            key=view.key,
            attempt=view.attempt,
            node=chosen.node,
            option=option,
            decision_id=decision.id,
            planned_start_at=request.now,
            planned_finish_at=finish,
        )
        try:
            change = await self._journal.apply(run.id, event)
        except IllegalTransitionError as error:
            raise ConflictError(f"task {view.key} does not wait any more") from error
        if change.is_late:
            raise ConflictError(f"task {view.key} does not wait any more: its run is {change.run.state}")
        self._node_manager.count_assignment(chosen.node)
        text = f"{view.key} goes to {chosen.node}"
        text += f" with option {option}" if len(view.options) > 1 or option != "default" else ""
        text += f"; {span(chosen.seconds_p50)} are predicted" if chosen.seconds_p50 is not None else ""
        return Accepted(change.run, view.key, chosen.node, option, f"{text}.")

    def _record(self, request: PlacementRequest, view: WaitingTask, placement: Placement) -> Decision:
        table = NeedsTable(request.snapshot.nodes)
        recorder = Recorder(request, table, strategy=USER, fallback_from=None, new_id=self._new_id)
        return recorder.placed(view, placement)


def _require_waiting(run: Run, task: TaskRun) -> None:
    """Raise ConflictError, with what the task does instead, unless it is ready and ours to bind."""
    attempt = task.current
    where = attempt.actual_node or attempt.node
    if run.state.is_end or task.state.is_end:
        raise ConflictError(f"task {task.key} is over: {task.state if task.state.is_end else run.state}")
    if run.options.binding is Binding.AT_SUBMISSION:
        raise ConflictError(
            "this platform takes whole runs: a single task cannot be given a node afterwards",
            hint="cancel the run and submit it with other requests; `mlopx plan FILE` says what that changes",
        )
    if run.cancel_requested_at is not None:
        raise ConflictError(f"run {run.id} is being cancelled")
    if task.state is TaskState.PENDING:
        raise ConflictError(f"task {task.key} waits for other tasks, not for a node")
    if task.state is not TaskState.READY:
        since = f" since {clock(attempt.started_at)}" if attempt.started_at else ""
        doing = "runs" if task.state is TaskState.RUNNING else f"is {task.state}"
        raise ConflictError(f"task {task.key} does not wait any more: it {doing} on {where}{since}")


def _choose(view: WaitingTask, node: str | None, verdicts: Sequence[NodeVerdict]) -> NodeVerdict:
    """The node that was named, or the quickest that is free. Raises ConflictError saying what is in the way."""
    if node is None:
        found = next((one for one in verdicts if one.verdict == "free"), None)
        if found is None:
            is_never = all(one.verdict == "never" for one in verdicts)
            said = (
                f"can run {view.key} with option {view.options[0].name}" if is_never else f"has room for {view.key} now"
            )
            raise ConflictError(f"no node {said}", hint=why_none(verdicts) or "the cluster has no nodes")
        return found
    named = next((one for one in verdicts if one.node == node), None)
    if named is None:
        raise NotFoundError(f"there is no node {node!r}", hint="`mlopx nodes` lists them")
    if named.verdict != "free":
        raise ConflictError(f"{node} cannot take {view.key} now: {named.reason}", hint="`mlopx explain` says who can")
    return named


__all__ = ["Accepted", "Accepting"]
