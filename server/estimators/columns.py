"""The nodes that are asked about, and which of them are one machine to a task: equal class and equal speeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.domain.node import Node
from server.estimators.classes import node_class
from server.estimators.machines import Machine, MachineSpeeds

Kind = tuple[Machine, MachineSpeeds]


class Columns:
    """Nodes as columns of a table. `kind_of_node[is accelerated]` gives each node's kind, an index into `kinds`."""

    def __init__(self, nodes: Sequence[Node], speeds: Callable[[Node, bool], MachineSpeeds]) -> None:
        self.nodes = nodes
        self.position = {node.name: index for index, node in enumerate(nodes)}
        numbered: dict[Kind, int] = {}
        self.kind_of_node = {
            is_accelerated: [
                numbered.setdefault(((node_class(node), is_accelerated), speeds(node, is_accelerated)), len(numbered))
                for node in nodes
            ]
            for is_accelerated in (False, True)
        }
        self.kinds = list(numbered)

    def are_of(self, nodes: Sequence[Node]) -> bool:
        """Whether these nodes are the same to a task."""
        return len(nodes) == len(self.nodes) and all(map(_is_like, nodes, self.nodes))


def _is_like(one: Node, other: Node) -> bool:
    return one is other or (
        one.name == other.name
        and one.speed == other.speed
        and one.speeds == other.speeds
        and one.allocatable.cpu_millicores == other.allocatable.cpu_millicores
        and node_class(one) == node_class(other)
    )


__all__ = ["Columns", "Kind"]
