"""Learns from runs that others made in Kubeflow: what each task asked for, where it ran, and how long it took.

Pure reading: the pipeline's document says what a task is, the Workflow and the pods say what became of it. Nothing here
writes to the cluster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.domain.errors import MlopxError
from server.domain.placement import DEFAULT_OPTION, TaskOption, WaitingRun, WaitingTask
from server.domain.resources import Resources
from server.domain.run import TaskKey
from server.platforms.kubeflow.client import KfpRun
from server.platforms.kubeflow.reading import KubeflowPipeline, KubeflowTask, read_pipeline
from server.platforms.kubeflow.reading.fields import section
from server.platforms.kubeflow.sight import TaskSight
from server.platforms.kubeflow.writing import dump_all


@dataclass(frozen=True, slots=True)
class Lesson:
    """One task of somebody's run, as it really went. Seconds are apart: looking for a node, image pull, run."""

    run_id: str
    run_name: str
    task: str
    component: str
    component_digest: str
    node: str
    requests: Resources
    state: str
    finished_at: datetime
    run_seconds: float
    queue_seconds: float | None = None
    pull_seconds: float | None = None


def pipeline_of(run: KfpRun) -> KubeflowPipeline | None:
    """The pipeline behind a run, where the API tells it in a shape that can be read."""
    told = run.document.get("pipeline_spec")
    if not isinstance(told, dict):
        return None
    inner = told.get("pipeline_spec", told)
    try:
        return read_pipeline(dump_all(inner, told.get("platform_spec")), run.name)
    except (MlopxError, ValueError, TypeError, AttributeError):
        return None


def lessons(run: KfpRun, pipeline: KubeflowPipeline | None, sights: Iterable[TaskSight]) -> list[Lesson]:
    """What a run's ended tasks teach; tasks that did not run, or of which no node is known, teach nothing."""
    found = []
    for sight in sights:
        if sight.phase not in ("succeeded", "failed") or sight.is_subtree or sight.node is None:
            continue
        if sight.started_at is None or sight.finished_at is None:
            continue
        task = pipeline.tasks.get(sight.place.path) if pipeline else None
        iteration = "".join(f".{index}" for index in sight.place.iteration)
        found.append(
            Lesson(
                run_id=run.id,
                run_name=run.name,
                task=f"{sight.place.path}{iteration}",
                component=_component(run, pipeline, task, sight.place.path),
                component_digest=_digest(pipeline, task),
                node=sight.node,
                requests=task.requests if task else Resources(),
                state=sight.phase if sight.reason != "OOMKilled" else "oom",
                finished_at=sight.finished_at,
                run_seconds=max((sight.finished_at - sight.started_at).total_seconds(), 0.0),
                queue_seconds=_between(sight.queued_at, sight.scheduled_at),
                pull_seconds=_between(sight.scheduled_at, sight.started_at),
            )
        )
    return found


def waiting(run: KfpRun, pipeline: KubeflowPipeline, now: datetime) -> WaitingRun:
    """Somebody's run as a strategy would see it, had it been ours. Kubeflow's `/` in paths stays in the keys."""
    tasks = [
        WaitingTask(
            run_id=run.id,
            key=TaskKey(task.path),
            component=_component(run, pipeline, task, task.path),
            component_digest=_digest(pipeline, task),
            is_ready=not task.waits_for,
            options=(TaskOption(DEFAULT_OPTION, task.requests, None, task.image),),
            waits_for=tuple(TaskKey(path) for path in task.waits_for if pipeline.tasks[path].is_placeable),
            requirements=task.constraints.selector,
            tolerations=task.constraints.tolerations,
        )
        for task in pipeline.placeable()
    ]
    return WaitingRun(run_id=run.id, name=run.name, submitted_at=run.created_at or now, tasks=tuple(tasks), bound=())


def _component(run: KfpRun, pipeline: KubeflowPipeline | None, task: KubeflowTask | None, path: str) -> str:
    name = pipeline.name if pipeline else run.name
    return f"kubeflow:{name}/{task.display_name if task else path}"


def _digest(pipeline: KubeflowPipeline | None, task: KubeflowTask | None) -> str:
    """What the task runs: image, command and arguments. Where it is not known, equal names count as equal work."""
    if pipeline is None or task is None:
        return "unknown"
    executors: Mapping[str, Any] = section(pipeline.documents.pipeline, "deploymentSpec", "executors")
    container = section(executors.get(task.executor), "container")
    work = [container.get("image"), container.get("command"), container.get("args")]
    return "sha256:" + hashlib.sha256(json.dumps(work, sort_keys=True, default=str).encode()).hexdigest()


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    return max((end - begin).total_seconds(), 0.0) if begin is not None and end is not None else None


__all__ = ["Lesson", "lessons", "pipeline_of", "waiting"]
