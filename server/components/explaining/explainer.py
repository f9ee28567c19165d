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
from server.components.explaining.scene import EstimateAll, Scene, make_scene
from server.components.explaining.texts import between, clock, names, span
from server.components.explaining.track import ForecastTrack
from server.components.explaining.values import Action, Band, Hindsight, RunExplanation, TaskExplanation, Waiting
from server.components.explaining.verdicts import node_verdicts
from server.components.explaining.waiting import ACCEPT, what_it_waits_for, what_to_do
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.scheduler import Scheduler
from server.domain.errors import NotFoundError
from server.domain.lifecycle import Change
from server.domain.network import NodeNetwork
from server.domain.placement import Decision, Estimates, TaskRef, WaitingRun, WaitingTask
from server.domain.request import Defaults, options_of, waiting_task
from server.domain.run import Run, TaskKey, TaskRun
from server.domain.states import RunState, TaskState
from server.stores.interface import RunStoreInterface

FRESH_SECONDS = 1.0
"""A scene serves everybody who asks within this time."""

LARGEST_SHARE = 10
"""A scene that takes long to make serves so many times as long."""

SKIPPED = {"condition": "its condition did not hold", "upstream-failed": "a task it needs did not succeed"}
MOST_VERDICTS = 100_000
"""Pairs of ready tasks and nodes up to which an explanation of a whole run asks every node about every task."""

