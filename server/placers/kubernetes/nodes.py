"""The nodes as the scheduler sees them: what each has, what its pods ask for, and the pods themselves.

Source: Kubernetes 1.36, the scheduler's NodeInfo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from server.domain.node import Taint
from server.kube.quantities import units
from server.placers.kubernetes.pods import NO_TERMS, HostPort, Pod
from server.placers.kubernetes.reading import Part
from server.placers.kubernetes.requests import whole

Amounts = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Machine:
    """What does not change about a node. `images` holds all names of an image and its bytes."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    allocatable: Mapping[str, int] = field(default_factory=dict)
    pods: int = 110
    images: tuple[tuple[tuple[str, ...], int], ...] = ()
    is_unschedulable: bool = False


class Machines:
    """All nodes side by side, as columns. Nodes are named by their index."""

    def __init__(self, nodes: Sequence[Machine]) -> None:
        self.nodes = tuple(nodes)
        self.index = {node.name: index for index, node in enumerate(self.nodes)}
        self.pods: list[list[Pod]] = [[] for _ in self.nodes]
        self.ports: list[set[HostPort]] = [set() for _ in self.nodes]
        self.pod_room = self._column([node.pods for node in self.nodes])
        self.pod_count = self._zeros()
        self.pods_with_terms = 0
        self.scored_cpu = self._zeros()
        self.scored_memory = self._zeros()
        self._allocatable: dict[str, Amounts] = {}
        self._requested: dict[str, Amounts] = {}

    def __len__(self) -> int:
        return len(self.nodes)

    def allocatable(self, resource: str) -> Amounts:
        """How much of a resource every node has to give."""
        if resource not in self._allocatable:
            self._allocatable[resource] = self._column([node.allocatable.get(resource, 0) for node in self.nodes])
        return self._allocatable[resource]

    def requested(self, resource: str) -> Amounts:
        """How much of it the pods of every node ask for."""
        if resource not in self._requested:
            self._requested[resource] = self._zeros()
        return self._requested[resource]

    def add(self, pod: Pod, node: int) -> None:
        """A pod is bound to a node."""
        self.pods[node].append(pod)
        self.ports[node].update(pod.host_ports)
        self.pods_with_terms += pod.others != NO_TERMS
        self.hold(node, pod.requests, pod.held_cpu_millicores, pod.held_memory_bytes, 1)

    def remove(self, pod: Pod, node: int) -> None:
        """A pod leaves its node; its ports become free for all. Raises ValueError if it is not there."""
        self.pods[node].remove(pod)
        self.ports[node].difference_update(pod.host_ports)
        self.pods_with_terms -= pod.others != NO_TERMS
        self.hold(node, pod.requests, pod.held_cpu_millicores, pod.held_memory_bytes, -1)

    def hold(self, node: int, requests: Mapping[str, int], scored_cpu: int, scored_memory: int, pods: int) -> None:
        """Something holds room on a node; with a negative number of pods it gives it back."""
        sign = -1 if pods < 0 else 1
        for resource, amount in requests.items():
            self.requested(resource)[node] += sign * amount
        self.scored_cpu[node] += sign * scored_cpu
        self.scored_memory[node] += sign * scored_memory
        self.pod_count[node] += pods

    def _zeros(self) -> Amounts:
        return np.zeros(len(self.nodes), np.int64)

    def _column(self, values: Sequence[int]) -> Amounts:
        return np.array(values, np.int64)


def read_machine(item: Part) -> Machine:
    """One node of a document. Raises MalformedError that names the place."""
    item.required("allocatable")
    amounts = item.amounts("allocatable")
    return Machine(
        name=item.required("name").string(),
        labels=item.labels("labels"),
        taints=tuple(
            Taint(one.required("key").string(), one.text("value"), one.required("effect").string())
            for one in item.items("taints")
        ),
        allocatable=whole(amounts),
        pods=units(amounts.get("pods", Fraction(0))),
        images=tuple((one.texts("names"), one.number("sizeBytes")) for one in item.items("images")),
        is_unschedulable=item.flag("unschedulable"),
    )


__all__ = ["Amounts", "Machine", "Machines", "Mask", "read_machine"]
