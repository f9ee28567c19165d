"""The double's pods: Pending, scheduled when there is room, run, ended; every step seen as a Kubernetes object."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from server.domain.resources import Resources
from server.testing.kfp.nodes import Config, VirtualNode, choose
from server.testing.kube import KubeDouble


@dataclass(slots=True)
class Pod:
    """One pod. `lost` is set when it is deleted under its workflow."""

    name: str
    namespace: str
    labels: dict[str, str]
    annotations: dict[str, str]
    asked: Resources
    config: Config
    created_at: datetime
    image: str = ""
    command: Sequence[str] = ()
    node: VirtualNode | None = None
    is_holding: bool = False
    phase: str = "Pending"
    unscheduled: str = ""
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    waiting: tuple[str, str] = ("", "")
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    def object(self) -> dict[str, Any]:
        """The pod as the Kubernetes API shows it."""
        about = {"name": self.name, "namespace": self.namespace, "creationTimestamp": _at(self.created_at)}
        scheduled: dict[str, Any] = {"type": "PodScheduled", "status": "True" if self.node else "False"}
        if self.node:
            scheduled["lastTransitionTime"] = _at(self.scheduled_at)
        elif self.unscheduled:
            scheduled.update(reason="Unschedulable", message=self.unscheduled)
        requests = {"cpu": f"{self.asked.cpu_millicores}m", "memory": str(self.asked.memory_bytes)}
        requests.update({kind: str(count) for kind, count in self.asked.accelerators})
        claims = [{"persistentVolumeClaim": {"claimName": claim}} for claim in claims_of(self.config)]
        return {
            "kind": "Pod",
            "metadata": {**about, "labels": self.labels, "annotations": dict(self.annotations)},
            "spec": {
                "nodeName": self.node.name if self.node else None,
                "containers": [
                    {
                        "name": "main",
                        "image": self.image,
                        "command": list(self.command),
                        "resources": {"requests": requests},
                    }
                ],
                "volumes": claims,
            },
            "status": {
                "phase": self.phase,
                "conditions": [scheduled],
                "containerStatuses": [{"name": "main", "image": self.image, "state": self._state()}],
            },
        }

    def _state(self) -> dict[str, Any]:
        if self.finished_at is not None:
            ended = {"exitCode": self.exit_code, "reason": self.reason, "message": self.message}
            times = {"startedAt": _at(self.started_at), "finishedAt": _at(self.finished_at)}
            return {"terminated": {**{key: value for key, value in ended.items() if value != ""}, **times}}
        if self.started_at is not None:
            return {"running": {"startedAt": _at(self.started_at)}}
        reason, message = self.waiting
        return {"waiting": {"reason": reason or "ContainerCreating", "message": message}}


class Pods:
    """All pods of the double, and the nodes they run on.

    Volumes of `stuck_claims` are never mounted, and `slow_images` take for ever to come; containers of an image in
    `broken_setups` are not started, for the reason and with the message there.
    """

    def __init__(self, kube: KubeDouble, nodes: Sequence[VirtualNode], now: Callable[[], datetime]) -> None:
        self._kube, self._now = kube, now
        self.nodes = list(nodes)
        self.all: dict[str, Pod] = {}
        self.claims: set[str] = set()
        self.broken_images: set[str] = set()
        self.stuck_claims: set[str] = set()
        self.slow_images: set[str] = set()
        self.broken_setups: dict[str, tuple[str, str]] = {}
        self._room = asyncio.Event()
        for node in nodes:
            kube.objects.put("nodes", node.object())

    async def start(self, pod: Pod) -> None:
        """Schedule a pod and let its container start; waits while that cannot be."""
        self.all[pod.name] = pod
        self.show(pod)
        while pod.node is None:
            found, why = self._place(pod)
            if found is None:
                if why != pod.unscheduled:
                    pod.unscheduled = why
                    self.show(pod)
                await self._room.wait()
                continue
            pod.node, pod.scheduled_at, pod.unscheduled = found, self._now(), ""
            found.held, pod.is_holding = found.held + pod.asked, True
            self.show(pod)
        while pod.image in self.slow_images:
            await self._room.wait()
        while pod.image in self.broken_images:
            pod.waiting = ("ImagePullBackOff", f'Back-off pulling image "{pod.image}"')
            self.show(pod)
            await self._room.wait()
        while pod.image in self.broken_setups:
            pod.waiting = self.broken_setups[pod.image]
            self.show(pod)
            await self._room.wait()
        while stuck := sorted(self.stuck_claims.intersection(claims_of(pod.config))):
            self._warn(pod, "FailedMount", f'MountVolume.SetUp failed for volume "{stuck[0]}": timed out')
            await self._room.wait()
        pod.phase, pod.started_at = "Running", self._now()
        self.show(pod)

    def _place(self, pod: Pod) -> tuple[VirtualNode | None, str]:
        missing = [claim for claim in claims_of(pod.config) if claim not in self.claims]
        if missing:
            count = len(self.nodes)
            return None, f'0/{count} nodes are available: persistentvolumeclaim "{missing[0]}" not found.'
        return choose(self.nodes, pod.asked, pod.config)

    def _warn(self, pod: Pod, reason: str, message: str) -> None:
        """A warning of the kubelet's; the pod itself says nothing of it."""
        about = {"name": f"{pod.name}.{reason.lower()}", "namespace": pod.namespace}
        involved = {"kind": "Pod", "name": pod.name, "namespace": pod.namespace}
        told = {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": _at(self._now())}
        self._kube.objects.put("events", {"metadata": about, "involvedObject": involved, **told})

    def end(self, pod: Pod, exit_code: int, reason: str, message: str = "", log: bytes = b"") -> None:
        """Its container ended."""
        self._kube.logs[(pod.namespace, pod.name)] = log
        pod.phase = "Failed" if exit_code else "Succeeded"
        pod.exit_code, pod.reason, pod.message, pod.finished_at = exit_code, reason, message, self._now()
        self._let_go(pod)
        self.show(pod)

    def remove(self, pod: Pod) -> None:
        """Delete it."""
        self._let_go(pod)
        self.all.pop(pod.name, None)
        self._kube.objects.delete("pods", pod.namespace, pod.name)
        self._kube.logs.pop((pod.namespace, pod.name), None)
        pod.lost.set()

    def delete_node(self, name: str) -> None:
        """A node goes away with all that runs on it."""
        self.nodes = [node for node in self.nodes if node.name != name]
        self._kube.objects.delete("nodes", "", name)
        for pod in list(self.all.values()):
            if pod.node is not None and pod.node.name == name and pod.finished_at is None:
                self.remove(pod)
        self.changed()

    def changed(self) -> None:
        """Something that pods wait for may be there now."""
        self._room.set()
        self._room = asyncio.Event()

    def show(self, pod: Pod) -> None:
        """Write the object through; annotations that others put on it stay."""
        if pod.name not in self.all:
            return
        before = self._kube.objects.find("pods", pod.namespace, pod.name)
        item = pod.object()
        if before is not None:
            item["metadata"]["annotations"] = {**before["metadata"]["annotations"], **item["metadata"]["annotations"]}
        self._kube.objects.put("pods", item)

    def _let_go(self, pod: Pod) -> None:
        if pod.node is not None and pod.is_holding:
            pod.node.held = pod.node.held - pod.asked
            pod.is_holding = False
        self.changed()


def claims_of(config: Mapping[str, Any]) -> list[str]:
    """Names of the volume claims that an executor mounts."""
    return [claim_of(mount) for mount in config.get("pvcMount") or [] if claim_of(mount)]


def claim_of(mount: Mapping[str, Any]) -> str:
    """Name of one mounted claim, where it is constant."""
    given = mount.get("pvcNameParameter") or {}
    constant = (given.get("runtimeValue") or {}).get("constant")
    return str(mount.get("constant") or mount.get("pvcName") or constant or "")


def _at(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
