"""Spot nodes: cheap machines that their owner may take away at any moment, known by their labels.

A task that lasts long there is likely to be interrupted and to begin again; how likely follows from how often nodes of
this kind were taken away under tasks of ours.
"""

from __future__ import annotations

import math

from server.domain.node import Node

SPOT_LABELS = {
    "mlopx.dev/spot": "true",
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "spot",
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
    "node.kubernetes.io/lifecycle": "spot",
}
"""Labels that clouds, autoscalers and people give to spot nodes; values are compared without regard to case."""

USUAL_PER_HOUR, WEIGHT_HOURS = 0.05, 20.0
"""How often a spot node is taken away, as long as nothing was seen, and how many hours of tasks that weighs."""

MOST_LIKELY = 0.05
"""A task avoids a node that is taken away under it with a higher probability than this."""

AVOIDED = "a spot node would likely be taken away before the task ends"


def is_spot(node: Node) -> bool:
    """Whether the node may be taken away at any moment."""
    return any(node.labels.get(name, "").lower() == value for name, value in SPOT_LABELS.items())


def interruptions_per_hour(seen: int, hours: float) -> float:
    """Expected interruptions of one task in an hour, from how many were seen in so many hours of tasks."""
    return (USUAL_PER_HOUR * WEIGHT_HOURS + seen) / (WEIGHT_HOURS + max(hours, 0.0))


def is_too_long(seconds: float, per_hour: float) -> bool:
    """Whether a task of this length is too likely to be interrupted."""
    return -math.expm1(-per_hour * seconds / 3600) > MOST_LIKELY


__all__ = ["AVOIDED", "SPOT_LABELS", "interruptions_per_hour", "is_spot", "is_too_long"]
