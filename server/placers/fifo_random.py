"""First come, first served, on any node."""

from __future__ import annotations

from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest
from server.placers.halves import RandomNode, first_come, plan_in_turn
from server.placers.interface import PlacerInterface


class FifoRandom(PlacerInterface):
    """Tasks in submission order, each on a random node that has room for it."""

    name: ClassVar[str] = "fifo_random"
    summary: ClassVar[str] = "Takes tasks in submission order and gives each a random node that has room."
    source: ClassVar[str] = "baseline of Rodrigues et al., Electronics 2025, 14(13), 2555"
    looks_ahead: ClassVar[bool] = False
    takes_turns: ClassVar[bool] = True

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Compose: submission order, any node."""
        return plan_in_turn(request, first_come, RandomNode())
