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


def set_requests(container: dict[str, Any], requests: Resources | None) -> None:
    """Set requests; a smaller limit is raised to them; accelerators are what is asked for, or none."""
    if requests is None:
        return
    resources = enter(container, "resources")
    if requests.cpu_millicores:
        _amount(resources, "Cpu", f"{requests.cpu_millicores}m", Decimal(requests.cpu_millicores) / 1000)
    if requests.memory_bytes:
        _amount(resources, "Memory", memory_text(requests.memory_bytes), Decimal(requests.memory_bytes) / 10**9)
    drop(resources, "accelerator")
    for kind, count in requests.accelerators[:1]:
        resources["accelerator"] = accelerator(kind, count)
    if not resources:
        drop(container, "resources")


def accelerator(kind: str, count: int) -> dict[str, str]:
    """An accelerator's entry, for servers that read the new fields and those that read the old."""
    return {"count": str(count), "resourceCount": str(count), "resourceType": kind, "type": kind}


def memory_text(amount: int) -> str:
    """Bytes as a Kubernetes quantity, in the largest binary unit that divides them."""
    for unit, power in (("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if amount % 2**power == 0:
            return f"{amount >> power}{unit}"
    return str(amount)


def _amount(resources: dict[str, Any], what: str, text: str, number: Decimal) -> None:
    put(resources, f"resource{what}Request", text)
    put(resources, f"{what.lower()}Request", float(number))
    limit = get(resources, f"resource{what}Limit")
    found = quantity(limit) if isinstance(limit, str) else None
    plain = number if what == "Cpu" else number * 10**9
    if found is not None and found < plain:
        put(resources, f"resource{what}Limit", text)
    old = get(resources, f"{what.lower()}Limit")
    if isinstance(old, int | float) and old < number:
        put(resources, f"{what.lower()}Limit", float(number))
