"""How much a pod asks for: the sum of its containers, the largest of its initialising ones, the pod's own word.

Source: Kubernetes 1.36, pod requests with sidecars, overhead and pod-level resources (component-helpers, resource).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """What one container asks for, and may have at most. A sidecar starts before the others and stays."""

    requests: Amounts
    is_initial: bool = False
    is_sidecar: bool = False
    limits: Amounts = field(default_factory=dict)


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
    """The pod's own requests as the API server completes them.

    A pod with limits of its own, be they only its containers' huge pages, asks also for the processors and memory that
    its containers ask for; what nobody asks for is its limit.
    """
    if requests or limits:
        allowed = pod_amounts([replace(container, requests=container.limits) for container in containers], {}, {}, {})
        pages = {name: amount for name, amount in allowed.items() if _is_pages(name) and name not in requests}
        limits = {**pages, **limits}
    if not limits:
        return requests
    summed = pod_amounts(containers, {}, {}, {})
    implied = {name: limit for name, limit in limits.items() if is_pod_level(name)}
    return {**implied, **{name: summed[name] for name in POD_LEVEL if name in summed}, **requests}


def missing_once_bound(pod_level: Amounts, requests: Amounts) -> Amounts:
    """What stands in for what a container does not ask for once its pod is bound.

    A pod that asks for something itself is then taken at its word.
    """
    if not any(is_pod_level(name) for name in pod_level):
        return SCORED_DEFAULTS
    return {name: amount for name, amount in SCORED_DEFAULTS.items() if name not in requests}


def is_pod_level(name: str) -> bool:
    """Whether a pod as a whole can ask for it."""
    return name in POD_LEVEL or _is_pages(name)


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


def _is_pages(name: str) -> bool:
    return name.startswith("hugepages-")


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
    "missing_once_bound",
    "pod_amounts",
    "pod_level_requests",
    "whole",
]
