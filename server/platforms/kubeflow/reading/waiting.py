"""A compiled pipeline as a strategy sees it: its placeable tasks as waiting tasks of one run.

Tasks that take no placement are left out, and who waits for them waits for what they wait for. All iterations of a loop
are one task here, since one configuration holds for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from server.domain.node import Node
from server.domain.placement import DEFAULT_OPTION, TaskOption, WaitingRun, WaitingTask
from server.domain.run import TaskKey
from server.platforms.kubeflow.reading.graph import KubeflowPipeline, KubeflowTask


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a task besides what its file says: its options and hints, where our own spec was compiled."""

    options: tuple[TaskOption, ...] = ()
    workload: Mapping[str, Any] = field(default_factory=dict)
    component: str = ""


def waiting_run(
    pipeline: KubeflowPipeline,
    nodes: Sequence[Node],
    *,
    run_id: str,
    at: datetime,
    pins: Mapping[str, str] | None = None,
    known: Mapping[str, Known] | None = None,
) -> WaitingRun:
    """The run. `pins` name nodes by task path; `known` completes what the file says."""
    upstreams = _placeable_upstreams(pipeline)
    tasks = tuple(
        _waiting(task, nodes, upstreams[task.path], run_id, (pins or {}).get(task.path), (known or {}).get(task.path))
        for task in pipeline.placeable()
    )
    return WaitingRun(run_id=run_id, name=pipeline.name, submitted_at=at, tasks=tasks)


def _waiting(
    task: KubeflowTask,
    nodes: Sequence[Node],
    upstreams: tuple[str, ...],
    run_id: str,
    pin: str | None,
    known: Known | None,
) -> WaitingTask:
    own = (TaskOption(DEFAULT_OPTION, task.requests, None, task.image or None),)
    return WaitingTask(
        run_id=run_id,
        key=TaskKey(task.path),
        component=(known.component if known else "") or task.component.removeprefix("comp-"),
        component_digest=sha256(f"{task.component} {task.image}".encode()).hexdigest()[:16],
        is_ready=not upstreams,
        options=(known.options if known else ()) or own,
        waits_for=tuple(TaskKey(path) for path in upstreams),
        requirements=task.constraints.requirements_on(nodes),
        node=pin,
        preferences=task.constraints.preferences_on(nodes),
        tolerations=task.constraints.tolerations,
        workload=known.workload if known else {},
    )


def _placeable_upstreams(pipeline: KubeflowPipeline) -> dict[str, tuple[str, ...]]:
    """Task path -> the placeable tasks that it waits for, directly or through others."""
    found: dict[str, tuple[str, ...]] = {}
    for path, task in pipeline.tasks.items():
        direct: dict[str, None] = {}
        for upstream in task.waits_for:
            if pipeline.tasks[upstream].is_placeable:
                direct[upstream] = None
            else:
                direct.update(dict.fromkeys(found.get(upstream, ())))
        found[path] = tuple(direct)
    return found


__all__ = ["Known", "waiting_run"]
