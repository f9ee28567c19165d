"""What a chosen option changes of a task's container: image, requests, and limits in their way."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from server.domain.resources import Resources
from server.platforms.kubeflow.placing.editing import drop, enter, listed, put
from server.platforms.kubeflow.reading.amounts import quantity
from server.platforms.kubeflow.reading.fields import get


def set_image(container: dict[str, Any], image: str | None) -> None:
    """Set the image, if there is one to set."""
    if image:
        put(container, "image", image)


def set_environment(container: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Set variables; others stay as they are."""
    for name, value in environment.items():
        variables = listed(container, "env")
        known = next((one for one in variables if isinstance(one, dict) and one.get("name") == name), None)
        if known is None:
            variables.append({"name": name, "value": value})
        else:
            known["value"] = value


def set_requests(container: dict[str, Any], requests: Resources | None, *, is_option: bool = True) -> None:
    """Set requests, and the limits that go with them; what is not requested is taken out.

    A limit of the author's stays where it leaves room for the request; one below it, or one that was the request
    itself, becomes the new request. Memory of an option is its limit too, so that it keeps to what its node was chosen
    by; the CPU gets no limit, which would only slow it down. Accelerators are what is asked for, or none: Kubeflow
    writes them as limits, which are requests too. An amount that the run reads from an input is left alone.
    """
    if requests is None:
        return
    resources = enter(container, "resources")
    _amount(resources, "Cpu", f"{requests.cpu_millicores}m", Decimal(requests.cpu_millicores) / 1000)
    memory = requests.memory_bytes
    _amount(resources, "Memory", memory_text(memory), Decimal(memory) / 10**9, is_limited=is_option)
    drop(resources, "accelerator")
    for kind, count in requests.accelerators[:1]:
        resources["accelerator"] = accelerator(kind, count)
    if not resources:
        drop(container, "resources")


def set_limits(container: dict[str, Any], cpu_millicores: int | None, memory_bytes: int | None) -> None:
    """Set what it may use at most, where that is said."""
    if cpu_millicores:
        _put(enter(container, "resources"), "Cpu", "Limit", f"{cpu_millicores}m", Decimal(cpu_millicores) / 1000)
    if memory_bytes:
        _put(enter(container, "resources"), "Memory", "Limit", memory_text(memory_bytes), Decimal(memory_bytes) / 10**9)


def accelerator(kind: str, count: int) -> dict[str, str]:
    """An accelerator's entry, for servers that read the new fields and those that read the old."""
    return {"count": str(count), "resourceCount": str(count), "resourceType": kind, "type": kind}


def memory_text(amount: int) -> str:
    """Bytes as a Kubernetes quantity, in the largest binary unit that divides them."""
    for unit, power in (("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if amount % 2**power == 0:
            return f"{amount >> power}{unit}"
    return str(amount)


def _amount(resources: dict[str, Any], what: str, text: str, number: Decimal, *, is_limited: bool = False) -> None:
    """Write one amount, in both forms: `text`, and `number` of CPUs or gigabytes."""
    before, limit = _stated(resources, what, "Request"), _stated(resources, what, "Limit")
    follows = limit is not None and (limit < number or limit == before)
    if not number:
        _drop(resources, what, "Request")
        if follows:
            _drop(resources, what, "Limit")
        return
    _put(resources, what, "Request", text, number)
    if follows or (is_limited and not _is_said(resources, what, "Limit")):
        _put(resources, what, "Limit", text, number)


def _stated(resources: Mapping[str, Any], what: str, role: str) -> Decimal | None:
    """An amount in CPUs or gigabytes; None where it is not said, or known only to the run."""
    said = get(resources, f"resource{what}{role}")
    if isinstance(said, str) and said:
        found = quantity(said)
        return found if found is None or what == "Cpu" else found / 10**9
    old = get(resources, f"{what.lower()}{role}")
    return Decimal(str(old)) if isinstance(old, int | float) and old else None


def _is_said(resources: Mapping[str, Any], what: str, role: str) -> bool:
    return bool(get(resources, f"resource{what}{role}") or get(resources, f"{what.lower()}{role}"))


def _put(resources: dict[str, Any], what: str, role: str, text: str, number: Decimal) -> None:
    put(resources, f"resource{what}{role}", text)
    put(resources, f"{what.lower()}{role}", float(number))


def _drop(resources: dict[str, Any], what: str, role: str) -> None:
    drop(resources, f"resource{what}{role}")
    drop(resources, f"{what.lower()}{role}")
