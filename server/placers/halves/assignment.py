"""The second half of a strategy: which node. An assignment chooses among the nodes that can run a task.

It may choose a node without room at that time: the task then waits for it.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.node import Node
from server.domain.placement import WaitingTask
from server.placers.halves.cluster import Cluster, most_wished
from server.placers.halves.ordering import drawn_for
from server.planning.needs import Needs

DRAWS = 8
"""How often a node is drawn before all nodes are asked for room."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A node by index, why it was chosen in a few words, and the strategy's own figure (lower is better)."""

    node: int
    reason: str
    score: float | None = None


class Assignment(ABC):
    """Chooses nodes for the tasks of one request, in turn."""

    @abstractmethod
    def choose(self, task: WaitingTask, needs: Needs, cluster: Cluster, at: float) -> Choice:
        """A node of `needs.nodes` (never empty) for a task that is ready `at` seconds from now."""


class RandomNode(Assignment):
    """Any node that has room; where none has, any node that can run the task, and it waits there."""

    def choose(self, task: WaitingTask, needs: Needs, cluster: Cluster, at: float) -> Choice:
        chance = drawn_for(cluster.request, task.ref, "node")
        if not needs.preference and not cluster.is_full(needs, at):
            for _ in range(DRAWS):
                node = chance.choice(needs.nodes)
                if cluster.has_room(needs, node, at):
                    return Choice(node, "drawn among the nodes with room")
        free = cluster.with_room(needs, at)
        if free:
            return Choice(chance.choice(free), "drawn among the nodes with room")
        waiting_place = random.Random(f"{task.ref[0]}:{task.ref[1]}")  # the same every cycle, or the big ones starve
        return Choice(waiting_place.choice(most_wished(needs, needs.nodes)), "drawn, no node has room yet")


class InTurn(Assignment):
    """The next node in turn that has room; where none has, the next in turn, and the task waits there.

    The turn goes on from cycle to cycle: it begins after as many nodes as tasks were assigned so far.
    """

    def __init__(self, assigned_so_far: int) -> None:
        self.turn = assigned_so_far

    def choose(self, task: WaitingTask, needs: Needs, cluster: Cluster, at: float) -> Choice:
        begin = bisect_left(needs.nodes, self.turn % len(cluster.nodes))
        nodes: Sequence[int] = [*needs.nodes[begin:], *needs.nodes[:begin]]
        if needs.preference:
            nodes = _kept(nodes, cluster.with_room(needs, at) or most_wished(needs, nodes))
        free = cluster.first_with_room(needs, nodes, at)
        node = nodes[0] if free is None else free
        self.turn = node + 1
        return Choice(node, "next in turn" if free is not None else "next in turn, no node has room yet")


class LeastLoaded(Assignment):
    """The node with the fewest tasks, then the most cores, then the most memory; with room before without."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        by_size = sorted(range(len(nodes)), key=lambda index: _size(nodes[index]), reverse=True)
        self.rank = {node: rank for rank, node in enumerate(by_size)}

    def choose(self, task: WaitingTask, needs: Needs, cluster: Cluster, at: float) -> Choice:
        loads = cluster.loads_with_room(needs, at)
        loads = loads or [(cluster.tasks_on(node, at), node) for node in cluster.comparable(needs)]
        tasks, _, node = min([(tasks, self.rank[node], node) for tasks, node in loads])
        return Choice(node, f"fewest tasks ({tasks}), then most cores and memory", float(tasks))


def _size(node: Node) -> tuple[int, int]:
    return node.allocatable.cpu_millicores, node.allocatable.memory_bytes


def _kept(nodes: Sequence[int], wished: Sequence[int]) -> Sequence[int]:
    keep = set(wished)
    return [node for node in nodes if node in keep]


__all__ = ["Assignment", "Choice", "InTurn", "LeastLoaded", "RandomNode"]
