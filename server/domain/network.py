"""What moving data between nodes costs, as far as somebody says it: part of what a strategy is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from server.domain.datasets import DatasetUse


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """The network between nodes.

    Attributes:
        bytes_per_second: what a node's network card does in each direction.
        of_node: the same for single nodes, by name.
        latency_seconds: added to each transfer between two nodes.
        is_shared: whether transfers to one node at the same time share its card.
    """

    bytes_per_second: float
    of_node: Mapping[str, float] = field(default_factory=dict)
    latency_seconds: float = 0.0
    is_shared: bool = True

    def rate(self, node: str) -> float:
        """Bytes per second of a node's card."""
        return self.of_node.get(node, self.bytes_per_second)

    def seconds(self, inputs: Mapping[str, float], node: str, datasets: Iterable[DatasetUse] = ()) -> float:
        """Seconds until `inputs` (node where they lie to bytes) and data sets are on a node, if nothing else uses the
        network. A data set comes from its place to a node without a copy."""
        each = [size / min(self.rate(source), self.rate(node)) for source, size in inputs.items() if source != node]
        each.extend(one.size_bytes / self.arrival(one, node) for one in datasets if node not in one.nodes)
        if not each:
            return 0.0
        return self.latency_seconds + (sum(each) if self.is_shared else max(each))

    def arrival(self, dataset: DatasetUse, node: str) -> float:
        """Bytes per second at which a data set comes to a node from its place."""
        own = self.rate(node)
        return own if dataset.bytes_per_second is None else min(own, dataset.bytes_per_second)


__all__ = ["NodeNetwork"]
