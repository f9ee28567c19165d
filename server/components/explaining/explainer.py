"""The explainer: answers for any run or task, live or over, what is going on and why. Changes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from server.components.explaining.calibrating import calibrated, judge
from server.components.explaining.memory_advice import memory_warnings
from server.components.explaining.placed import hindsight, how_it_went, predicted, why_there
from server.components.explaining.queueing import waits_of
from server.components.explaining.scene import NO_END_YET, EstimateAll, Scene, make_scene
from server.components.explaining.starting import start_expected
from server.components.explaining.texts import between, clock, names, span
from server.components.explaining.track import ForecastTrack
from server.components.explaining.values import Action, Band, Hindsight, RunExplanation, TaskExplanation, Waiting
from server.components.explaining.verdicts import node_verdicts
from server.components.explaining.waiting import ACCEPT, goes_first, what_it_waits_for, what_to_do
from server.components.forecasting.widths import EarlierWidths
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.scheduler import Scheduler
from server.domain.errors import NotFoundError
from server.domain.lifecycle import Change
from server.domain.network import NodeNetwork
from server.domain.node import Snapshot
from server.domain.placement import DEFAULT_OPTION, Decision, Estimates, TaskRef, WaitingRun, WaitingTask
from server.domain.request import Defaults, defaults_for, is_placeable, options_of, waiting_task
from server.domain.run import Attempt, Run, TaskKey, TaskRun
from server.domain.states import BOUND, RunState, TaskState
from server.stores.interface import RunStoreInterface

FRESH_SECONDS = 1.0
"""A scene serves everybody who asks within this time."""

LARGEST_SHARE = 10
"""A scene that takes long to make serves so many times as long."""

SKIPPED = {
    "condition": "its condition did not hold",
    "upstream-failed": "a task it needs did not succeed",
    "not-handed-over": "its run ended before the platform had it",
    "not-reported": "its run ended, and the platform told nothing of it",
}
ROUGHLY = Action("See when it would be done if the guesses are right.", "mlopx plan")
MOST_VERDICTS = 100_000
"""Pairs of ready tasks and nodes up to which an explanation of a whole run asks every node about every task."""

WAITING = (TaskState.PENDING, TaskState.READY, TaskState.PLACED, TaskState.QUEUED)
UNBOUND = (TaskState.PENDING, TaskState.READY)
ASKING = (TaskState.READY, TaskState.QUEUED)
"""In which states of a task its nodes are asked about it: it waits for one of ours, or for the platform."""


class Explainer:
    """Explains runs and tasks."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: RunStoreInterface,
        node_manager: NodeManager,
        scheduler: Scheduler,
        estimate: EstimateAll,
        defaults: Defaults,
        track: ForecastTrack,
        network: NodeNetwork | None = None,
    ) -> None:
        self._journal, self._store, self._node_manager = journal, store, node_manager
        self._scheduler = scheduler
        self._estimate, self._defaults = estimate, defaults
        self.track, self._network = track, network
        self._widths = EarlierWidths(store)
        self._scene: Scene | None = None
        self._waits: tuple[Scene, Mapping[TaskRef, Waiting]] | None = None
        self._making = asyncio.Lock()
        self._seconds = 0.0

    async def scene(self, run: Run | None = None, *, with_all: bool = False) -> Scene:
        """The picture of this moment, about a second old at most; with this run in it, if it is live.

        `with_all`: also with every other live run, unless making a picture takes longer than this one is old.
        """
        async with self._making:
            now = self._scheduler.now()
            is_missing = run is not None and not run.state.is_end and self._scene and run.id not in self._scene.runs
            age = (now - self._scene.now).total_seconds() if self._scene is not None else 0.0
            if with_all and self._scene is not None and age >= self._seconds:
                known = self._scene.runs
                is_missing = is_missing or any(live.id not in known for live in self._journal.live())
            if self._scene is None or is_missing or age > max(FRESH_SECONDS, LARGEST_SHARE * self._seconds):
                positions: dict[tuple[str, TaskKey], int] = {}
                for index, entry in enumerate(self._scheduler.queue()):
                    positions[(entry.run_id, entry.key)] = index + 1
                live = self._journal.live()
                made = await asyncio.to_thread(
                    make_scene,
                    live,
                    now=now,
                    snapshot=self._node_manager.current(),
                    plan=self._scheduler.plan,
                    positions=positions,
                    strategy=self._scheduler.answered_by,
                    estimate=self._estimate,
                    defaults=self._defaults,
                    network=self._network,
                    widths=await asyncio.to_thread(self._widths.of_all, live),
                )
                self._scene = calibrated(made, self.track, made.silent)
                self._seconds = (self._scheduler.now() - now).total_seconds()
            return self._scene

    def notice(self, change: Change) -> None:
        """Judge what was foretold of what came."""
        judge(change, self.track)

    async def foretell(self) -> None:
        """Foretell what runs and waits, if anything does, though nobody asks."""
        if self._journal.live():
            await self.scene()

    async def queue(self) -> tuple[Scene, Mapping[TaskRef, Waiting]]:
        """The picture of this moment, and what each waiting task in it waits for; of very many, not of all."""
        scene = await self.scene(with_all=True)
        if self._waits is None or self._waits[0] is not scene:
            runs = {run.id: run for run in self._journal.live()}
            present = replace(scene, now=self._scheduler.now())
            self._waits = (scene, await asyncio.to_thread(waits_of, runs, present, self._defaults))
        return scene, self._waits[1]

    async def _present(self, run: Run) -> Scene:
        """The picture, told from this instant: the run may have changed since it was made."""
        return replace(await self.scene(run), now=self._scheduler.now())

    async def run(self, run_id: str) -> RunExplanation:
        """A whole run. Raises NotFoundError."""
        run = await self._journal.run(run_id)
        scene = await self._present(run)
        decisions = await asyncio.to_thread(self._store.decisions, run_id)
        return await asyncio.to_thread(self._explain, run, scene, decisions)

    async def task(self, run_id: str, key: TaskKey) -> TaskExplanation:
        """One task. Raises NotFoundError."""
        run = await self._journal.run(run_id)
        if key not in run.tasks:
            raise NotFoundError(
                f"run {run_id} has no task {str(key)!r}",
                hint=f"its tasks are: {names([str(one) for one in run.tasks])}",
            )
        scene = await self._present(run)
        decisions = await asyncio.to_thread(self._store.decisions, run_id, task=key)
        estimates = await asyncio.to_thread(self._estimates_of, run, scene)
        return self._explain_task(run, run.tasks[key], scene, decisions[-1] if decisions else None, estimates)

    def _explain(self, run: Run, scene: Scene, decisions: Sequence[Decision]) -> RunExplanation:
        newest: Mapping[TaskKey, Decision] = {decision.key: decision for decision in decisions}
        estimates = self._estimates_of(run, scene)
        ready = sum(task.state in ASKING for task in run.tasks.values())
        asks = ASKING if ready * len(scene.snapshot.nodes) <= MOST_VERDICTS else ()
        tasks = [
            self._explain_task(run, task, scene, newest.get(key), estimates, asks) for key, task in run.tasks.items()
        ]
        position = min((task.position for task in tasks if task.position is not None), default=None)
        ends, why_not = _run_ends(run, scene)
        return RunExplanation(
            run_id=run.id,
            name=run.name,
            state=run.state,
            at=scene.now,
            snapshot_at=scene.snapshot.taken_at,
            strategy=scene.strategy,
            sentence=_run_sentence(run, tasks, ends, scene),
            tasks=tuple(tasks),
            position=position,
            ends=ends,
            why_no_eta=why_not,
            actions=_run_actions(run, tasks) or ((ROUGHLY,) if why_not.startswith(NO_END_YET) else ()),
            assumes=scene.assumed.get(run.id, "") if ends is not None else "",
            counts=Counter(task.state.value for task in tasks),
        )

    def _explain_task(
        self,
        run: Run,
        task: TaskRun,
        scene: Scene,
        decision: Decision | None,
        estimates: Estimates,
        asks: tuple[TaskState, ...] = (*UNBOUND, TaskState.QUEUED),
    ) -> TaskExplanation:
        """`asks`: in which states the nodes are asked about the task."""
        view = waiting_task(run, task, self._defaults)
        ref, name, attempt = (run.id, task.key), str(task.key), task.current
        node = task.node
        is_known = run.id not in scene.silent
        plan = scene.plan.get(ref) if task.state in UNBOUND else None
        option = (plan.option if plan is not None else attempt.option) or DEFAULT_OPTION
        base = TaskExplanation(
            key=task.key,
            state=task.state,
            sentence="",
            node=node,
            planned_node=plan.node if plan is not None else None,
            position=scene.positions.get(ref),
            start=start_expected(
                view, plan.node if plan is not None else node, option, scene.estimates.starts, is_there=plan is None
            )
            if task.state in WAITING
            else None,
            starts=scene.starts.get(ref) if is_known and task.state in WAITING else None,
            ends=scene.ends.get(ref) if is_known and not task.state.is_end else None,
            decision=decision,
            warnings=self._warnings(run, task, view, estimates if task.state.is_end else scene.estimates),
        )
        if task.state in WAITING and not run.state.is_end:
            is_stuck = task.state is not TaskState.QUEUED or bool(task.hold)
            stands_as = TaskState.READY if goes_first(run, task, view) else task.state
            return self._explain_waiting(base, run, task, view, scene, is_asking=stands_as in asks and is_stuck)
        if task.state is TaskState.RUNNING:
            why = why_there(decision) if decision is not None and decision.node is not None else ""
            return replace(base, sentence=_running(name, base, task, decision, scene), why=why)
        found = hindsight(decision, attempt, view, estimates) if decision and node and attempt.run_seconds else None
        ended = _ended(name, run, task, node, decision, found)
        return replace(base, sentence=ended, hindsight=found, actions=_after(run, task))

    def _warnings(self, run: Run, task: TaskRun, view: WaitingTask, estimates: Estimates) -> tuple[str, ...]:
        """What does not fit about what its author asks for; of a task that has its node, with the option it has."""
        definition = run.graph.task(task.key.path)
        options = options_of(
            definition, run.graph.component(task.key.path), defaults_for(run.options.project, self._defaults)
        )
        return memory_warnings(replace(view, options=options), estimates, task.current.option)

    def _explain_waiting(
        self, base: TaskExplanation, run: Run, task: TaskRun, view: WaitingTask, scene: Scene, *, is_asking: bool
    ) -> TaskExplanation:
        verdicts = node_verdicts(view, _without(run, task, scene.snapshot), scene.estimates) if is_asking else ()
        if (task.state is TaskState.READY or goes_first(run, task, view)) and not is_asking:
            waiting: Waiting | None = Waiting("capacity", task.hold or "is about to be placed")
        else:
            waiting = what_it_waits_for(run, task, view, verdicts, scene)
        if waiting is None:
            return replace(base, sentence=f"{task.key} is {task.state.value}.", nodes=verdicts)
        actions = what_to_do(run, task, waiting, view, verdicts, scene)
        offered = next((one.command for one in actions if one.command and one.command.startswith(ACCEPT)), None)
        return replace(
            base,
            sentence=f"{task.key} {waiting.text.removesuffix('.')}{f': `{offered}`' if offered else ''}.",
            waiting=waiting,
            actions=actions,
            nodes=verdicts,
        )

    def _estimates_of(self, run: Run, scene: Scene) -> Estimates:
        """What is known now about the run times of tasks that are over."""
        found = [task for task in run.tasks.values() if task.state is TaskState.SUCCEEDED and not task.from_cache]
        views = tuple(waiting_task(run, task, self._defaults) for task in found)
        shell = WaitingRun(run.id, run.name, run.submitted_at, views)
        return self._estimate([shell] if views else [], scene.snapshot.nodes)


