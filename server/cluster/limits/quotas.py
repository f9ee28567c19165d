"""What a namespace may hold in all, and what it fills in: ResourceQuota and LimitRange, and what they say to tasks.

Source: core/v1 of the Kubernetes API; the admission plug-ins ResourceQuota and LimitRanger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from server.domain.resources import Resources
from server.kube.client import Object
from server.kube.quantities import millis, quantity, units

Amounts = Mapping[str, Fraction]
"""Exact amounts by Kubernetes' names: CPUs, bytes, pieces."""

COUNTED_SCOPES = {"NotTerminating", "NotBestEffort"}
"""Scopes of quotas that tasks with requests fall under; a quota of any other scope is left out."""


@dataclass(frozen=True, slots=True)
class QuotaSeen:
    """A quota: what a namespace may hold, and what it holds now."""

    name: str
    hard: Amounts
    used: Amounts

    def left(self, what: str) -> Fraction:
        """What may still be taken."""
        return max(self.hard[what] - self.used.get(what, Fraction(0)), Fraction(0))


@dataclass(frozen=True, slots=True)
class RangeSeen:
    """A limit range for containers: `requests` where nothing is asked for, and the least and most that may be."""

    name: str
    requests: Amounts = field(default_factory=dict)
    least: Amounts = field(default_factory=dict)
    most: Amounts = field(default_factory=dict)


def read_quota(item: Object) -> QuotaSeen | None:
    """A quota; None for one that tasks do not fall under. Raises ValueError for a quantity that is none."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    if spec.get("scopeSelector") or not set(spec.get("scopes") or []) <= COUNTED_SCOPES:
        return None
    hard = _amounts(status.get("hard") or spec.get("hard") or {})
    return QuotaSeen(str(item["metadata"]["name"]), hard, _amounts(status.get("used") or {}))


def read_range(item: Object) -> RangeSeen:
    """A limit range, as far as it is about containers and pods. Raises ValueError for a quantity that is none."""
    requests: dict[str, Fraction] = {}
    least: dict[str, Fraction] = {}
    most: dict[str, Fraction] = {}
    for one in (item.get("spec") or {}).get("limits") or []:
        if one.get("type") not in ("Container", "Pod"):
            continue
        for name, amount in _amounts(one.get("max") or {}).items():
            most[name] = min(most.get(name, amount), amount)
        for name, amount in _amounts(one.get("min") or {}).items():
            least[name] = max(least.get(name, amount), amount)
        if one.get("type") == "Container":  # without a request, a limit counts as one, and a largest amount as a limit
            for key in ("max", "default", "defaultRequest"):
                requests.update(_amounts(one.get(key) or {}))
    return RangeSeen(str(item["metadata"]["name"]), requests, least, most)


def filled(asked: Resources, ranges: Iterable[RangeSeen]) -> Resources:
    """The requests with what the ranges fill in."""
    cpu, memory = asked.cpu_millicores, asked.memory_bytes
    for one in ranges:
        cpu = cpu or millis(one.requests.get("cpu", Fraction(0)))
        memory = memory or units(one.requests.get("memory", Fraction(0)))
    return Resources.of(cpu_millicores=cpu, memory_bytes=memory, accelerators=dict(asked.accelerators), pods=asked.pods)


def never(asked: Resources, quotas: Iterable[QuotaSeen], ranges: Iterable[RangeSeen], namespace: str) -> str | None:
    """Why Kubernetes would never make a pod with these requests there; None if it would."""
    wanted = _wanted(asked)
    for limit in ranges:
        for name, amount in wanted.items():
            if amount > limit.most.get(name, amount):
                return (
                    f"asks for {_text(name, amount)}, and limit range {limit.name} of namespace {namespace} lets a"
                    f" container have at most {_text(name, limit.most[name])}"
                )
            if name != "pods" and 0 < amount < limit.least.get(name, amount):
                return (
                    f"asks for {_text(name, amount)}, and limit range {limit.name} of namespace {namespace} wants at"
                    f" least {_text(name, limit.least[name])}"
                )
    for quota in quotas:
        for what, amount in _under(quota, wanted).items():
            if amount > quota.hard[what]:
                return (
                    f"asks for {_text(what, amount)}, and quota {quota.name} lets namespace {namespace} hold"
                    f" {_text(what, quota.hard[what])} in all"
                )
    return None


def not_now(asked: Resources, quotas: Iterable[QuotaSeen], promised: Resources, namespace: str) -> str | None:
    """Why pods with these requests in all would break a quota now; `promised` is taken already, but not counted yet."""
    for quota in quotas:
        soon = _under(quota, _wanted(promised))
        for what, amount in _under(quota, _wanted(asked)).items():
            left = max(quota.left(what) - soon.get(what, 0), Fraction(0))
            if amount > left:
                return (
                    f"waits for quota {quota.name} of namespace {namespace}: it needs {_text(what, amount)}, and"
                    f" {_text(what, left)} of {_text(what, quota.hard[what])} are left"
                )
    return None


def left_text(quota: QuotaSeen) -> str:
    """What a quota leaves: `1 of 4 CPUs left`, …"""
    return ", ".join(
        f"{_text(what, quota.left(what))} of {_text(what, hard)} left" for what, hard in quota.hard.items()
    )


def _wanted(asked: Resources) -> dict[str, Fraction]:
    found = {"cpu": Fraction(asked.cpu_millicores, 1000), "memory": Fraction(asked.memory_bytes)}
    found |= {kind: Fraction(count) for kind, count in asked.accelerators}
    return {**{name: amount for name, amount in found.items() if amount}, "pods": Fraction(asked.pods)}


def _under(quota: QuotaSeen, wanted: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """What of it the quota counts, by the quota's own names."""
    found = {}
    for name, amount in wanted.items():
        names = ("pods", "count/pods") if name == "pods" else (name, f"requests.{name}", f"limits.{name}")
        found.update({one: amount for one in names if one in quota.hard and amount})
    return found


def _amounts(given: Mapping[str, Any]) -> dict[str, Fraction]:
    return {str(name): quantity(str(amount)) for name, amount in given.items()}


def _text(name: str, amount: Fraction) -> str:
    kind = name.removeprefix("requests.").removeprefix("limits.")
    if kind == "memory":
        return f"{float(amount) / 2**20:.0f} MiB of memory"
    if kind == "cpu":
        return f"{float(amount):g} CPU{'' if amount == 1 else 's'}"
    return f"{float(amount):g} {kind.removeprefix('count/')}"


__all__ = ["QuotaSeen", "RangeSeen", "filled", "left_text", "never", "not_now", "read_quota", "read_range"]
