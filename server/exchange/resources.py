"""Which resources a problem counts, and how much of each nodes have and tasks ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.exchange.document import NodeEntry, Requests
from server.planning.problem import Floats

SLOTS, CPUS, MEMORY, PODS = "slots", "cpus", "memory_bytes", "pods"


@dataclass(frozen=True, slots=True)
class Columns:
    """The resources that are counted: `slots` where a node runs one task at a time, then what any node states.

    `plenty` is a capacity for what a node does not state: as much as all tasks together ask for.
    """

    names: tuple[str, ...]
    plenty: tuple[float, ...]

    @classmethod
    def of(cls, nodes: Sequence[NodeEntry], asked: Sequence[Requests]) -> Columns:
        """What the nodes state and the tasks ask for."""
        kinds = dict.fromkeys(
            [*(k for node in nodes for k in node.accelerators), *(k for one in asked for k in one.accelerators)]
        )
        names = [
            *([SLOTS] if any(is_exclusive(node) for node in nodes) else []),
            *([CPUS] if any(node.cpus is not None for node in nodes) else []),
            *([MEMORY] if any(node.memory_bytes is not None for node in nodes) else []),
            *([PODS] if any(node.pods is not None for node in nodes) else []),
            *kinds,
        ]
        if not names:
            names = [CPUS]
        totals = [1.0 + sum(_amount(requests, name) for requests in asked) for name in names]
        return cls(tuple(names), tuple(totals))

    def demand(self, asked: Sequence[Requests]) -> Floats:
        """[len(asked), r]."""
        rows = [[_amount(requests, name) for name in self.names] for requests in asked]
        return np.array(rows, float).reshape(len(asked), len(self.names))

    def capacity(self, nodes: Sequence[NodeEntry]) -> Floats:
        """[m, r]."""
        rows = [
            [_has(node, name, plenty) for name, plenty in zip(self.names, self.plenty, strict=True)] for node in nodes
        ]
        return np.array(rows, float)


def is_exclusive(node: NodeEntry) -> bool:
    """Whether it runs one task at a time: it says so, or says nothing of what it has."""
    if node.exclusive is not None:
        return node.exclusive
    return node.cpus is None and node.memory_bytes is None and node.pods is None and not node.accelerators


def _amount(requests: Requests, name: str) -> float:
    if name == SLOTS:
        return 1.0
    if name == CPUS:
        return 1.0 if requests.cpus is None else requests.cpus
    if name == PODS:
        return requests.pods
    return requests.memory_bytes if name == MEMORY else requests.accelerators.get(name, 0.0)


def _has(node: NodeEntry, name: str, plenty: float) -> float:
    if name == SLOTS:
        return 1.0 if is_exclusive(node) else plenty
    stated = {CPUS: node.cpus, MEMORY: node.memory_bytes, PODS: node.pods}
    if name not in stated:
        return node.accelerators.get(name, 0.0)
    found = stated[name]
    return plenty if found is None else found


__all__ = ["CPUS", "MEMORY", "PODS", "SLOTS", "Columns", "is_exclusive"]
