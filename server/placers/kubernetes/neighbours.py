"""InterPodAffinity: pods that must, or would rather, be near to or away from others.

Source: Kubernetes 1.36, plugins/interpodaffinity (weight of other pods' required terms: 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from server.placers.kubernetes.nodes import Amounts, Machine, Machines, Mask
from server.placers.kubernetes.pods import NO_TERMS, Pod, PodTerm
from server.placers.kubernetes.scores import MOST

Place = tuple[str, str]
"""A topology key with its value."""


def inter_pod_affinity(pod: Pod, machines: Machines) -> Mask:
    """Required terms: away from what repels, in both directions, and near what every term asks for."""
    if pod.others == NO_TERMS and not machines.pods_with_terms:
        return np.ones(len(machines), np.bool_)
    near: set[Place] = set()
    closed: set[Place] = set()
    for node, there in zip(machines.nodes, machines.pods, strict=True):
        for other in there:
            closed |= _places(node, [term for term in other.others.away if term.matches(pod)])
            closed |= _places(node, [term for term in pod.others.away if term.finds(other)])
            if pod.others.near and all(term.finds(other) for term in pod.others.near):
                near |= _places(node, pod.others.near)
    is_first = not near and all(term.finds(pod) for term in pod.others.near)
    return np.array(
        [
            not any(place in closed for place in node.labels.items())
            and _is_near(node, pod.others.near, near, is_first)
            for node in machines.nodes
        ],
        np.bool_,
    )


def neighbour_score(pod: Pod, machines: Machines, nodes: Amounts) -> Amounts | None:
    """Preferred terms of the pod and of those that run, and their required ones; None where nothing matches."""
    if pod.others == NO_TERMS and not machines.pods_with_terms:
        return None
    weights: dict[Place, int] = {}
    for node, there in zip(machines.nodes, machines.pods, strict=True):
        for other in there:
            _weigh(weights, node, [term for term in pod.others.rather_near if term.finds(other)], 1)
            _weigh(weights, node, [term for term in pod.others.rather_away if term.finds(other)], -1)
            _weigh(weights, node, [term for term in other.others.near if term.matches(pod)], 1)
            _weigh(weights, node, [term for term in other.others.rather_near if term.matches(pod)], 1)
            _weigh(weights, node, [term for term in other.others.rather_away if term.matches(pod)], -1)
    if not weights:
        return None
    raw = [sum(weights.get(place, 0) for place in machines.nodes[index].labels.items()) for index in nodes]
    low, high = min(raw), max(raw)
    if high == low:
        return np.zeros(len(nodes), np.int64)
    return np.array([int(float(MOST) * ((found - low) / (high - low))) for found in raw], np.int64)


def _is_near(node: Machine, terms: Sequence[PodTerm], near: set[Place], is_first: bool) -> bool:
    """Whether every term has what it asks for here; the first of a group that asks for itself may go anywhere."""
    if any(term.topology_key not in node.labels for term in terms):
        return False
    return is_first or all((term.topology_key, node.labels[term.topology_key]) in near for term in terms)


def _places(node: Machine, terms: Sequence[PodTerm]) -> set[Place]:
    keys = (term.topology_key for term in terms)
    return {(key, node.labels[key]) for key in keys if key in node.labels}


def _weigh(weights: dict[Place, int], node: Machine, terms: Sequence[PodTerm], sign: int) -> None:
    for term in terms:
        if term.topology_key in node.labels:
            place = (term.topology_key, node.labels[term.topology_key])
            weights[place] = weights.get(place, 0) + sign * term.weight


__all__ = ["inter_pod_affinity", "neighbour_score"]
