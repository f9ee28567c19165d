"""Binding at submission: a run is handed over with a node for every task, as soon as its first tasks can start."""

from __future__ import annotations

from collections.abc import Mapping

from server.components.decision_unit import Outcome
from server.components.handing_over import whole_runs
from server.domain.errors import ConfigurationError
from server.domain.events import RunPlaced
from server.domain.placement import PlacementRequest
from server.simulation.agenda import Agenda
from server.simulation.deciding import Decider
from server.simulation.graph_driver import GraphDriver
from server.simulation.ledger import Ledger
from server.simulation.work import Work
from server.simulation.world import World


class WholeRuns:
    """Does what a cycle decided, run by run."""

    def __init__(
        self, agenda: Agenda, ledger: Ledger, world: World, works: Mapping[str, Work], *, decider: Decider
    ) -> None:
        self._ledger, self._decider = ledger, decider
        self._driver = GraphDriver(agenda, ledger, world, works)

    def act(self, request: PlacementRequest, outcome: Outcome) -> None:
        """Hand over the runs that can start. Raises ConfigurationError for a strategy that leaves tasks open."""
        for run_id, event in whole_runs(request.runs, outcome, request.now):
            if not isinstance(event, RunPlaced):
                continue
            open_tasks = [str(task.key) for task in event.tasks if task.node is None]
            if open_tasks:
                raise ConfigurationError(
                    f"{outcome.strategy} gave task {open_tasks[0]} of run {run_id} no node",
                    hint="strategies that place only what is ready need binding = 'when_ready'",
                )
            run = self._ledger.apply(run_id, event)
            if run is not None:
                for task in event.tasks:
                    self._decider.count_assignment(task.node or "")
                self._driver.take(run)


__all__ = ["WholeRuns"]
