"""A compiled pipeline as a strategy sees it: its placeable tasks as waiting tasks of one run.

Tasks that take no placement are left out, and who waits for them waits for what they wait for. All iterations of a loop
are one task here, since one configuration holds for all of them, unless it is said how many there are.
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
    iterations: Mapping[str, int] | None = None,
) -> WaitingRun:
    """The run. `pins` name nodes by task path; `known` completes what the file says.

    `iterations` says of loops by path how many there are: tasks in them (and in no other loop) come once for each.
    """
    upstreams = _placeable_upstreams(pipeline)
    counts = {task.path: _count(task, iterations or {}) for task in pipeline.placeable()}
    tasks = tuple(
        _waiting(
            task,
            nodes,
            key,
            _before(pipeline, key, upstreams[task.path], counts),
            run_id,
            (pins or {}).get(task.path),
            (known or {}).get(task.path),
        )
        for task in pipeline.placeable()
        for key in _keys(task.path, counts)
    )
    return WaitingRun(run_id=run_id, name=pipeline.name, submitted_at=at, tasks=tasks)


def _count(task: KubeflowTask, iterations: Mapping[str, int]) -> int | None:
    return iterations.get(task.loops[0]) if len(task.loops) == 1 else None


def _keys(path: str, counts: Mapping[str, int | None]) -> list[TaskKey]:
    count = counts[path]
    return [TaskKey(path)] if count is None else [TaskKey(path, (index,)) for index in range(count)]


def _before(
    pipeline: KubeflowPipeline, key: TaskKey, upstreams: tuple[str, ...], counts: Mapping[str, int | None]
) -> tuple[TaskKey, ...]:
    """What a task waits for: in the same loop its own iteration, of other loops all."""
    found: list[TaskKey] = []
    loops = pipeline.tasks[key.path].loops
    for path in upstreams:
        is_beside = bool(key.iteration) and pipeline.tasks[path].loops == loops
        found += [TaskKey(path, key.iteration)] if is_beside else _keys(path, counts)
    return tuple(found)


def _waiting(
    task: KubeflowTask,
    nodes: Sequence[Node],
    key: TaskKey,
    upstreams: tuple[TaskKey, ...],
    run_id: str,
    pin: str | None,
    known: Known | None,
) -> WaitingTask:
    own = (TaskOption(DEFAULT_OPTION, task.requests, None, task.image or None),)
    return WaitingTask(
        run_id=run_id,
        key=key,
        component=(known.component if known else "") or task.component.removeprefix("comp-"),
        component_digest=sha256(f"{task.component} {task.image}".encode()).hexdigest()[:16],
        is_ready=not upstreams,
        options=(known.options if known else ()) or own,
        waits_for=upstreams,
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