WAITING = (TaskState.PENDING, TaskState.READY, TaskState.PLACED, TaskState.QUEUED)
UNBOUND = (TaskState.PENDING, TaskState.READY)


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
        self._scene: Scene | None = None
        self._waits: tuple[Scene, Mapping[TaskRef, Waiting]] | None = None
        self._making = asyncio.Lock()
        self._seconds = 0.0

    async def scene(self, run: Run | None = None) -> Scene:
        """The picture of this moment, about a second old at most; with this run in it, if it is live."""
        async with self._making:
            now = self._scheduler.now()
            is_missing = run is not None and not run.state.is_end and self._scene and run.id not in self._scene.runs
            age = (now - self._scene.now).total_seconds() if self._scene is not None else 0.0
            if self._scene is None or is_missing or age > max(FRESH_SECONDS, LARGEST_SHARE * self._seconds):
                positions: dict[tuple[str, TaskKey], int] = {}
                for index, entry in enumerate(self._scheduler.queue()):
                    positions[(entry.run_id, entry.key)] = index + 1
                made = await asyncio.to_thread(
                    make_scene,
                    self._journal.live(),
                    now=now,
                    snapshot=self._node_manager.current(),
                    plan=self._scheduler.plan,
                    positions=positions,
                    strategy=self._scheduler.answered_by,
                    estimate=self._estimate,
                    defaults=self._defaults,
                    network=self._network,
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
        scene = await self.scene()
        if self._waits is None or self._waits[0] is not scene:
            runs = {run.id: run for run in self._journal.live()}
            self._waits = (scene, await asyncio.to_thread(waits_of, runs, scene, self._defaults))
        return scene, self._waits[1]

    async def run(self, run_id: str) -> RunExplanation:
        """A whole run. Raises NotFoundError."""
        run = await self._journal.run(run_id)
        scene = await self.scene(run)
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
        scene = await self.scene(run)
        decisions = await asyncio.to_thread(self._store.decisions, run_id, task=key)
        estimates = await asyncio.to_thread(self._estimates_of, run, scene)
        return self._explain_task(run, run.tasks[key], scene, decisions[-1] if decisions else None, estimates)

    def _explain(self, run: Run, scene: Scene, decisions: Sequence[Decision]) -> RunExplanation:
        newest: Mapping[TaskKey, Decision] = {decision.key: decision for decision in decisions}
        estimates = self._estimates_of(run, scene)
        ready = sum(task.state is TaskState.READY for task in run.tasks.values())
        asks = (TaskState.READY,) if ready * len(scene.snapshot.nodes) <= MOST_VERDICTS else ()
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
            counts=Counter(task.state.value for task in tasks),
        )

    def _explain_task(
        self,
        run: Run,
        task: TaskRun,
        scene: Scene,
        decision: Decision | None,
        estimates: Estimates,
        asks: tuple[TaskState, ...] = UNBOUND,
    ) -> TaskExplanation:
        """`asks`: in which states the nodes are asked about the task."""
        view = waiting_task(run, task, self._defaults)
        ref, name, attempt = (run.id, task.key), str(task.key), task.current
        node = attempt.actual_node or attempt.node
        is_known = run.id not in scene.silent
        base = TaskExplanation(
            key=task.key,
            state=task.state,
            sentence="",
            node=node,
            planned_node=scene.plan[ref].node if task.state in UNBOUND and ref in scene.plan else None,
            position=scene.positions.get(ref),
            starts=scene.starts.get(ref) if is_known and task.state in WAITING else None,
            ends=scene.ends.get(ref) if is_known and not task.state.is_end else None,
            decision=decision,
            warnings=self._warnings(run, task, view, estimates if task.state.is_end else scene.estimates),
        )
        if task.state in WAITING and not run.state.is_end:
            return self._explain_waiting(base, run, task, view, scene, is_asking=task.state in asks)
        if task.state is TaskState.RUNNING:
            why = why_there(decision) if decision is not None and decision.node is not None else ""
            return replace(base, sentence=_running(name, base, task, decision, scene), why=why)
        found = hindsight(decision, attempt, view, estimates) if decision and node and attempt.run_seconds else None
        ended = _ended(name, run, task, node, decision, found)
        return replace(base, sentence=ended, hindsight=found, actions=_after(run, task))

    def _warnings(self, run: Run, task: TaskRun, view: WaitingTask, estimates: Estimates) -> tuple[str, ...]:
        """What does not fit about what its author asks for; of a task that has its node, with the option it has."""
        definition = run.graph.task(task.key.path)
        options = options_of(definition, run.graph.component(task.key.path), self._defaults)
        return memory_warnings(replace(view, options=options), estimates, task.current.option)

    def _explain_waiting(
        self, base: TaskExplanation, run: Run, task: TaskRun, view: WaitingTask, scene: Scene, *, is_asking: bool
    ) -> TaskExplanation:
        verdicts = node_verdicts(view, scene.snapshot, scene.estimates) if is_asking else ()
        if task.state is TaskState.READY and not is_asking:
            waiting: Waiting | None = Waiting("capacity", task.hold or "is about to be placed")
        else:
            waiting = what_it_waits_for(run, task, view, verdicts, scene)
        if waiting is None:
            return replace(base, sentence=f"{task.key} is {task.state.value}.", nodes=verdicts)
        actions = what_to_do(run, task, waiting, view, verdicts, scene)
        offered = next((one.command for one in actions if one.command and one.command.startswith(ACCEPT)), None)
        return replace(
            base,
            sentence=f"{task.key} {waiting.text}{f': `{offered}`' if offered else ''}.",
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
        return f"{run.name} {run.state.value}{took}{f': {run.error}' if run.error else ''}."
    when = f" It should be done {between(scene.now, ends.p10, ends.p90)}." if ends else ""
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


def _running(name: str, base: TaskExplanation, task: TaskRun, decision: Decision | None, scene: Scene) -> str:
    attempt = task.current
    text = f"{name} runs on {base.node}"
    if attempt.started_at is not None:
        text += f" since {clock(attempt.started_at)} ({span((scene.now - attempt.started_at).total_seconds())})"
    if decision is not None and decision.node is not None:
        text += f", {why_there(decision)}"
    if base.ends is not None:
        return f"{text}. It should end {between(scene.now, base.ends.p10, base.ends.p90)}."
    said = predicted(decision) if decision else ""
    return f"{text}. Predicted are {said}." if said else f"{text}."


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
    if task.state is not TaskState.SUCCEEDED or node is None:
        return f"{name} is {task.state.value}."
    text = f"{name} ran on {node}" + (f" for {span(attempt.run_seconds)}" if attempt.run_seconds is not None else "")
    text += f", {why_there(decision)}." if decision is not None and decision.node is not None else "."
    return f"{text} {how_it_went(found, node)}" if found is not None else text


def _after(run: Run, task: TaskRun) -> tuple[Action, ...]:
    if task.state is not TaskState.FAILED:
        return ()
    return (
        Action("Read what it printed.", f"mlopx logs {run.id} {task.key}"),
        Action("Run it and what follows again.", f"mlopx retry {run.id} --from {task.key.path}"),
    )


__all__ = ["Explainer"]
