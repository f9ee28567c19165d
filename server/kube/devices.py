"""What drivers tell of devices (dynamic resource allocation): slices of pools, claims on them, and classes of them.

Source: resource.k8s.io of the Kubernetes API, v1 and v1beta2; v1beta1 keeps a device's facts under `basic`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.kube.client import Object
from server.kube.quantities import quantity, units

PARTS = frozenset({"mig", "vfio"})
"""Types of devices that are parts of others, or other ways to hand them out: whole devices are counted, once."""

EXTENDED = "resource.kubernetes.io/extended-resource-claim"
"""Marks claims made for pods that ask for an extended resource: what these hold is among the pods' requests."""

MODELS = ("productName", "model", "productname")

DeviceName = tuple[str, str, str]
"""Driver, pool and name: what tells devices apart."""

_DRIVER = re.compile(r"""device\.driver\s*==\s*["']([^"']+)["']""")
_TYPE = re.compile(r"""device\.attributes\[["'][^"']+["']\]\.type\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True, slots=True)
class Device:
    """One device on a node: `kind` is its driver's word for what it is (`gpu`), empty where there is none."""

    name: DeviceName
    node: str
    kind: str = ""
    model: str = ""
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SliceSeen:
    """Some devices of a pool. Of slices of one pool only those of the newest generation count."""

    driver: str
    pool: str
    generation: int
    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True)
class ClassSeen:
    """Under which name pods ask for devices of a driver (of a kind, where `kind` is not empty) as a resource."""

    driver: str
    kind: str
    resource: str


def read_slice(item: Object) -> SliceSeen | None:
    """A slice; None where none of its devices belongs to a node."""
    spec = item.get("spec") or {}
    driver, pool = str(spec.get("driver") or ""), spec.get("pool") or {}
    name = str(pool.get("name") or "")
    devices = [
        found
        for one in spec.get("devices") or []
        if (found := _device(one, driver, name, str(spec.get("nodeName") or ""))) is not None
    ]
    return SliceSeen(driver, name, int(pool.get("generation") or 0), tuple(devices)) if devices else None


def read_claim(item: Object) -> tuple[DeviceName, ...] | None:
    """The devices that a claim holds; None where it holds none that are not counted otherwise."""
    if (item["metadata"].get("annotations") or {}).get(EXTENDED):
        return None
    allocation = (item.get("status") or {}).get("allocation") or {}
    results = (allocation.get("devices") or {}).get("results") or []
    held = [
        (str(one.get("driver") or ""), str(one.get("pool") or ""), str(one.get("device") or ""))
        for one in results
        if not one.get("adminAccess")
    ]
    return tuple(held) or None


def read_class(item: Object) -> ClassSeen | None:
    """A class that pods can name as a resource, of all devices of a driver or of one kind; None for any other."""
    spec = item.get("spec") or {}
    resource = spec.get("extendedResourceName")
    told = " && ".join(str((one.get("cel") or {}).get("expression") or "") for one in spec.get("selectors") or [])
    driver, kind = _DRIVER.search(told), _TYPE.search(told)
    if not resource or driver is None:
        return None
    rest = _TYPE.sub("", _DRIVER.sub("", told))
    if rest.strip(" &()\n\t"):
        return None  # it chooses among them
    return ClassSeen(driver.group(1), kind.group(1) if kind else "", str(resource))


def _device(told: Mapping[str, Any], driver: str, pool: str, node: str) -> Device | None:
    facts: Mapping[str, Any] = told.get("basic") or told
    node = node or str(told.get("nodeName") or facts.get("nodeName") or "")
    attributes, capacity = _bare(facts.get("attributes")), _bare(facts.get("capacity"))
    kind = str((attributes.get("type") or {}).get("string") or "")
    is_kept_away = any(one.get("effect") in ("NoSchedule", "NoExecute") for one in facts.get("taints") or [])
    if not node or kind in PARTS or is_kept_away:
        return None
    models = (str((attributes.get(name) or {}).get("string") or "") for name in MODELS)
    memory = capacity.get("memory")
    size = memory.get("value") if isinstance(memory, dict) else memory
    return Device(
        name=(driver, pool, str(told.get("name") or "")),
        node=node,
        kind=kind,
        model=next((model for model in models if model), ""),
        memory_bytes=units(quantity(str(size))) if size else None,
    )


def _bare(told: Mapping[str, Any] | None) -> dict[str, Any]:
    """By names without the domain before them."""
    return {str(name).rpartition("/")[2]: value for name, value in (told or {}).items()}


__all__ = ["ClassSeen", "Device", "DeviceName", "SliceSeen", "read_claim", "read_class", "read_slice"]
