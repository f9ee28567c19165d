"""What the strategy would do with a run that is not ours: asked on the present cluster, and only noted down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from server.components.clock import Clock
from server.components.cycle import CycleSettings, question
from server.components.decision_unit import DecisionUnit, Outcome
from server.components.handing_over import placeable_part
from server.components.node_manager import NodeManager
from server.domain.node import Node
from server.domain.placement import Estimates, WaitingRun
from server.domain.run import TaskKey
from server.planning.needs import NeedsTable

Estimate = Callable[[Sequence[WaitingRun], Sequence[Node]], Estimates]


class Shadowing:
    """Asks the strategy about one run alone."""

    def __init__(
        self,
        decision_unit: DecisionUnit,
        node_manager: NodeManager,
        estimate: Estimate,
        clock: Clock,
        settings: CycleSettings,
    ) -> None:
        self._decision_unit, self._node_manager = decision_unit, node_manager
        self._estimate, self._clock, self._settings = estimate, clock, settings

    async def nodes(self, run: WaitingRun) -> Mapping[str, str]:
        """The node of every task, by path; tasks that would not be placed are left out."""
        outcome = await self._ask(run)
        return {placement.key.path: placement.node for placement in outcome.plan.placements} if outcome else {}

    async def starts(self, run: WaitingRun) -> Mapping[TaskKey, str]:
        """The nodes on which tasks of the run could start now."""
        outcome = await self._ask(run)
        return {placement.key: placement.node for placement in outcome.bind_now} if outcome else {}

    async def _ask(self, run: WaitingRun) -> Outcome | None:
        snapshot = self._node_manager.current()
        if not snapshot.nodes:
            return None
        run = placeable_part(run, NeedsTable(snapshot.nodes))
        request = question(
            0,
            self._clock.now(),
            [run],
            snapshot,
            self._estimate([run], snapshot.nodes),
            settings=self._settings,
            history=self._node_manager.assignments(),
        )
        return await self._decision_unit.decide(request)


__all__ = ["Shadowing"]
