"""Nodes as the Kubernetes API tells: what they have, what pods hold of it, who they accept. By watch, once it runs.

Works with less: without the right to see all pods, what others hold is unknown, and that is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from server.cluster.devices import DriverDevices
from server.cluster.interface import NodeSourceInterface, NodesSeen
from server.domain.errors import UnavailableError
from server.domain.node import Node, Occupancy
from server.domain.resources import NOTHING, Resources
from server.domain.starting import NodeImages
from server.kube.client import KubeClient, Object
from server.kube.errors import KubeDeniedError, KubeError
from server.kube.mirror import Mirror
from server.kube.own_runs import OURS_LABEL, TASK_ANNOTATION, OwnRuns
from server.kube.pod_requests import beside_requests, requests_of
from server.kube.reading import images_of, instant, read_node
from server.kube.resources import NODES, PODS

Seen = tuple[Node, NodeImages]


@dataclass(frozen=True, slots=True)
class PodHeld:
    """What a pod holds of its node: room, and the volumes of claims.

    `run` is that of ours it says to belong to, and `task` the path of its task there; `beside`, the part of the room
    that its program did not ask for; `leaves_at`, when Kubernetes ends a pod that was deleted, at the latest.
    """

    node: str
    requests: Resources
    run: str = ""
    task: str = ""
    claims: tuple[str, ...] = ()
    beside: Resources = NOTHING
    leaves_at: datetime | None = None


class KubernetesNodes(NodeSourceInterface):
    """All nodes of a cluster.

    Args:
        own_runs: the runs of ours that values of the label `mlopx.dev/run` may name.
    """

    name = "kubernetes"

    def __init__(
        self,
        client: KubeClient,
        *,
        now: Callable[[], datetime],
        own_runs: OwnRuns | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self._now, self._own_runs = client, now, own_runs or OwnRuns()
        self.nodes: Mirror[Seen] = Mirror(client, NODES, reduce=_node, now=now, sleep=sleep)
        self.pods: Mirror[PodHeld] = Mirror(client, PODS, reduce=_holding, now=now, sleep=sleep)
        self._devices = DriverDevices(client, now=now, sleep=sleep)
        self._is_following = False

    async def run_forever(self) -> None:
        """Follow nodes, pods and devices by watching, until cancelled."""
        self._is_following = True
        try:
            await asyncio.gather(self.nodes.run_forever(), self.pods.run_forever(), self._devices.run_forever())
        finally:
            self._is_following = False

    async def look(self) -> NodesSeen:
        problems = await self._refresh()
        if (unknown := self._devices.problem) is not None:
            problems.append(unknown)
        if self.nodes.seen_at is None or (self._is_following and self.nodes.problem and not len(self.nodes)):
            raise UnavailableError(f"the nodes are not known: {_why(self.nodes)}")
        if self.nodes.problem is not None:
            problems.append(f"the nodes may be out of date: {self.nodes.problem.message}")
        nodes = self._devices.equipped(node for node, _ in self.nodes)
        foreign = [one for one in map(self._foreign, self.pods) if one.requests != NOTHING]
        foreign += self._devices.held(nodes)
        return NodesSeen(
            seen_at=self.nodes.seen_at if self.nodes.problem else self._now(),
            source=self.name,
            nodes=nodes,
            foreign=tuple(foreign),
            problems=tuple(problems),
            images={node.name: images for node, images in self.nodes},
        )

    def _foreign(self, pod: PodHeld) -> Occupancy:
        """What a pod holds and no run of ours accounts for: until about when, where it is on its way out, and beside
        which task, where that is ours."""
        if self._own_runs.is_live(pod.run):
            return Occupancy(pod.node, pod.beside, pod.run, pod.task, expected_end_at=pod.leaves_at)
        is_over = pod.leaves_at is None and self._own_runs.is_over(pod.run, self._now())
        return Occupancy(pod.node, pod.requests, expected_end_at=self._now() if is_over else pod.leaves_at)

    async def _refresh(self) -> list[str]:
        """List what no watch keeps up to date; what could not be seen, in words."""
        if not self._is_following:
            await self.nodes.sync()
            try:
                await self.pods.sync()
            except KubeDeniedError as error:
                self.pods.problem = error
            await self._devices.sync()
        elif self.nodes.seen_at is None:
            await self._first_sync()
        if isinstance(self.pods.problem, KubeDeniedError):
            return [f"what other pods hold is unknown, since we may not see all pods ({self.pods.problem.message})"]
        return [f"pods may be out of date: {self.pods.problem.message}"] if self.pods.problem else []

    async def _first_sync(self) -> None:
        for mirror in (self.nodes, self.pods):
            try:
                await mirror.sync()
            except KubeError as error:
                mirror.problem = error


def _why(mirror: Mirror[Seen]) -> str:
    return mirror.problem.message if mirror.problem else "nobody has looked yet"


def _node(item: Object) -> Seen | None:
    try:
        return read_node(item), images_of(item)
    except (ValueError, KeyError, TypeError):
        return None


def _holding(item: Object) -> PodHeld | None:
    """What a pod that is somewhere holds there; None of any other."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    node = spec.get("nodeName")
    if not node or status.get("phase") in ("Succeeded", "Failed"):
        return None
    about = item.get("metadata") or {}
    labels: Mapping[str, str] = about.get("labels") or {}
    sources = [volume.get("persistentVolumeClaim") or {} for volume in spec.get("volumes") or []]
    claims = tuple(str(source["claimName"]) for source in sources if source.get("claimName"))
    leaves_at = instant(about.get("deletionTimestamp"))
    try:
        run = str(labels.get(OURS_LABEL, ""))
        beside = beside_requests(item) if run else NOTHING
        task = str((about.get("annotations") or {}).get(TASK_ANNOTATION, "")) if run else ""
        return PodHeld(str(node), requests_of(item), run, task, claims, beside, leaves_at)
    except ValueError:
        return PodHeld(str(node), Resources(pods=1), claims=claims, leaves_at=leaves_at)


__all__ = ["KubernetesNodes", "PodHeld"]
