"""What moving data between nodes costs, as far as somebody says it: part of what a strategy is told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from server.domain.datasets import DatasetUse
from server.domain.node import ZONE_LABEL, Node


@dataclass(frozen=True, slots=True)
class Zones:
    """Zones of nodes, by a label of theirs.

    Attributes:
        bytes_per_second: what one transfer between nodes of different zones does at most.
        within: what the network card of a node does, by zone, where that is not as elsewhere.
        of_pair: what one transfer between two zones does at most; names in alphabetical order.
        label: whose value is a node's zone.
    """

    bytes_per_second: float
    within: Mapping[str, float] = field(default_factory=dict)
    of_pair: Mapping[tuple[str, str], float] = field(default_factory=dict)
    label: str = ZONE_LABEL

    def between(self, one: str, other: str) -> float:
        """Bytes per second of one transfer between nodes of these zones at most; no limit within one."""
        if one == other:
            return math.inf
        return self.of_pair.get((min(one, other), max(one, other)), self.bytes_per_second)


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """The network between nodes.

    Attributes:
        bytes_per_second: what a node's network card does in each direction.
        of_node: the same for single nodes, by name.
        latency_seconds: added to each transfer between two nodes.
        is_shared: whether transfers to one node at the same time share its card.
        zones: what zones do, where there are some.
        zone_of: zone by node, of those that have one (`among`); nothing is slower from or to others.
    """

    bytes_per_second: float
    of_node: Mapping[str, float] = field(default_factory=dict)
    latency_seconds: float = 0.0
    is_shared: bool = True
    zones: Zones | None = None
    zone_of: Mapping[str, str] = field(default_factory=dict)

    def among(self, nodes: Iterable[Node]) -> NodeNetwork:
        """The network with the zones of these nodes, by their labels."""
        if self.zones is None:
            return self
        label = self.zones.label
        return replace(self, zone_of={node.name: node.labels[label] for node in nodes if node.labels.get(label)})

    def rate(self, node: str) -> float:
        """Bytes per second of a node's card."""
        own = self.of_node.get(node)
        if own is None and self.zones is not None and node in self.zone_of:
            own = self.zones.within.get(self.zone_of[node])
        return self.bytes_per_second if own is None else own

    def between(self, source: str, target: str) -> float:
        """What a transfer between two nodes does at most because of their zones; no limit where they have none."""
        if self.zones is None or source not in self.zone_of or target not in self.zone_of:
            return math.inf
        return self.zones.between(self.zone_of[source], self.zone_of[target])

    def link(self, source: str, target: str) -> float:
        """Bytes per second of a transfer from one node to another, if nothing else uses the network."""
        return min(self.rate(source), self.rate(target), self.between(source, target))

    def seconds(self, inputs: Mapping[str, float], node: str, datasets: Iterable[DatasetUse] = ()) -> float:
        """Seconds until `inputs` (node where they lie to bytes) and data sets are on a node, if nothing else uses the
        network. A data set comes from its place to a node without a copy."""
        each = [size / self.link(source, node) for source, size in inputs.items() if source != node]
        each.extend(one.size_bytes / self.arrival(one, node) for one in datasets if node not in one.nodes)
        if not each:
            return 0.0
        return self.latency_seconds + (sum(each) if self.is_shared else max(each))

    def arrival(self, dataset: DatasetUse, node: str) -> float:
        """Bytes per second at which a data set comes to a node from its place."""
        own = self.rate(node)
        return own if dataset.bytes_per_second is None else min(own, dataset.bytes_per_second)


__all__ = ["NodeNetwork", "Zones"]
