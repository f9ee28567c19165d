"""One decision of the scheduler: filter the nodes, score what is left, weigh and add.

Source: Kubernetes 1.36, default profile: plug-ins, order and weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from server.placers.kubernetes import filters, scores
from server.placers.kubernetes.neighbours import inter_pod_affinity, neighbour_score
from server.placers.kubernetes.nodes import Amounts, Machines, Mask
from server.placers.kubernetes.pods import Pod
from server.placers.kubernetes.spreading import pod_topology_spread, spread_score

STATIC_FILTERS: Mapping[str, filters.Filter] = {
    "NodeUnschedulable": filters.node_unschedulable,
    "NodeName": filters.node_name,
    "TaintToleration": filters.taint_toleration,
    "NodeAffinity": filters.node_affinity,
    "VolumeBinding": filters.volume_binding,
}
"""Filters that do not depend on what runs."""

FILTERS: Mapping[str, filters.Filter] = {
    "NodePorts": filters.node_ports,
    "NodeResourcesFit": filters.node_resources_fit,
    "VolumeRestrictions": filters.volume_restrictions,
    "PodTopologySpread": pod_topology_spread,
    "InterPodAffinity": inter_pod_affinity,
}

WEIGHTS: Mapping[str, int] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}

ALL_NODES_BELOW = 100
"""Smaller clusters are looked at as a whole, and of larger ones at least so many nodes that fit."""

SMALLEST_PERCENTAGE = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """What was found for a pod.

    Attributes:
        nodes: indices of the nodes that can run it now, ascending.
        scores: by plug-in, one weighted score per node of `nodes`; empty where fewer than two nodes are left.
        final: their sum.
    """

    nodes: Amounts
    scores: Mapping[str, Amounts] = field(default_factory=dict)
    final: Amounts = field(default_factory=lambda: np.zeros(0, np.int64))

    def best(self) -> list[int]:
        """The nodes that share the highest score; one of them is drawn."""
        if len(self.nodes) < 2:
            return [int(node) for node in self.nodes]
        return [int(node) for node in self.nodes[self.final == self.final.max()]]


class Question:
    """A pod before a set of nodes; what does not depend on what runs is worked out once.

    `also` closes further nodes to the pod.
    """

    def __init__(self, pod: Pod, machines: Machines, also: Mask | None = None) -> None:
        self.pod = pod
        self.machines = machines
        self.also = also

    @cached_property
    def allowed(self) -> Mask:
        """Nodes that could run the pod some day."""
        found: Mask = np.ones(len(self.machines), np.bool_) if self.also is None else self.also.copy()
        for passes in STATIC_FILTERS.values():
            found &= passes(self.pod, self.machines)
        return found

    def feasible(self) -> Amounts:
        """Indices of the nodes that can run it now."""
        found: Mask = self.allowed.copy()
        for passes in FILTERS.values():
            if not found.any():
                break
            found &= passes(self.pod, self.machines)
        return np.flatnonzero(found)

    def decide(self, nodes: Amounts) -> Decision:
        """Score these nodes."""
        if len(nodes) < 2:
            return Decision(nodes)
        if any(wish.is_broken for wish in self.pod.preferred if wish.weight):
            return Decision(nodes[:0])
        pod, machines = self.pod, self.machines
        found = {
            "TaintToleration": scores.scaled(self._unwanted[nodes], is_reversed=True),
            "NodeAffinity": scores.scaled(self._wishes[nodes]),
            "NodeResourcesFit": scores.least_allocated(pod, machines, nodes),
            "PodTopologySpread": spread_score(pod, machines, nodes),
            "InterPodAffinity": neighbour_score(pod, machines, nodes),
            "NodeResourcesBalancedAllocation": scores.balanced_allocation(pod, machines, nodes),
            "ImageLocality": self._images[nodes],
        }
        weighted = {name: WEIGHTS[name] * score for name, score in found.items() if score is not None}
        return Decision(nodes, weighted, np.sum([*weighted.values()], axis=0))

    def shortages(self) -> dict[str, int]:
        """On how many of the nodes that could run it there is too little of what; pods are one of them."""
        asked = {name: amount for name, amount in self.pod.requests.items() if amount > 0}
        left = {name: self.machines.allocatable(name) - self.machines.requested(name) < asked[name] for name in asked}
        left["pods"] = self.machines.pod_count >= self.machines.pod_room
        counts = {name: int((lacking & self.allowed).sum()) for name, lacking in left.items()}
        return {name: count for name, count in counts.items() if count}

    @cached_property
    def _unwanted(self) -> Amounts:
        return scores.unwanted_taints(self.pod, self.machines)

    @cached_property
    def _wishes(self) -> Amounts:
        return scores.wishes(self.pod, self.machines)

    @cached_property
    def _images(self) -> Amounts:
        return scores.image_locality(self.pod, self.machines)


def most_looked_at(node_count: int) -> int:
    """So many nodes that fit are enough; of a large cluster not all are looked at."""
    if node_count < ALL_NODES_BELOW:
        return node_count
    percentage = max(50 - node_count // 125, SMALLEST_PERCENTAGE)
    return max(node_count * percentage // 100, ALL_NODES_BELOW)


__all__ = ["FILTERS", "STATIC_FILTERS", "WEIGHTS", "Decision", "Question", "most_looked_at"]
