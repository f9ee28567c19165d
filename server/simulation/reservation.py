"""The rule of the original MLOpX: a pipeline starts when all its nodes are free, and then has them for itself alone.

Placements are made once, at the end of the window in which a run arrived, for nodes as if they were empty. The runs
then wait in the order of the plan; a later one may overtake when all its nodes are free (Rodrigues et al., Electronics
2025, 14(13), 2555; behaviour as its public sources show it).

When a node is given back is read off the published waits of its round robin: the next pipelines start when the task
*after* the one on their node has ended (`release = "next"`), neither at once nor only at the end of the run.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.components.decision_unit import Outcome
from server.domain.events import PlannedTask, RunPlaced
from server.domain.lifecycle import Change
from server.domain.node import Occupancy
from server.domain.placement import Placement, PlacementRequest
from server.domain.resources import Resources
from server.domain.run import Run, TaskKey
from server.simulation.agenda import DECIDES, Agenda
from server.simulation.deciding import Decider
from server.simulation.graph_driver import GraphDriver
from server.simulation.ledger import Ledger
from server.simulation.rules import Rules
from server.simulation.work import Work
from server.simulation.world import World


class Reserving:
    """Waiting list and reserved nodes."""

    def __init__(
        self,
        agenda: Agenda,
        ledger: Ledger,
        world: World,
        works: Mapping[str, Work],
        *,
        decider: Decider,
        rules: Rules,
    ) -> None:
        self._agenda, self._ledger, self._world, self._rules, self._decider = agenda, ledger, world, rules, decider
        self._driver = GraphDriver(agenda, ledger, world, works)
        self._driver.on_task_end = self._task_ended
        self._chosen: dict[str, dict[TaskKey, Placement]] = {}
        self._waiting: list[str] = []
        self._reserved: dict[str, str] = {}
        self._looks_at = -1.0
        decider.picks = self._picks
        decider.held = self._held
        ledger.listen(self._notice)

    def act(self, request: PlacementRequest, outcome: Outcome) -> None:
        """Note the nodes of the new runs, in the order of the plan, and start those whose nodes are free."""
        for placement in outcome.plan.placements:
            if placement.run_id not in self._chosen:
                self._chosen[placement.run_id] = {}
                self._waiting.append(placement.run_id)
            self._chosen[placement.run_id][placement.key] = placement
            self._decider.count_assignment(placement.node)
        self._start_what_can()

    def _picks(self, run: Run) -> bool:
        """A run is placed once."""
        return run.id not in self._chosen

    def _held(self) -> list[Occupancy]:
        """Tasks assigned to a node and not over count on it, and hold nothing: nodes are chosen as if empty."""
        open_tasks = (
            placement
            for run_id, chosen in self._chosen.items()
            if run_id in self._ledger.runs
            for key, placement in chosen.items()
            if not self._ledger.runs[run_id].tasks[key].state.is_end
        )
        return [Occupancy(placement.node, Resources()) for placement in open_tasks]

    def _start_what_can(self) -> None:
        down = {machine.name for machine in self._world.machines.values() if not machine.is_up}
        for run_id in list(self._waiting):
            nodes = {placement.node for placement in self._chosen[run_id].values()}
            if nodes & (self._reserved.keys() | down):
                continue
            self._waiting.remove(run_id)
            self._reserved.update(dict.fromkeys(nodes, run_id))
            planned = tuple(
                PlannedTask(key=key, node=placement.node, option=placement.option)
                for key, placement in self._chosen[run_id].items()
            )
            run = self._ledger.apply(run_id, RunPlaced(at=self._agenda.now, tasks=planned))
            if run is not None:
                self._driver.take(run)

    def _task_ended(self, run: Run, path: str) -> None:
        """Give back nodes that the run needs no more, where they are not kept to its end."""
        if self._rules.release == "run":
            return
        order = run.graph.order
        is_open = [not run.tasks[TaskKey(one)].state.is_end for one in order]
        if self._rules.release == "next":
            is_open = [here or (index + 1 < len(order) and is_open[index + 1]) for index, here in enumerate(is_open)]
        chosen = self._chosen[run.id]
        needed = {chosen[TaskKey(one)].node for one, here in zip(order, is_open, strict=True) if here}
        self._release(run.id, keep=needed)

    def _notice(self, change: Change) -> None:
        if change.run.state.is_end:
            self._release(change.run.id, keep=set())

    def _release(self, run_id: str, keep: set[str]) -> None:
        freed = [node for node, owner in self._reserved.items() if owner == run_id and node not in keep]
        for node in freed:
            del self._reserved[node]
        poll, now = self._rules.poll_seconds, self._agenda.seconds
        if freed and self._looks_at < now:
            self._looks_at = now if poll <= 0 else -(-now // poll) * poll
            self._agenda.at(self._looks_at, self._start_what_can, DECIDES)


__all__ = ["Reserving"]
