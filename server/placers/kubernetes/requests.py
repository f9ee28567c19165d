"""How much a pod asks for: the sum of its containers, the largest of its initialising ones, the pod's own word.

Source: Kubernetes 1.36, pod requests with sidecars, overhead and pod-level resources (component-helpers, resource).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from server.kube.quantities import millis, quantity, units

Amounts = Mapping[str, Fraction]

DEFAULT_CPU_MILLICORES = 100
DEFAULT_MEMORY_BYTES = 200 * 2**20
SCORED_DEFAULTS: Amounts = {"cpu": quantity("100m"), "memory": quantity("200Mi")}
"""What a container without a request counts for in scores."""

POD_LEVEL = ("cpu", "memory")
"""What a pod can ask for as a whole; huge pages as well."""


@dataclass(frozen=True, slots=True)
class Container:
    """What one container asks for. A sidecar starts before the others and stays."""

    requests: Amounts
    is_initial: bool = False
    is_sidecar: bool = False


def pod_amounts(containers: Sequence[Container], pod_level: Amounts, overhead: Amounts, missing: Amounts) -> Amounts:
    """What the pod asks for in all. `missing` stands in for what a container does not ask for."""
    always: dict[str, Fraction] = {}
    sidecars: dict[str, Fraction] = {}
    starting: dict[str, Fraction] = {}
    for container in containers:
        asked = {**missing, **container.requests}
        if container.is_sidecar:
            always, sidecars = _sum(always, asked), _sum(sidecars, asked)
            starting = _largest(starting, sidecars)
        elif container.is_initial:
            starting = _largest(starting, _sum(asked, sidecars))
        else:
            always = _sum(always, asked)
    found = _largest(always, starting)
    found.update({name: amount for name, amount in pod_level.items() if is_pod_level(name)})
    return _sum(found, overhead)


def pod_level_requests(requests: Amounts, limits: Amounts, containers: Sequence[Container]) -> Amounts:
    """The pod's own requests; where it has only limits, what its containers ask for, or the limit itself."""
    summed = pod_amounts(containers, {}, {}, {})
    implied = {name: summed.get(name, limit) for name, limit in limits.items() if is_pod_level(name)}
    return {**implied, **requests}


def is_pod_level(name: str) -> bool:
    """Whether a pod as a whole can ask for it."""
    return name in POD_LEVEL or name.startswith("hugepages-")


def whole(amounts: Amounts) -> dict[str, int]:
    """Amounts as the scheduler counts them: millicores and whole units, only resources it knows."""
    counted = {name: amount for name, amount in amounts.items() if is_counted(name)}
    return {name: millis(amount) if name == "cpu" else units(amount) for name, amount in counted.items()}


def is_counted(name: str) -> bool:
    """Whether the scheduler looks at the resource."""
    return name in ("cpu", "memory", "ephemeral-storage") or is_scalar(name)


def is_scalar(name: str) -> bool:
    """Extended resources such as accelerators, huge pages, attachable volumes."""
    return "/" in name or name.startswith(("hugepages-", "attachable-volumes-"))


def _sum(one: Amounts, other: Amounts) -> dict[str, Fraction]:
    return {name: one.get(name, Fraction(0)) + other.get(name, Fraction(0)) for name in _names(one, other)}


def _largest(one: Amounts, other: Amounts) -> dict[str, Fraction]:
    return {name: max(one.get(name, Fraction(0)), other.get(name, Fraction(0))) for name in _names(one, other)}


def _names(one: Amounts, other: Amounts) -> Iterable[str]:
    return dict.fromkeys((*one, *other))


__all__ = [
    "DEFAULT_CPU_MILLICORES",
    "DEFAULT_MEMORY_BYTES",
    "SCORED_DEFAULTS",
    "Amounts",
    "Container",
    "is_counted",
    "is_scalar",
    "pod_amounts",
    "pod_level_requests",
    "whole",
]
