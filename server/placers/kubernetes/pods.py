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
    """Nodes that the pod would rather have, with a weight."""

    weight: int
    term: NodeTerm


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
        """Whether it speaks of this pod."""
        if self.selector is None or not self.selector.matches(pod.labels):
            return False
        selected = self.namespace_selector
        return pod.namespace in self.namespaces or (
            selected is not None and selected.matches({NAMESPACE_LABEL: pod.namespace})
        )


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
        scored_cpu_millicores: what counts for `NodeResourcesFit`, where a container without a request has 100m.
        scored_memory_bytes: the same for memory, where a container without a request has 200 MiB.
        images: of its containers, and of its image volumes.
        container_count: initialising containers included.
        required: terms of which one must match; None where there is no such demand.
        node_name: the node that it names itself.
        claims: names of the volume claims it needs.
        is_ours: False for a pod that is gated, or of another scheduler.
    """

    name: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    scored_cpu_millicores: int = 0
    scored_memory_bytes: int = 0
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
    is_ours: bool = True


__all__ = ["NO_TERMS", "HostPort", "Pod", "PodTerm", "PodTerms", "Preference", "Spread", "Toleration"]
