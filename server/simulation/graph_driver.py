"""A platform that takes whole runs and drives their graphs itself, as Kubeflow Pipelines does.

A task's pod is made when its upstreams have ended; it waits on the node it was given until its requests fit there, in
the order of coming, as pending pods do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from server.domain import events as happened
from server.domain.lifecycle import Change
from server.domain.run import Run, TaskKey
from server.domain.states import RunState, TaskState
from server.simulation.agenda import Agenda
from server.simulation.ledger import Ledger
from server.simulation.work import Work
from server.simulation.world import World

Waiting = tuple[str, TaskKey, int]


class GraphDriver:
    """Drives handed-over runs. `on_task_end` tells whoever reserved nodes for them."""

    def __init__(self, agenda: Agenda, ledger: Ledger, world: World, works: Mapping[str, Work]) -> None:
        self._agenda, self._ledger, self._world, self._works = agenda, ledger, world, works
        self._queues: dict[str, list[Waiting]] = {}
        self.on_task_end: Callable[[Run, str], None] = lambda run, path: None
        world.on_end = lambda going: self._serve(going.machine.name)
        world.on_nodes_change = self._chained(world.on_nodes_change)
        ledger.listen(self._notice)

    def take(self, run: Run) -> None:
        """A run is handed over: make the pods of its first tasks."""
        handed = self._ledger.apply(
            run.id, happened.RunHandedOver(at=self._agenda.now, platform_run_id=f"simulated-{run.id}")
        )
        if handed is not None:
            self._make_pods(handed, run.graph.order)

    def _make_pods(self, run: Run, paths: tuple[str, ...]) -> None:
        for path in paths:
            upstreams = run.graph.waits_for[path]
            if all(run.tasks[TaskKey(one)].state is TaskState.SUCCEEDED for one in upstreams):
                key = TaskKey(path)
                task = run.tasks[key]
                if task.state is TaskState.PENDING:
                    event = happened.TaskBecameReady(at=self._agenda.now, key=key, attempt=task.current.number)
                    run = self._ledger.apply(run.id, event) or run
                    self._wait(run, key)

    def _wait(self, run: Run, key: TaskKey) -> None:
        attempt = run.tasks[key].current
        node = attempt.node or _planned(run, key)
        self._queues.setdefault(node, []).append((run.id, key, attempt.number))
        self._serve(node)

    def _serve(self, node: str) -> None:
        """Start, in the order of coming, every pod that fits on its node; smaller ones overtake."""
        machine = self._world.machines[node]
        queue = self._queues.get(node)
        if not queue or not (machine.is_up and machine.is_there):
            return
        free = machine.node.allocatable
        for going in machine.going:
            free = free - going.way.amounts()
        left: list[Waiting] = []
        self._queues[node] = left
        for run_id, key, number in queue:
            run = self._ledger.runs.get(run_id)
            if run is None or _is_broken(run):
                continue
            option = run.tasks[key].attempts[0].option
            asked = self._works[run_id].tasks[key.path].way(option).amounts()
            if not asked.fits_in(free):
                left.append((run_id, key, number))
                continue
            free = free - asked
            self._world.bind(run, self._works[run_id], key, number, node, option)

    def _notice(self, change: Change) -> None:
        """Follow the graph after the event is written, at the same instant."""
        run_id = change.run.id
        for event in change.events:
            if isinstance(event, happened.TaskSucceeded | happened.TaskFailed):
                self._agenda.after(0, lambda path=event.key.path: self._go_on(run_id, path))  # type: ignore[misc]
            elif isinstance(event, happened.TaskLost):
                self._agenda.after(0, lambda key=event.key: self._again(run_id, key))  # type: ignore[misc]

    def _go_on(self, run_id: str, path: str) -> None:
        """A task has ended: make the next pods, or end the run."""
        run = self._ledger.runs.get(run_id)
        if run is None:
            return
        self.on_task_end(run, path)
        if _is_broken(run):
            if not any(task.state.is_bound for task in run.tasks.values()):
                event = happened.RunEnded(at=self._agenda.now, state=RunState.FAILED, error="a task failed")
                self._ledger.apply(run_id, event)
        elif all(task.state is TaskState.SUCCEEDED for task in run.tasks.values()):
            self._ledger.apply(run_id, happened.RunEnded(at=self._agenda.now, state=RunState.SUCCEEDED))
        else:
            self._make_pods(run, run.graph.dependents[path])

    def _again(self, run_id: str, key: TaskKey) -> None:
        run = self._ledger.runs.get(run_id)
        if run is not None and run.tasks[key].state is TaskState.READY:
            self._wait(run, key)

    def _chained(self, before: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            before()
            for node in list(self._queues):
                self._serve(node)

        return both


def _planned(run: Run, key: TaskKey) -> str:
    """The node of a task's first attempt: a pod that is made again still has its node selector."""
    return run.tasks[key].attempts[0].node or ""


def _is_broken(run: Run) -> bool:
    return any(task.state is TaskState.FAILED for task in run.tasks.values())


__all__ = ["GraphDriver"]
