"""First come, first served, on the node with the least to do. Simple and never far off: the fallback of all others."""

from __future__ import annotations

from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest
from server.placers.halves import LeastLoaded, first_come, plan_in_turn
from server.placers.interface import PlacerInterface


class FifoGreedy(PlacerInterface):
    """Tasks in submission order, each on the node with the fewest tasks, then more cores, then more memory."""

    name: ClassVar[str] = "fifo_greedy"
    summary: ClassVar[str] = "Takes tasks in submission order and gives each the node with the fewest tasks."
    source: ClassVar[str] = "baseline of Rodrigues et al., Electronics 2025, 14(13), 2555"
    looks_ahead: ClassVar[bool] = False
    takes_turns: ClassVar[bool] = True

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Compose: submission order, least loaded node."""
        return plan_in_turn(request, first_come, LeastLoaded(request.snapshot.nodes))