def _without(run: Run, task: TaskRun, snapshot: Snapshot) -> Snapshot:
    """The nodes without what the task itself holds of one."""
    if task.state not in BOUND:
        return snapshot
    own = (run.id, str(task.key))
    return replace(snapshot, occupancies=tuple(one for one in snapshot.occupancies if (one.run_id, one.task) != own))


def _run_ends(run: Run, scene: Scene) -> tuple[Band | None, str]:
    if run.state.is_end:
        return None, ""
    if run.id in scene.silent:
        return None, scene.silent[run.id]
    return scene.run_ends.get(run.id), ""


def _run_sentence(run: Run, tasks: Sequence[TaskExplanation], ends: Band | None, scene: Scene) -> str:
    count = len(tasks)
    if run.state.is_end:
        took = f" after {span(run.turnaround_time.total_seconds())}" if run.turnaround_time else ""
        why = run.error.removeprefix(f"{run.state.value} ")
        return f"{run.name} {run.state.value}{took}{f': {why}' if why else ''}."
    assumed = f", if {scene.assumed[run.id]}" if run.id in scene.assumed else ""
    when = f" It should be done {between(scene.now, ends.p10, ends.p90)}{assumed}." if ends else ""
    running = [task for task in tasks if task.state is TaskState.RUNNING]
    done = sum(task.state.is_end for task in tasks)
    if running:
        said = names([f"{task.key} on {task.node}" for task in running])
        return f"{run.name} runs: {said}; {done} of {count} tasks done.{when}"
    ready = [task for task in tasks if task.waiting is not None and task.waiting.kind != "dependency"]
    if ready:
        place = f" (position {ready[0].position} in the queue)" if ready[0].position else ""
        return f"{run.name}: {ready[0].sentence.removesuffix('.')}{place}.{when}"
    if run.state is RunState.CANCELLING:
        return f"{run.name} is being cancelled: {run.cancel_reason}."
    return f"{run.name} is {run.state.value}; {done} of {count} tasks done.{when}"


