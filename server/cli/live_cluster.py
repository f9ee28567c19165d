"""The cluster that a command is about: from a file, or looked at once, with all that confines tasks there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.cluster.limits.limits import KubernetesLimits
from server.cluster.static_file import read_nodes
from server.domain.errors import ConfigurationError
from server.domain.node import Node, Occupancy


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """Nodes, what others hold on them, and what could not be seen, in words. `limits` of a real cluster only."""

    nodes: Sequence[Node]
    occupancies: Sequence[Occupancy] = ()
    limits: KubernetesLimits | None = None
    problems: Sequence[str] = ()


def cluster_of(file: Path | None, images: Sequence[str]) -> ClusterSeen:
    """The file's nodes; without a file, those of the cluster of the settings, where `images` are looked up too.

    Raises ConfigurationError, UnavailableError.
    """
    return ClusterSeen(read_nodes(file)) if file is not None else asyncio.run(_look(images))


async def _look(images: Sequence[str]) -> ClusterSeen:
    from server.cluster.kubernetes import KubernetesNodes
    from server.components.clock import SteadyClock
    from server.confining import kubernetes_limits
    from server.connecting import kube_access
    from server.kube.client import KubeClient
    from server.settings import load

    settings, _ = load()
    access = kube_access(settings)
    if access is None:
        raise ConfigurationError(
            "no nodes are known: there is no way to a Kubernetes API",
            hint="describe the nodes in a file and give it with --cluster, or set KUBECONFIG",
        )
    clock = SteadyClock(time.time, time.monotonic)  # noqa: TID251 - a command of its own, with the machine's clock
    async with KubeClient(access) as client:
        source = KubernetesNodes(client, now=clock.now)
        limits = kubernetes_limits(settings, client, source, now=clock.now, file=None)
        try:
            seen = await source.look()
            problems = await limits.look_once([image for image in images if image])
        finally:
            await limits.aclose()
    return ClusterSeen(seen.nodes, seen.foreign, limits, [*seen.problems, *problems])


__all__ = ["ClusterSeen", "cluster_of"]
