"""Small compiled pipelines, written by hand, and nodes to place them on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from server.domain.node import ARCHITECTURE_LABEL, HOSTNAME_LABEL, ZONE_LABEL, Node
from server.domain.resources import Resources


def a_task(component: str, *after: str, **more: Any) -> dict[str, Any]:
    """A task of a DAG."""
    found: dict[str, Any] = {"componentRef": {"name": component}, "taskInfo": {"name": component}, **more}
    return {**found, "dependentTasks": list(after)} if after else found


def a_container(**more: Any) -> dict[str, Any]:
    """A container executor."""
    return {"container": {"image": "python:3.11", "command": ["true"], **more}}


def a_pipeline(
    tasks: Mapping[str, Any],
    components: Mapping[str, Any],
    executors: Mapping[str, Any] | None = None,
    configs: Mapping[str, Any] | None = None,
    **more: Any,
) -> str:
    """The text of a compiled pipeline; each component named `comp-x` without a body runs the executor `exec-x`."""
    labels = {name: f"exec-{name.removeprefix('comp-')}" for name in components}
    bodies = {name: body or {"executorLabel": labels[name]} for name, body in components.items()}
    used = {str(body["executorLabel"]): a_container() for body in bodies.values() if "executorLabel" in body}
    document = {
        "pipelineInfo": {"name": "hand-made"},
        "components": bodies,
        "deploymentSpec": {"executors": {**used, **(executors or {})}},
        "root": {"dag": {"tasks": dict(tasks)}},
        "schemaVersion": "2.1.0",
        "sdkVersion": "by-hand",
        **more,
    }
    documents: list[Any] = [document]
    if configs is not None:
        documents.append({"platforms": {"kubernetes": {"deploymentSpec": {"executors": dict(configs)}}}})
    return str(yaml.safe_dump_all(documents, sort_keys=False))


def a_node(name: str, *, zone: str = "", architecture: str = "amd64", host: str | None = None, **more: Any) -> Node:
    """A node with the labels that Kubernetes gives."""
    labels = {ARCHITECTURE_LABEL: architecture, HOSTNAME_LABEL: name if host is None else host}
    labels |= {ZONE_LABEL: zone} if zone else {}
    labels |= more.pop("labels", {})
    has = Resources.of(cpu_millicores=8000, memory_bytes=2**34, accelerators=more.pop("accelerators", {}), pods=110)
    return Node(name=name, allocatable=has, labels={key: value for key, value in labels.items() if value}, **more)
