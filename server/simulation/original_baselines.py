"""The original's own baselines: only for the comparison with the paper. The strategies of the same names are mended.

After Rodrigues et al., Electronics 2025, 14(13), 2555, and the behaviour of its public sources: pipeline by pipeline,
and task by task within one, a node that has the memory, taken as if it were empty. Nothing is known of seconds.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from server.domain.node import Node
from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest, WaitingRun
from server.placers.halves import NeedsTable
from server.placers.interface import PlacerInterface
from server.simulation.original_custom import platform_option

SOURCE = "baseline of Rodrigues, Corona, Antunes, Aguiar, Electronics 2025, 14(13), 2555"


class _Original(PlacerInterface):
    """Every task of every run, once. Subclasses say in which order runs come, and which of the able nodes is taken."""

    source: ClassVar[str] = SOURCE
    looks_ahead: ClassVar[bool] = False

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Place run by run, task by task."""
        nodes, table = request.snapshot.nodes, NeedsTable(request.snapshot.nodes)
        luck = random.Random(f"{request.seed}:{request.cycle}")
        turn = sum(request.history.values())
        placements: list[Placement] = []
        holds: list[Hold] = []
        for run in self.ordered(request.runs, luck):
            for task in run.tasks:
                able = [nodes[index] for index in table.of(task).nodes]
                if not able:
                    holds.append(Hold(task.run_id, task.key, "no node can run it"))
                    continue
                node, turn = self.chosen(nodes, able, turn, luck)
                placements.append(Placement(task.run_id, task.key, node.name, platform_option(task, node)))
        return PlacementPlan(tuple(placements), tuple(holds))

    def ordered(self, runs: Sequence[WaitingRun], luck: random.Random) -> Sequence[WaitingRun]:
        """As submitted."""
        return runs

    def chosen(self, nodes: Sequence[Node], able: Sequence[Node], turn: int, luck: random.Random) -> tuple[Node, int]:
        """Any of the able ones."""
        return luck.choice(able), turn


class OriginalRandomRandom(_Original):
    """Pipelines in any order, each task on any node with enough memory."""

    name: ClassVar[str] = "original_random_random"
    summary: ClassVar[str] = "The original's random order and nodes, for comparison with its paper."

    def ordered(self, runs: Sequence[WaitingRun], luck: random.Random) -> Sequence[WaitingRun]:
        """In any order."""
        return luck.sample(list(runs), len(runs))


class OriginalFifoRandom(_Original):
    """Pipelines as submitted, each task on any node with enough memory."""

    name: ClassVar[str] = "original_fifo_random"
    summary: ClassVar[str] = "The original's submission order and random nodes, for comparison with its paper."


class OriginalRoundRobin(_Original):
    """Pipelines as submitted, their tasks on one node after the other; nodes without memory are passed over."""

    name: ClassVar[str] = "original_round_robin"
    summary: ClassVar[str] = "The original's submission order and nodes in turn, for comparison with its paper."

    def chosen(self, nodes: Sequence[Node], able: Sequence[Node], turn: int, luck: random.Random) -> tuple[Node, int]:
        """The next that is able."""
        names = {node.name for node in able}
        while nodes[turn % len(nodes)].name not in names:
            turn += 1
        return nodes[turn % len(nodes)], turn + 1


__all__ = ["OriginalFifoRandom", "OriginalRandomRandom", "OriginalRoundRobin"]
