"""How much a pod would like each node that can run it: 0 to 100 per plug-in, named as in Kubernetes 1.36.

Every function answers for the nodes of `nodes` (indices), already brought to 0 to 100 among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.placers.kubernetes.filters import tolerates
from server.placers.kubernetes.nodes import Amounts, Machines
from server.placers.kubernetes.pods import Pod

MOST = 100
SMALLEST_IMAGE_BYTES = 23 * 2**20
LARGEST_IMAGE_BYTES = 1000 * 2**20

Shares = NDArray[np.float64]


def least_allocated(pod: Pod, machines: Machines, nodes: Amounts) -> Amounts:
    """The mean share of processors and memory that stays free. Source: plugins/noderesources, LeastAllocated.

    A container without a request counts as 100m and 200 MiB.
    """
    total, resources = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
    for resource, held, asked in (
        ("cpu", machines.scored_cpu, pod.scored_cpu_millicores),
        ("memory", machines.scored_memory, pod.scored_memory_bytes),
    ):
        has = machines.allocatable(resource)[nodes]
        left = has - held[nodes] - asked
        total += np.where(left > 0, left * MOST // np.maximum(has, 1), 0)
        resources += has > 0
    return total // np.maximum(resources, 1)


def balanced_allocation(pod: Pod, machines: Machines, nodes: Amounts) -> Amounts | None:
    """How much the pod evens out processors and memory: 75 changes nothing, 100 mends all, 50 spoils all.

    A pod that asks for neither is not scored; only what is really asked for counts. Source: plugins/noderesources,
    BalancedAllocation as of 1.36.
    """
    asked = (pod.requests.get("cpu", 0), pod.requests.get("memory", 0))
    if not any(asked):
        return None
    has = [machines.allocatable(name)[nodes] for name in ("cpu", "memory")]
    held = [machines.requested(name)[nodes] for name in ("cpu", "memory")]
    after = _evenness(has, [before + more for before, more in zip(held, asked, strict=True)])
    return MOST // 2 + (MOST // 2 + after - _evenness(has, held)) // 2


def unwanted_taints(pod: Pod, machines: Machines) -> Amounts:
    """How many taints of every node would rather have the pod elsewhere. Source: plugins/tainttoleration."""
    return np.array(
        [
            sum(taint.effect == "PreferNoSchedule" and not tolerates(pod.tolerations, taint) for taint in node.taints)
            for node in machines.nodes
        ],
        np.int64,
    )


def wishes(pod: Pod, machines: Machines) -> Amounts:
    """The summed weights of the preferred terms that match every node. Source: plugins/nodeaffinity."""
    return np.array(
        [
            sum(wish.weight for wish in pod.preferred if wish.weight and wish.term.matches(node.name, node.labels))
            for node in machines.nodes
        ],
        np.int64,
    )


def image_locality(pod: Pod, machines: Machines) -> Amounts:
    """How much of the pod's images every node has, images on few nodes counting less. Source: plugins/imagelocality."""
    size_of: dict[str, int] = {}
    holders: dict[str, set[int]] = {}
    for index, node in enumerate(machines.nodes):
        for names, size in node.images:
            for name in names:
                size_of.setdefault(name, size)
                holders.setdefault(name, set()).add(index)
    here = np.zeros(len(machines), np.int64)
    for image in map(tagged, pod.images):
        spread = len(holders.get(image, ())) / max(len(machines), 1)
        for index in holders.get(image, ()):
            here[index] += int(float(size_of[image]) * spread)
    most = LARGEST_IMAGE_BYTES * pod.container_count
    return MOST * (np.clip(here, SMALLEST_IMAGE_BYTES, most) - SMALLEST_IMAGE_BYTES) // (most - SMALLEST_IMAGE_BYTES)


def tagged(image: str) -> str:
    """An image's name, with `:latest` where it has no tag."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


def scaled(counts: Amounts, is_reversed: bool = False) -> Amounts:
    """Counts as shares of the largest, in percent; reversed where few are better."""
    largest = int(counts.max(initial=0))
    shares = counts * MOST // largest if largest else np.zeros_like(counts)
    return MOST - shares if is_reversed else shares


def _evenness(has: Sequence[Amounts], held: Sequence[Amounts]) -> Amounts:
    """100 where both are used alike, 50 where one is full and the other empty; 100 where only one is there."""
    shares: list[Shares] = [np.minimum(used / np.maximum(there, 1), 1.0) for there, used in zip(has, held, strict=True)]
    deviation = np.abs((shares[0] - shares[1]) / 2)
    deviation[(has[0] == 0) | (has[1] == 0)] = 0.0
    return ((1.0 - deviation) * MOST).astype(np.int64)


__all__ = [
    "MOST",
    "balanced_allocation",
    "image_locality",
    "least_allocated",
    "scaled",
    "tagged",
    "unwanted_taints",
    "wishes",
]
