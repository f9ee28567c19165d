"""Any order, any node: the floor that every other strategy has to beat."""

from __future__ import annotations

from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest
from server.placers.halves import RandomNode, at_random, plan_in_turn
from server.placers.interface import PlacerInterface


class RandomRandom(PlacerInterface):
    """Tasks in random order, each on a random node that has room for it."""

    name: ClassVar[str] = "random_random"
    summary: ClassVar[str] = "Takes tasks in random order and gives each a random node that has room."
    source: ClassVar[str] = "baseline of Rodrigues et al., Electronics 2025, 14(13), 2555"
    looks_ahead: ClassVar[bool] = False

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Compose: any order, any node."""
        return plan_in_turn(request, at_random, RandomNode())
