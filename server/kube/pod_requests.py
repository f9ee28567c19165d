"""What a pod holds of its node, as Kubernetes' scheduler counts it, and how much of that its program did not ask for.

Containers and sidecars (init containers that stay) count together; an initialising one runs alone, beside the sidecars
before it. A pod may ask as a whole instead. While a resize is under way the larger amount counts, and one that the node
cannot grant does not.

Source: core/v1 of the Kubernetes API; component-helpers, resource (PodRequests) of Kubernetes 1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from server.domain.resources import Resources
from server.kube.client import Object
from server.kube.quantities import millis, quantity, units

Amounts = Counter[str]

POD_LEVEL = ("cpu", "memory")
"""What a pod can ask for as a whole; huge pages as well."""


def requests_of(pod: Object) -> Resources:
    """What a pod holds; one pod. Raises ValueError for a quantity that is none."""
    return _resources(_effective(pod), pods=1)


def beside_requests(pod: Object, main: str = "main") -> Resources:
    """What a pod holds beyond what its program's container asks for: sidecars that were injected, the platform's own
    helpers, initialising, overhead. The program is the container of that name, else the first; no pod is counted."""
    containers = _listed(pod, "containers")
    program = next((one for one in containers if one.get("name") == main), next(iter(containers), {}))
    own = _asked(program)
    return _resources(Counter({name: max(amount - own[name], 0) for name, amount in _effective(pod).items()}), pods=0)


def _effective(pod: Object) -> Amounts:
    spec = pod.get("spec") or {}
    summed = _of_containers(pod)
    return Counter({**summed, **_of_the_pod(spec, summed)}) + Counter(_amounts(spec.get("overhead") or {}))


def _of_containers(pod: Object) -> Amounts:
    status = pod.get("status") or {}
    is_refused = any(
        one.get("type") == "PodResizePending" and one.get("reason") == "Infeasible"
        for one in status.get("conditions") or []
    )
    told = {
        one.get("name"): one for key in ("containerStatuses", "initContainerStatuses") for one in status.get(key) or []
    }

    def held(container: Mapping[str, Any]) -> Amounts:
        return _held(container, told.get(container.get("name")) or {}, is_refused=is_refused)

    total = _sum(map(held, _listed(pod, "containers")))
    sidecars, starting = Amounts(), Amounts()
    for one in _listed(pod, "initContainers"):
        if one.get("restartPolicy") == "Always":
            asked = held(one)
            total, sidecars = total + asked, sidecars + asked
            starting |= sidecars
        else:
            starting |= _asked(one) + sidecars
    return total | starting


def _held(container: Mapping[str, Any], told: Mapping[str, Any], *, is_refused: bool) -> Amounts:
    """What a container asks for, or has been given already where that is more: it may be being resized."""
    given = Counter(_amounts((told.get("resources") or {}).get("requests") or {}))
    given |= Counter(_amounts(told.get("allocatedResources") or {}))
    return given if given and is_refused else _asked(container) | given


def _of_the_pod(spec: Mapping[str, Any], summed: Amounts) -> dict[str, int]:
    """What the pod asks for as a whole; where it only has limits, these, unless its containers ask for something."""
    resources = spec.get("resources") or {}
    limits = {name: most for name, most in _amounts(resources.get("limits") or {}).items() if name not in summed}
    found = {**limits, **_amounts(resources.get("requests") or {})}
    return {name: amount for name, amount in found.items() if name in POD_LEVEL or name.startswith("hugepages-")}


def _listed(pod: Object, key: str) -> Sequence[Mapping[str, Any]]:
    return (pod.get("spec") or {}).get(key) or []


def _asked(container: Mapping[str, Any]) -> Amounts:
    resources = container.get("resources") or {}
    return Counter({**_amounts(resources.get("limits") or {}), **_amounts(resources.get("requests") or {})})


def _amounts(amounts: Mapping[str, Any]) -> dict[str, int]:
    return dict(_whole(amounts))


def _whole(amounts: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, amount in amounts.items():
        exact = quantity(str(amount))
        yield str(name), millis(exact) if name == "cpu" else units(exact)


def _sum(parts: Iterable[Amounts]) -> Amounts:
    total = Amounts()
    for part in parts:
        total += part
    return total


def _resources(amounts: Amounts, *, pods: int) -> Resources:
    kinds = {kind: count for kind, count in amounts.items() if "/" in kind and not kind.startswith("hugepages-")}
    return Resources.of(cpu_millicores=amounts["cpu"], memory_bytes=amounts["memory"], accelerators=kinds, pods=pods)


__all__ = ["beside_requests", "requests_of"]
