"""A pod as the scheduler sees it: what it asks for, and where it may, would rather and must not run.

Source: Kubernetes 1.36, PodSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.placers.kubernetes.selectors import LabelSelector, NodeTerm

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Toleration:
    """A taint that the pod accepts."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Preference:
    """Nodes that the pod would rather have, with a weight. One that is broken fails the scheduler."""

    weight: int
    term: NodeTerm
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node itself; `0.0.0.0` is every address."""

    port: int
    protocol: str = "TCP"
    address: str = "0.0.0.0"

    def conflicts(self, other: HostPort) -> bool:
        """Whether both cannot be had on one node."""
        is_same = (self.port, self.protocol) == (other.port, other.protocol)
        return is_same and (self.address == other.address or "0.0.0.0" in (self.address, other.address))


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that a pod names without a claim."""

    kind: str
    name: tuple[str, ...]
    is_read_only: bool = False

    def conflicts(self, other: Disk) -> bool:
        """Whether both cannot be on one node: only readers share a disk."""
        is_same = (self.kind, self.name) == (other.kind, other.name)
        return is_same and not (self.is_read_only and other.is_read_only)


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Other pods that matter to a pod, and the label that says which nodes are the same place.

    `namespaces` and `namespace_selector` both say where to look; a selector of None finds nothing.
    """

    topology_key: str
    selector: LabelSelector | None
    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None = None
    weight: int = 1

    def matches(self, pod: Pod) -> bool:
        """Whether it speaks of this pod, where the pod is to be placed and the term belongs to one that runs."""
        return self._selects(pod) and (pod.namespace in self.namespaces or self._has(pod.namespace))

    def finds(self, pod: Pod) -> bool:
        """The same where the term belongs to the pod that is to be placed, and the other one runs.

        Kubernetes 1.36 then asks the namespace selector about no labels, too: one that only excludes finds all.
        """
        selected = self.namespace_selector
        return self.matches(pod) or (self._selects(pod) and selected is not None and selected.matches({}))

    def _selects(self, pod: Pod) -> bool:
        return self.selector is not None and self.selector.matches(pod.labels)

    def _has(self, namespace: str) -> bool:
        selected = self.namespace_selector
        return selected is not None and selected.matches({NAMESPACE_LABEL: namespace})


@dataclass(frozen=True, slots=True)
class PodTerms:
    """What a pod says of other pods: must be near, must be away, would rather be near, would rather be away."""

    near: tuple[PodTerm, ...] = ()
    away: tuple[PodTerm, ...] = ()
    rather_near: tuple[PodTerm, ...] = ()
    rather_away: tuple[PodTerm, ...] = ()


NO_TERMS = PodTerms()


@dataclass(frozen=True, slots=True)
class Spread:
    """How evenly pods are to be spread over places; `is_hard` keeps the pod waiting, otherwise it only counts."""

    topology_key: str
    max_skew: int
    is_hard: bool
    selector: LabelSelector | None
    min_domains: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod.

    Attributes:
        requests: amounts by resource; `cpu` in millicores, everything else in whole units. Overhead included.
        scored_cpu_millicores: what counts for the score of `NodeResourcesFit`, where a container without a request has
            100m. What the pod asks for as a whole does not count, in 1.36.
        scored_memory_bytes: the same for memory, where a container without a request has 200 MiB.
        held_cpu_millicores: what counts there once the pod is bound, its own word included.
        held_memory_bytes: the same for memory.
        images: of its containers, and of its image volumes.
        container_count: initialising containers included.
        required: terms of which one must match; None where there is no such demand.
        node_name: the node that it names itself.
        claims: names of the volume claims and of the devices that it needs.
        disks: that it names without a claim.
        is_ours: False for a pod that is gated, or of another scheduler.
    """

    name: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    scored_cpu_millicores: int = 0
    scored_memory_bytes: int = 0
    held_cpu_millicores: int = 0
    held_memory_bytes: int = 0
    images: tuple[str, ...] = ()
    container_count: int = 1
    node_selector: Mapping[str, str] = field(default_factory=dict)
    required: tuple[NodeTerm, ...] | None = None
    preferred: tuple[Preference, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    others: PodTerms = NO_TERMS
    spreads: tuple[Spread, ...] = ()
    node_name: str = ""
    claims: tuple[str, ...] = ()
    disks: tuple[Disk, ...] = ()
    is_ours: bool = True


__all__ = ["NO_TERMS", "Disk", "HostPort", "Pod", "PodTerm", "PodTerms", "Preference", "Spread", "Toleration"]
