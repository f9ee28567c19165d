"""Accelerators that only their drivers tell of (dynamic resource allocation), and what claims hold of them.

A cluster may have this API in one of several versions, in none, or not let us read it: then nothing is known, and
nodes have the accelerators that they tell of themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from server.domain.node import Node, Occupancy
from server.domain.resources import Resources
from server.kube.client import KubeClient, Object
from server.kube.devices import (
    ClassSeen,
    Device,
    DeviceName,
    SliceSeen,
    read_claim,
    read_class,
    read_slice,
)
from server.kube.errors import KubeDeniedError, KubeError, KubeMissingError
from server.kube.mirror import Mirror, readable
from server.kube.resources import DEVICE_CLAIMS, DEVICE_CLASSES, DEVICE_VERSIONS, SLICES, Kind

log = logging.getLogger(__name__)

AGAIN_SECONDS = 300.0
"""So often a cluster that does not have this API, or does not let us read it, is asked whether it does by now."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Followed:
    slices: Mirror[SliceSeen]
    claims: Mirror[tuple[DeviceName, ...]]
    classes: Mirror[ClassSeen]


class DriverDevices:
    """Follows slices, claims and classes, in the newest version that the cluster has."""

    def __init__(
        self, client: KubeClient, *, now: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._client, self._now, self._sleep = client, now, sleep
        self._followed: _Followed | None = None
        self._equipped: dict[str, tuple[Node, Node]] = {}

    async def run_forever(self) -> None:
        """Follow everything by watching, until cancelled."""
        while True:
            if self._followed is None:
                await self.sync()
            if self._followed is None:
                await self._sleep(AGAIN_SECONDS)
                continue
            found = self._followed
            await asyncio.gather(found.slices.run_forever(), found.claims.run_forever(), found.classes.run_forever())

    async def sync(self) -> None:
        """List everything now."""
        versions = DEVICE_VERSIONS if self._followed is None else ()
        for version in versions:
            followed = self._of(version)
            try:
                await followed.slices.sync()
            except KubeMissingError:
                continue
            except KubeError as error:
                log.info("devices of drivers are not known: %s", error.message)
                return
            self._followed = followed
            break
        if self._followed is not None:
            await self._list(self._followed, is_new=bool(versions))

    async def _list(self, followed: _Followed, *, is_new: bool) -> None:
        mirrors: list[Mirror[SliceSeen] | Mirror[tuple[DeviceName, ...]] | Mirror[ClassSeen]]
        mirrors = [followed.claims, followed.classes, *([] if is_new else [followed.slices])]
        for mirror in mirrors:
            try:
                await mirror.sync()
            except KubeError as error:
                mirror.problem = error

    def _of(self, version: str) -> _Followed:
        return _Followed(
            self._mirror(replace(SLICES, group=version), read_slice),
            self._mirror(replace(DEVICE_CLAIMS, group=version), read_claim),
            self._mirror(replace(DEVICE_CLASSES, group=version), read_class),
        )

    def _mirror(self, kind: Kind, read: Callable[[Object], T | None]) -> Mirror[T]:
        return Mirror(self._client, kind, reduce=readable(read), now=self._now, sleep=self._sleep)

    @property
    def problem(self) -> str | None:
        """What is not known although there are such devices, in words."""
        if self._followed is None or not len(self._followed.slices):
            return None
        claims = self._followed.claims
        if isinstance(claims.problem, KubeDeniedError):
            return f"what others hold of the devices of drivers is unknown ({claims.problem.message})"
        return None

    def equipped(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """The nodes with the accelerators that their drivers tell of, where they do not tell of these themselves; the
        same objects as long as nothing about them changes."""
        by_node: dict[str, list[Device]] = {}
        for device in self._devices().values():
            by_node.setdefault(device.node, []).append(device)
        if not by_node:
            return tuple(nodes)
        resources = self._resources()
        return tuple(self._with(node, tuple(by_node.get(node.name, ())), resources) for node in nodes)

    def held(self, nodes: Iterable[Node]) -> list[Occupancy]:
        """What claims hold of the accelerators that the nodes have from their drivers."""
        devices, resources = self._devices(), self._resources()
        counts = Counter(
            (device.node, _resource(device, resources))
            for claim in (self._followed.claims if self._followed is not None else ())
            for name in claim
            if (device := devices.get(name)) is not None
        )
        kinds = {node.name: dict(node.allocatable.accelerators) for node in nodes} if counts else {}
        return [
            Occupancy(node, Resources.of(accelerators={kind: count}))
            for (node, kind), count in sorted(counts.items())
            if kind in kinds.get(node, {}) and self._is_by_driver(node, kind)
        ]

    def _is_by_driver(self, node: str, kind: str) -> bool:
        known = self._equipped.get(node)
        return known is not None and not known[0].allocatable.accelerator_count(kind)

    def _devices(self) -> dict[DeviceName, Device]:
        slices = list(self._followed.slices) if self._followed is not None else []
        newest: dict[tuple[str, str], int] = {}
        for one in slices:
            pool = (one.driver, one.pool)
            newest[pool] = max(newest.get(pool, 0), one.generation)
        return {
            device.name: device
            for one in slices
            if one.generation == newest[one.driver, one.pool]
            for device in one.devices
        }

    def _resources(self) -> dict[tuple[str, str], str]:
        """The resource by which pods ask for devices, by driver and kind."""
        classes = list(self._followed.classes) if self._followed is not None else []
        return {(one.driver, one.kind): one.resource for one in classes}

    def _with(self, node: Node, devices: tuple[Device, ...], resources: Mapping[tuple[str, str], str]) -> Node:
        if not devices:
            self._equipped.pop(node.name, None)
            return node
        known = self._equipped.get(node.name)
        made = _equipped(node, devices, resources)
        if known is not None and known[0] is node and known[1] == made:
            return known[1]
        self._equipped[node.name] = (node, made)
        return made


def _equipped(node: Node, devices: Iterable[Device], resources: Mapping[tuple[str, str], str]) -> Node:
    own = dict(node.allocatable.accelerators)
    vendors = {kind.partition("/")[0] for kind in own}
    found: dict[str, list[Device]] = {}
    for device in devices:
        if not any(device.name[0] == vendor or device.name[0].endswith(f".{vendor}") for vendor in vendors):
            found.setdefault(_resource(device, resources), []).append(device)
    if not found:
        return node
    sizes = {kind: [one.memory_bytes for one in some if one.memory_bytes] for kind, some in found.items()}
    models = {kind: Counter(one.model for one in some if one.model) for kind, some in found.items()}
    amounts = replace(node.allocatable, accelerators=())
    return replace(
        node,
        allocatable=amounts + Resources.of(accelerators={**own, **{kind: len(some) for kind, some in found.items()}}),
        accelerator_memory_bytes={
            **node.accelerator_memory_bytes,
            **{kind: min(some) for kind, some in sizes.items() if some},
        },
        accelerator_models={
            **node.accelerator_models,
            **{kind: some.most_common(1)[0][0] for kind, some in models.items() if some},
        },
    )


def _resource(device: Device, resources: Mapping[tuple[str, str], str]) -> str:
    """How tasks ask for it: by the resource of its class, else by its driver's name, which no task asks for."""
    driver = device.name[0]
    return resources.get((driver, device.kind)) or resources.get((driver, "")) or driver


__all__ = ["DriverDevices"]
