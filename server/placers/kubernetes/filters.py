"""Which nodes can run a pod at all. Every filter is named as in Kubernetes 1.36 and answers for all nodes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from server.domain.node import Taint
from server.placers.kubernetes.nodes import Machine, Machines, Mask
from server.placers.kubernetes.pods import Pod, Toleration

UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
REPELLING = ("NoSchedule", "NoExecute")

Filter = Callable[[Pod, Machines], Mask]


def node_unschedulable(pod: Pod, machines: Machines) -> Mask:
    """A cordoned node takes only pods that tolerate it. Source: plugins/nodeunschedulable."""
    is_tolerated = tolerates(pod.tolerations, UNSCHEDULABLE)
    return _each(machines, lambda node: is_tolerated or not node.is_unschedulable)


def node_name(pod: Pod, machines: Machines) -> Mask:
    """A pod that names its node runs there or nowhere. Source: plugins/nodename."""
    return _each(machines, lambda node: pod.node_name in ("", node.name))


def taint_toleration(pod: Pod, machines: Machines) -> Mask:
    """Taints that repel must be tolerated. Source: plugins/tainttoleration."""
    return _each(machines, lambda node: not repels(node, pod))


def node_affinity(pod: Pod, machines: Machines) -> Mask:
    """Node selector and required terms; one matching term is enough. Source: plugins/nodeaffinity."""
    return _each(machines, lambda node: wants(pod, node))


def volume_binding(pod: Pod, machines: Machines) -> Mask:
    """A claim must exist; here nobody tells of any. Source: plugins/volumebinding, plugins/dynamicresources."""
    return np.full(len(machines), not pod.claims)


def volume_restrictions(pod: Pod, machines: Machines) -> Mask:
    """A disk that somebody writes to is had once per node. Source: plugins/volumerestrictions."""
    if not pod.disks:
        return np.ones(len(machines), np.bool_)
    taken = ([disk for other in there for disk in other.disks] for there in machines.pods)
    return np.array([not any(one.conflicts(other) for one in pod.disks for other in had) for had in taken], np.bool_)


def node_ports(pod: Pod, machines: Machines) -> Mask:
    """A host port can be had once. Source: plugins/nodeports."""
    if not pod.host_ports:
        return np.ones(len(machines), np.bool_)
    return np.array(
        [not any(one.conflicts(other) for one in pod.host_ports for other in taken) for taken in machines.ports],
        np.bool_,
    )


def node_resources_fit(pod: Pod, machines: Machines) -> Mask:
    """Everything asked for fits beside what is asked for already. Source: plugins/noderesources, Fit."""
    fits: Mask = machines.pod_count < machines.pod_room
    for resource, amount in pod.requests.items():
        if amount > 0:
            fits &= machines.allocatable(resource) - machines.requested(resource) >= amount
    return fits


def tolerates(tolerations: Sequence[Toleration], taint: Taint) -> bool:
    """Whether one of the tolerations accepts the taint. `Gt` and `Lt` are switched off in 1.36 and accept nothing."""
    return any(_accepts(toleration, taint) for toleration in tolerations)


def repels(node: Machine, pod: Pod) -> bool:
    """Whether a taint of the node keeps the pod away."""
    return any(taint.effect in REPELLING and not tolerates(pod.tolerations, taint) for taint in node.taints)


def wants(pod: Pod, node: Machine) -> bool:
    """Whether the node is what the pod's selector and required terms ask for."""
    if any(node.labels.get(key) != value for key, value in pod.node_selector.items()):
        return False
    return pod.required is None or any(term.matches(node.name, node.labels) for term in pod.required)


def _accepts(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def _each(machines: Machines, allows: Callable[[Machine], bool]) -> Mask:
    return np.array([allows(node) for node in machines.nodes], np.bool_)


__all__ = [
    "Filter",
    "node_affinity",
    "node_name",
    "node_ports",
    "node_resources_fit",
    "node_unschedulable",
    "repels",
    "taint_toleration",
    "tolerates",
    "volume_binding",
    "volume_restrictions",
    "wants",
]
