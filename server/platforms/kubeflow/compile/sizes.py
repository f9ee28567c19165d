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
from server.platforms.kubeflow.reading.fields import get, items, section, text
from server.platforms.kubeflow.reading.graph import read_pipeline

SDK_VERSION = "mlopx"
"""What a document says of who compiled it, if we did."""

TASK_LIMIT_BYTES = 16 << 10
"""What one task's runtime and source may take as carried in its command."""

WORKFLOW_LIMIT_BYTES = 1 << 20
"""What Argo keeps as one Workflow, with its packed status, unless it is told otherwise; Kubernetes takes a bit more."""

ARGUMENT_MOST_BYTES = (128 << 10) - 1
"""What Linux takes as one argument of a program (MAX_ARG_STRLEN, with the zero at its end)."""

WORKFLOW_MOST_BYTES = 3 << 19
"""What etcd takes as one object unless it is told otherwise: 1.5 MiB."""

_FIXED_BYTES, _PER_DAG_BYTES, _PER_ARGUMENT_BYTES = 7_470, 650, 110
"""The templates of drivers and executors; a graph's template; name and frame of what is stored as an argument."""

_PER_TASK_BYTES, _TIMES_NAMED, _PER_UPSTREAM_BYTES = 804, 6, 14
"""A task's calls of its driver and executor, how often they name it, and what it costs to wait for another; tasks are
written in one piece here, which names each once more."""

_PER_CONFIGURED_BYTES, _PER_MARK_BYTES, _PER_KIND_BYTES, _PER_KIND_MARK_BYTES = 90, 120, 2_500, 480
"""Of a task with a configuration, of each of its labels and annotations; of the templates for each number of those."""

MOST_NAMED = 3

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def is_roomy(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> bool:
    """Whether Kubernetes and Argo will store the Workflow without trouble."""
    return workflow_bytes(pipeline, platform) <= WORKFLOW_LIMIT_BYTES


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
    """An estimate of the Workflow that Kubeflow makes of it, without its status.

    A container is stored once with the first component that has it, a configuration for each component, a task beside
    its graph once more; labels and annotations are arguments of each task besides. Of the 159 Workflows that Kubeflow's
    own compiler made of the pipelines in its repository (10 to 80 KB), nine of ten are met within 10 %, all within 15.
    """
    executors = _executors(pipeline)
    configs = section(platform, "platforms", "kubernetes", "deploymentSpec", "executors")
    size, seen, kinds = _FIXED_BYTES, set[str](), set[tuple[int, int]]()
    own, used = dict[str, int](), list[object]()
    components = {"root": pipeline.get("root"), **section(pipeline, "components")}
    for name, whole in components.items():
        component = whole
        label, tasks = text(component, "executorLabel"), section(component, "dag", "tasks")
        if tasks:
            size += _PER_DAG_BYTES + 2 * _quoted_bytes(_text(tasks))
            component = {**section(whole), "dag": {**section(whole, "dag"), "tasks": None}}  # those are counted
        container = _text(executors.get(label)) if label else ""
        if container not in seen or not label:
            size += _quoted_bytes(_text(component)) + _quoted_bytes(container) + _PER_ARGUMENT_BYTES
        seen.add(container)
        if label in configs:
            size += _PER_ARGUMENT_BYTES
            own[name], kind = _marks(configs[label])
            kinds.add(kind)
            used.append(configs[label])
    size += _quoted_bytes(_text(used))
    for component in components.values():
        for name, task in section(component, "dag", "tasks").items():
            waiting = sum(len(str(one)) + _PER_UPSTREAM_BYTES for one in items(task, "dependentTasks"))
            called = _PER_TASK_BYTES + _TIMES_NAMED * len(name) + waiting
            size += called + own.get(text(task, "componentRef", "name"), 0)
    return size + sum(_PER_KIND_BYTES + _PER_KIND_MARK_BYTES * sum(kind) for kind in kinds if sum(kind))


def _marks(config: object) -> tuple[int, tuple[int, int]]:
    """What labels and annotations add to each task with this configuration, and how many there are of both."""
    labels, annotations = (section(config, "podMetadata", which) for which in ("labels", "annotations"))
    marks = [*labels.items(), *annotations.items()]
    size = sum(_PER_MARK_BYTES + len(name) + _quoted_bytes(str(value)) for name, value in marks)
    return size + _PER_CONFIGURED_BYTES, (len(annotations), len(labels))


def _executors(pipeline: Mapping[str, Any]) -> Mapping[str, Any]:
    return section(pipeline, "deploymentSpec", "executors")


def _size(executor: object, *, is_own: bool) -> int:
    """What a task carries in all, or in the longest of its arguments."""
    container = section(executor, "container")
    if is_own:
        return carried_bytes(dict(container))
    parts = (*items(container, "command"), *items(container, "args"))
    return max((_bytes(str(part)) for part in parts), default=0)


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
    return _bytes(text) + text.count('"') + text.count("\\") + 2


def _bytes(text: str) -> int:
    """How long it is as UTF-8; most texts are plain ASCII, and need not be encoded to know."""
    return len(text) if text.isascii() else len(text.encode())


__all__ = [
    "SDK_VERSION",
    "TASK_LIMIT_BYTES",
    "WORKFLOW_LIMIT_BYTES",
    "WORKFLOW_MOST_BYTES",
    "is_roomy",
    "size_doubts",
    "size_problems",
    "workflow_bytes",
]