def _run_actions(run: Run, tasks: Sequence[TaskExplanation]) -> tuple[Action, ...]:
    """What can be done about the first task that failed, of a run that is over, or that waits, where none runs."""
    if run.state.is_end:
        told = [task for task in tasks if task.state is TaskState.FAILED]
    elif any(task.state is TaskState.RUNNING for task in tasks):
        told = []
    else:
        told = [task for task in tasks if task.waiting is not None and task.waiting.kind != "dependency"]
    return told[0].actions if told else ()


def _running(name: str, base: TaskExplanation, task: TaskRun, decision: Decision | None, scene: Scene) -> str:
    attempt = task.current
    text = f"{name} runs on {base.node}"
    if attempt.started_at is not None:
        text += f" since {clock(attempt.started_at)} ({span((scene.now - attempt.started_at).total_seconds())})"
    text += _chosen(attempt, decision)
    if base.ends is not None:
        return f"{text}. It should end {between(scene.now, base.ends.p10, base.ends.p90)}."
    said = predicted(decision) if decision else ""
    return f"{text}. It was predicted to take {said}." if said else f"{text}."


def _ended(
    name: str, run: Run, task: TaskRun, node: str | None, decision: Decision | None, found: Hindsight | None
) -> str:
    attempt = task.current
    if task.from_cache:
        return f"{name} did not run: the same work had been done before, and its result was reused."
    if task.state is TaskState.SKIPPED:
        return f"{name} was skipped: {SKIPPED.get(task.reason, task.reason or 'it was not needed')}."
    if task.state is TaskState.CANCELLED:
        return f"{name} was cancelled: {task.reason or run.cancel_reason or 'its run ended before it'}."
    if task.state is TaskState.FAILED:
        where = f" on {node}" if node else ""
        after = f" after {span(attempt.run_seconds)}" if attempt.run_seconds is not None else ""
        return f"{name} failed{where}{after}: {attempt.error.message if attempt.error else 'no reason given'}."
    if task.state is not TaskState.SUCCEEDED:
        return f"{name} is {task.state.value}."
    took = f" for {span(attempt.run_seconds)}" if attempt.run_seconds is not None else ""
    if node is None and not is_placeable(run, task.key.path):
        return f"{name} succeeded: the platform does this itself, and no node is chosen for it."
    if node is None:
        return f"{name} ran{took}; on which node is not known."
    text = f"{name} ran on {node}{took}{_chosen(attempt, decision)}."
    return f"{text} {how_it_went(found, node)}" if found is not None else text


def _chosen(attempt: Attempt, decision: Decision | None) -> str:
    """Who chose the node that it has, and why there, as the end of a sentence; empty if nothing tells."""
    if decision is not None and decision.node is not None:
        return f", {why_there(decision)}"
    return ", which the platform's own scheduler chose" if attempt.node is None else ""


def _after(run: Run, task: TaskRun) -> tuple[Action, ...]:
    if task.state is not TaskState.FAILED:
        return ()
    return (
        Action("Read what it printed.", f"mlopx logs {run.id} {task.key}"),
        Action("Run it and what follows again.", f"mlopx retry {run.id} --from {task.key.path}"),
    )


__all__ = ["Explainer"]
