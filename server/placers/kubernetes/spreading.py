"""PodTopologySpread: pods that match a selector are spread evenly over places.

Source: Kubernetes 1.36, plugins/podtopologyspread. The cluster's default constraints apply only to pods of a Service,
ReplicaSet, StatefulSet or replication controller; a pipeline's pods belong to none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from server.domain.node import HOSTNAME_LABEL
from server.placers.kubernetes.filters import repels, wants
from server.placers.kubernetes.nodes import Amounts, Machine, Machines, Mask
from server.placers.kubernetes.pods import Pod, Spread
from server.placers.kubernetes.scores import MOST


def pod_topology_spread(pod: Pod, machines: Machines) -> Mask:
    """Hard constraints: no place may be more than `max_skew` pods ahead of the emptiest one."""
    spreads = [spread for spread in pod.spreads if spread.is_hard]
    fits: Mask = np.ones(len(machines), np.bool_)
    for spread in spreads:
        counts: dict[str, int] = {}
        for node, there in zip(machines.nodes, machines.pods, strict=True):
            if _has_labels(node, spreads) and _is_counted(pod, node, spread):
                place = node.labels[spread.topology_key]
                counts[place] = counts.get(place, 0) + _matching(pod, spread, there)
        least = min(counts.values(), default=0) if len(counts) >= spread.min_domains else 0
        itself = int(spread.selector is not None and spread.selector.matches(pod.labels))
        fits &= [
            (found := node.labels.get(spread.topology_key)) is not None
            and counts.get(found, 0) + itself - least <= spread.max_skew
            for node in machines.nodes
        ]
    return fits


def spread_score(pod: Pod, machines: Machines, nodes: Amounts) -> Amounts | None:
    """Soft constraints: places with few matching pods are better, small topologies count as much as large ones.

    Hosts are counted node by node, whatever their labels say.
    """
    spreads = [spread for spread in pod.spreads if not spread.is_hard]
    if not spreads:
        return None
    scored = [int(index) for index in nodes if _has_labels(machines.nodes[index], spreads)]
    raw = dict.fromkeys(scored, 0.0)
    for spread in spreads:
        if spread.topology_key == HOSTNAME_LABEL:
            there, size = {index: _matching(pod, spread, machines.pods[index]) for index in scored}, len(scored)
        else:
            counts = _soft_counts(pod, machines, spreads, spread, scored)
            there, size = {i: counts[machines.nodes[i].labels[spread.topology_key]] for i in scored}, len(counts)
        for index in scored:
            raw[index] += there[index] * math.log(size + 2) + (spread.max_skew - 1)
    whole = {index: _rounded(score) for index, score in raw.items()}
    low, high = min(whole.values(), default=0), max(whole.values(), default=0)
    if not high:
        return np.array([MOST if index in whole else 0 for index in nodes], np.int64)
    return np.array([MOST * (high + low - whole[i]) // high if i in whole else 0 for i in map(int, nodes)], np.int64)


def _soft_counts(
    pod: Pod, machines: Machines, spreads: Sequence[Spread], spread: Spread, scored: Sequence[int]
) -> dict[str, int]:
    """Matching pods by place, for the places of the nodes that are scored."""
    counts = dict.fromkeys((machines.nodes[index].labels[spread.topology_key] for index in scored), 0)
    for node, there in zip(machines.nodes, machines.pods, strict=True):
        if _has_labels(node, spreads) and _is_counted(pod, node, spread):
            place = node.labels[spread.topology_key]
            if place in counts:
                counts[place] += _matching(pod, spread, there)
    return counts


def _has_labels(node: Machine, spreads: Sequence[Spread]) -> bool:
    return all(spread.topology_key in node.labels for spread in spreads)


def _is_counted(pod: Pod, node: Machine, spread: Spread) -> bool:
    """Whether the node's pods count, by the constraint's two policies."""
    if spread.honors_affinity and not wants(pod, node):
        return False
    return not (spread.honors_taints and repels(node, pod))


def _matching(pod: Pod, spread: Spread, there: Sequence[Pod]) -> int:
    """Pods of the same namespace that match; an empty selector counts none."""
    selector = spread.selector
    if selector is None or not selector.expressions:
        return 0
    return sum(other.namespace == pod.namespace and selector.matches(other.labels) for other in there)


def _rounded(score: float) -> int:
    """To the nearest integer, halves up."""
    below = math.floor(score)
    return below + (score - below >= 0.5)


__all__ = ["pod_topology_spread", "spread_score"]
