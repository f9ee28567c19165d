"""How large a compiled pipeline becomes on its way: each task's command, and the Workflow that Kubeflow makes of it.

What we compile keeps narrow limits, so that there is room for what others add. What others compiled is held only
against what Linux and Kubernetes refuse for certain: Kubeflow runs much that is larger than ours ever gets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from server.platforms.kubeflow.compile.carried import carried_bytes
from server.platforms.kubeflow.reading.documents import Documents
from server.platforms.kubeflow.reading.fields import get, items, section
from server.platforms.kubeflow.reading.graph import read_pipeline

SDK_VERSION = "mlopx"
"""What a document says of who compiled it, if we did."""

TASK_LIMIT_BYTES = 16 << 10
"""What one task's runtime and source may take as carried in its command."""

WORKFLOW_LIMIT_BYTES = 1 << 20
"""What Kubernetes stores of one object without trouble."""

ARGUMENT_MOST_BYTES = (128 << 10) - 1
"""What Linux takes as one argument of a program (MAX_ARG_STRLEN, with the zero at its end)."""

WORKFLOW_MOST_BYTES = 3 << 19
"""What etcd takes as one object unless it is told otherwise: 1.5 MiB."""

_PER_TASK_BYTES = 420
"""What Kubeflow's Workflow holds of a task besides the texts below: its driver's and executor's templates' use."""

MOST_NAMED = 3

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def size_problems(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> list[str]:
    """What is too large, as sentences with the task, the bytes, and what to do. Placements count as written."""
    is_own = get(pipeline, "sdkVersion") == SDK_VERSION
    sizes = {label: _size(executor, is_own=is_own) for label, executor in _executors(pipeline).items()}
    most = TASK_LIMIT_BYTES if is_own else ARGUMENT_MOST_BYTES
    what = "runtime and source take" if is_own else "one argument of the command takes"
    advice = (
        "move code into a package or the image" if is_own else "Linux starts no program with it; move it into a file"
    )
    large = {label: size for label, size in sizes.items() if size > most}
    total, limit = workflow_bytes(pipeline, platform), WORKFLOW_LIMIT_BYTES if is_own else WORKFLOW_MOST_BYTES
    if not large and total <= limit:
        return []
    named = _tasks_of(pipeline, platform)
    found = [
        f"{_said(named, label)}: {what} {size} bytes as carried, more than {most}; {advice}"
        for label, size in large.items()
    ]
    return found + ([_too_large(total, limit, sizes, named)] if total > limit else [])


def size_doubts(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> list[str]:
    """What of a pipeline that others compiled is so large that Kubernetes may refuse it, as sentences."""
    total = workflow_bytes(pipeline, platform)
    if not WORKFLOW_LIMIT_BYTES < total <= WORKFLOW_MOST_BYTES:
        return []
    return [f"the workflow takes about {total} bytes; Kubernetes refuses objects of more than {WORKFLOW_MOST_BYTES}"]


def workflow_bytes(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> int:
    """An estimate of the Workflow's size: equal containers and configurations are stored once, tasks one by one."""
    configs = section(platform, "platforms", "kubernetes", "deploymentSpec", "executors").values()
    texts = {_text(one) for one in _executors(pipeline).values()} | {_text(one) for one in configs}
    components = [pipeline.get("root"), *section(pipeline, "components").values()]
    size = sum(map(_quoted_bytes, texts))
    for component in components:
        tasks = section(component, "dag", "tasks")
        size += _quoted_bytes(_text(component)) + _PER_TASK_BYTES * len(tasks)
    return size


def _executors(pipeline: Mapping[str, Any]) -> Mapping[str, Any]:
    return section(pipeline, "deploymentSpec", "executors")


def _size(executor: object, *, is_own: bool) -> int:
    """What a task carries in all, or in the longest of its arguments."""
    container = section(executor, "container")
    if is_own:
        return carried_bytes(dict(container))
    parts = (*items(container, "command"), *items(container, "args"))
    return max((len(str(part).encode()) for part in parts), default=0)


def _too_large(total: int, limit: int, sizes: Mapping[str, int], named: Mapping[str, list[str]]) -> str:
    largest = max(sizes, key=lambda label: sizes[label], default="")
    most = f"; most of one command takes {_said(named, largest)}: {sizes[largest]} bytes" if largest else ""
    return (
        f"the workflow takes about {total} bytes, more than the {limit} that Kubernetes stores of one{most};"
        " use loops or fewer different components"
    )


def _tasks_of(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """The paths of the tasks of each executor."""
    found: dict[str, list[str]] = {}
    for task in read_pipeline(Documents("the pipeline", "", pipeline, platform)).tasks.values():
        found.setdefault(task.executor, []).append(task.path)
    return found


def _said(named: Mapping[str, list[str]], label: str) -> str:
    """Tasks by name; an executor that no task uses by its label."""
    paths = named.get(label, [])
    if not paths:
        return f"executor {label}"
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return f"task{'s' if len(paths) > 1 else ''} {', '.join(paths[:MOST_NAMED])}{more}"


def _quoted_bytes(text: str) -> int:
    """How long JSON becomes inside a text of JSON, as the Workflow has it: its quotes and backslashes are escaped."""
    return len(text.encode()) + text.count('"') + text.count("\\") + 2


__all__ = [
    "SDK_VERSION",
    "TASK_LIMIT_BYTES",
    "WORKFLOW_LIMIT_BYTES",
    "WORKFLOW_MOST_BYTES",
    "size_doubts",
    "size_problems",
    "workflow_bytes",
]
