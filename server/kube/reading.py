"""Nodes and pods of the Kubernetes API as values of the domain.

Source: core/v1 of the Kubernetes API.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from server.domain.node import Node, Taint
from server.domain.resources import NOTHING, Resources
from server.domain.starting import MOST_TOLD, NodeImages
from server.kube.client import Object
from server.kube.pod_requests import requests_of
from server.kube.quantities import millis, quantity, units

GPU_MEMORY_LABEL = "nvidia.com/gpu.memory"
"""MiB per device, as GPU feature discovery writes it."""

_NO_ACCELERATORS = ("hugepages-", "attachable-volumes-", "ephemeral-storage")


def read_node(item: Object) -> Node:
    """A node. Raises ValueError for a quantity that is none."""
    about, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    labels = {str(key): str(value) for key, value in (about.get("labels") or {}).items()}
    conditions = {one.get("type"): one.get("status") for one in status.get("conditions") or []}
    allocatable = resources_of(status.get("allocatable") or {})
    kinds = [kind for kind, _ in allocatable.accelerators if kind.startswith("nvidia.com/")]
    return Node(
        name=about["name"],
        allocatable=allocatable,
        labels=labels,
        taints=tuple(
            Taint(str(one.get("key", "")), str(one.get("value") or ""), str(one.get("effect") or "NoSchedule"))
            for one in spec.get("taints") or []
        ),
        accelerator_memory_bytes={kind: size for kind in kinds if (size := _device_bytes(kind, labels)) is not None},
        accelerator_models={kind: model for kind in kinds if (model := labels.get(f"{kind}.product"))},
        is_ready=conditions.get("Ready") == "True",
        is_schedulable=not spec.get("unschedulable", False),
    )


def _device_bytes(kind: str, labels: Mapping[str, str]) -> int | None:
    """Memory per device. Slices of a GPU (MIG, strategy `mixed`) have kinds, and labels, of their own."""
    memory = labels.get(f"{kind}.memory") or (labels.get(GPU_MEMORY_LABEL, "") if "/mig-" not in kind else "")
    return int(memory) * 2**20 if memory.isdigit() else None


def images_of(item: Object) -> NodeImages:
    """The images that lie on a node already."""
    told = (item.get("status") or {}).get("images") or []
    sizes = {
        sys.intern(str(name)): int(size) if isinstance(size := image.get("sizeBytes"), int) else 0
        for image in told
        for name in image.get("names") or []
    }
    return NodeImages(sizes, is_all=len(told) < MOST_TOLD)


def resources_of(amounts: Mapping[str, Any]) -> Resources:
    """A list of quantities as resources; extended resources count as accelerators."""
    extended = {
        str(name): units(quantity(str(amount)))
        for name, amount in amounts.items()
        if "/" in name and not str(name).startswith(_NO_ACCELERATORS)
    }
    return Resources.of(
        cpu_millicores=millis(quantity(str(amounts.get("cpu", 0)))),
        memory_bytes=units(quantity(str(amounts.get("memory", 0)))),
        accelerators=extended,
        pods=units(quantity(str(amounts.get("pods", 0)))),
    )


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod as its kubelet told. `reason` is of the state it is in (`ImagePullBackOff`, …)."""

    name: str
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class PodSeen:
    """What we need of a pod: where it is, what it holds, how far it came, and why it does not get further.

    `artifacts`, by name, are what it was told to write; only who knows the pod's program reads that.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    node: str | None = None
    phase: str = ""
    requests: Resources = NOTHING
    created_at: datetime | None = None
    scheduled_at: datetime | None = None
    unscheduled_reason: str = ""
    reason: str = ""
    message: str = ""
    is_leaving: bool = False
    claims: tuple[str, ...] = ()
    artifacts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether it holds nothing any more."""
        return self.phase in ("Succeeded", "Failed")

    def container(self, name: str) -> Container | None:
        """One of its containers."""
        return next((one for one in self.containers if one.name == name), None)


def read_pod(item: Object) -> PodSeen:
    """A pod."""
    about, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    scheduled = next((one for one in conditions if one.get("type") == "PodScheduled"), {})
    is_scheduled = scheduled.get("status") == "True"
    told = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    sources = [volume.get("persistentVolumeClaim") or {} for volume in spec.get("volumes") or []]
    return PodSeen(
        namespace=str(about.get("namespace") or ""),
        name=str(about["name"]),
        labels=dict(about.get("labels") or {}),
        annotations=dict(about.get("annotations") or {}),
        node=spec.get("nodeName") or None,
        phase=str(status.get("phase") or "Pending"),
        requests=requests_of(item),
        created_at=instant(about.get("creationTimestamp")),
        scheduled_at=instant(scheduled.get("lastTransitionTime")) if is_scheduled else None,
        unscheduled_reason="" if is_scheduled else str(scheduled.get("message") or ""),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or ""),
        is_leaving=bool(about.get("deletionTimestamp")),
        claims=tuple(str(source["claimName"]) for source in sources if source.get("claimName")),
        containers=tuple(_container(one) for one in told),
    )


def instant(text: Any) -> datetime | None:
    """An RFC 3339 instant; none for what is empty or before 1971 (how Go writes no time)."""
    if not isinstance(text, str) or not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None and found.year > 1970 else None


def _container(told: Mapping[str, Any]) -> Container:
    state = told.get("state") or {}
    waiting, running, ended = (state.get(name) or {} for name in ("waiting", "running", "terminated"))
    current = ended or running or waiting
    return Container(
        name=str(told.get("name", "")),
        reason=str(current.get("reason") or ""),
        message=str(current.get("message") or ""),
        started_at=instant(current.get("startedAt")),
        finished_at=instant(ended.get("finishedAt")),
        exit_code=int(ended["exitCode"]) if "exitCode" in ended else None,
    )


__all__ = ["Container", "PodSeen", "images_of", "instant", "read_node", "read_pod", "resources_of"]
