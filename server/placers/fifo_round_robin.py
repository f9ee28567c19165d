"""First come, first served, on one node after the other."""

from __future__ import annotations

from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest
from server.placers.halves import InTurn, first_come, plan_in_turn
from server.placers.interface import PlacerInterface


class FifoRoundRobin(PlacerInterface):
    """Tasks in submission order, each on the next node in turn; nodes without room are skipped."""

    name: ClassVar[str] = "fifo_round_robin"
    summary: ClassVar[str] = "Takes tasks in submission order and gives each the next node in turn that has room."
    source: ClassVar[str] = "baseline of Rodrigues et al., Electronics 2025, 14(13), 2555"
    looks_ahead: ClassVar[bool] = False
    takes_turns: ClassVar[bool] = True

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Compose: submission order, nodes in turn; the turn goes on where the tasks assigned so far left it."""
        return plan_in_turn(request, first_come, InTurn(sum(request.history.values())))
