"""What a container requests, from the amounts that Kubeflow's executors carry: `500m`, `2Gi`, a number of gigabytes.

An amount that is read from an input when the run gets there (`{{$.inputs...}}`) counts as not said, and is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from server.domain.resources import Resources
from server.platforms.kubeflow.reading.fields import get, section

_UNITS = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_NOTHING = Resources.of(pods=1)
_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([KMGTPE]i|[numkMGTPE]?))")


def quantity(text: str) -> Decimal | None:
    """A Kubernetes quantity as a number; None for what is none."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    try:
        number = Decimal(match[1] + (match[2] or ""))
    except InvalidOperation:
        return None
    unit = match[3] or ""
    return number * 2 ** _BINARY[unit] if unit in _BINARY else number.scaleb(_UNITS[unit])


def requests_of(container: object) -> tuple[Resources, tuple[str, ...]]:
    """What the container requests (a limit stands in for a missing request), and the names of amounts not known yet."""
    resources = section(container, "resources")
    if not resources:
        return _NOTHING, ()
    unknown: list[str] = []

    def first(what: str, *names: str) -> Decimal | None:
        for name in names:
            value = get(resources, name)
            if isinstance(value, int | float) and value > 0:
                return Decimal(str(value)) * (1 if what == "cpu" else 10**9)
            if isinstance(value, str) and value:
                found = quantity(value)
                if found is None:
                    unknown.append(what)
                return found
        return None

    cpu = first("cpu", "resourceCpuRequest", "cpuRequest", "resourceCpuLimit", "cpuLimit")
    memory = first("memory", "resourceMemoryRequest", "memoryRequest", "resourceMemoryLimit", "memoryLimit")
    accelerators, are_known = _accelerators(section(resources, "accelerator"))
    if not are_known:
        unknown.append("accelerators")
    found = Resources.of(
        cpu_millicores=_ceiling(cpu * 1000) if cpu else 0,
        memory_bytes=_ceiling(memory) if memory else 0,
        accelerators=accelerators,
        pods=1,
    )
    return found, tuple(unknown)


def _accelerators(found: Mapping[str, Any]) -> tuple[dict[str, int], bool]:
    kind = get(found, "resourceType") or get(found, "type")
    count = get(found, "resourceCount") or get(found, "count")
    if not kind and not count:
        return {}, True
    number = quantity(str(count)) if count is not None else Decimal(1)
    if not isinstance(kind, str) or "{{" in kind or number is None:
        return {}, False
    return {kind: int(number)}, True


def _ceiling(number: Decimal) -> int:
    return max(int(number.to_integral_value("ROUND_CEILING")), 0)


__all__ = ["quantity", "requests_of"]
