"""How large a compiled pipeline becomes on its way: each task's command, and the Workflow that Kubeflow makes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from server.platforms.kubeflow.compile.carried import carried_bytes
from server.platforms.kubeflow.reading.fields import section

TASK_LIMIT_BYTES = 16 << 10
"""What one task's runtime and source may take as carried in its command."""

WORKFLOW_LIMIT_BYTES = 1 << 20
"""What Kubernetes stores of one object without trouble; etcd refuses 1.5 MiB."""

_PER_TASK_BYTES = 420
"""What Kubeflow's Workflow holds of a task besides the texts below: its driver's and executor's templates' use."""


def size_problems(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> list[str]:
    """What is too large, as sentences with what to do."""
    found = []
    for label, executor in section(pipeline, "deploymentSpec", "executors").items():
        size = carried_bytes(dict(section(executor, "container")))
        if size > TASK_LIMIT_BYTES:
            found.append(
                f"{label}: its runtime and source take {size} bytes as carried, more than {TASK_LIMIT_BYTES};"
                " move code into a package or the image"
            )
    size = workflow_bytes(pipeline, platform)
    if size > WORKFLOW_LIMIT_BYTES:
        found.append(
            f"the workflow takes about {size >> 10} KiB, more than {WORKFLOW_LIMIT_BYTES >> 10} KiB that Kubernetes"
            " stores of one; use loops or fewer different components"
        )
    return found


def workflow_bytes(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> int:
    """An estimate of the Workflow's size: equal containers and configurations are stored once, tasks one by one."""
    executors = section(pipeline, "deploymentSpec", "executors").values()
    configs = section(platform, "platforms", "kubernetes", "deploymentSpec", "executors").values()
    texts = {_text(one) for one in executors} | {_text(one) for one in configs}
    components = [pipeline.get("root"), *section(pipeline, "components").values()]
    size = sum(len(text.encode()) for text in texts)
    for component in components:
        tasks = section(component, "dag", "tasks")
        size += len(_text(component).encode()) + _PER_TASK_BYTES * len(tasks)
    return size


def _text(document: Any) -> str:
    return json.dumps(json.dumps(document, ensure_ascii=False, separators=(",", ":")), ensure_ascii=False)


__all__ = ["TASK_LIMIT_BYTES", "WORKFLOW_LIMIT_BYTES", "size_problems", "workflow_bytes"]
