"""What Kubeflow's own API tells of a run's tasks, on servers that tell it (`Run.tasks`, view FULL).

The way to follow tasks where the Kubernetes API may not be read. Source: `PipelineTask` of the v2beta1 API after the
removal of ML Metadata. It names no node, and no time at which a container began: a task is RUNNING from its driver on,
and has an EXECUTOR pod once its launcher runs. A task that failed may be tried again until its run is over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from server.kube.reading import instant
from server.platforms.kubeflow.client import KfpRun
from server.platforms.kubeflow.sight import Place, TaskSight

LEAVES = ("RUNTIME", "IMPORTER")
PHASES = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CACHED": "cached", "SKIPPED": "skipped"}
MOST_PARENTS = 100


def tells_tasks(run: KfpRun) -> bool:
    """Whether the server told of the run's tasks."""
    return bool(run.document.get("tasks"))


def read_tasks(run: KfpRun) -> list[TaskSight]:
    """The tasks of a run as its record tells them, in order; what cannot be placed in the pipeline is left out."""
    told = [one for one in run.document.get("tasks") or [] if isinstance(one, dict)]
    by_id = {str(one.get("task_id")): one for one in told}
    found: dict[Place, TaskSight] = {}
    for one in told:
        place = _place(one, by_id)
        sight = _sight(one, place, is_over=run.is_over) if place is not None else None
        if sight is not None:
            found[sight.place] = sight
    return sorted(found.values(), key=lambda sight: sight.place)


def _sight(told: Mapping[str, Any], place: Place, *, is_over: bool) -> TaskSight | None:
    is_leaf = told.get("type") in LEAVES
    state = str(told.get("state") or "")
    if not is_leaf and state != "SKIPPED":
        return None
    phase = PHASES.get(state) or ("running" if _has_launcher(told) else "queued")
    began, ended = instant(told.get("create_time")), instant(told.get("end_time"))
    is_end = phase in PHASES.values()
    return TaskSight(
        place,
        phase,
        queued_at=began,
        finished_at=ended if is_end else None,
        message=str((told.get("status_metadata") or {}).get("message") or ""),
        note=_note(told) if phase == "succeeded" else "",
        is_subtree=not is_leaf or told.get("type") == "IMPORTER",
        is_final=is_over,
    )


def _has_launcher(told: Mapping[str, Any]) -> bool:
    return any(pod.get("type") == "EXECUTOR" for pod in told.get("pods") or [])


def _place(told: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> Place | None:
    """Where a task is; iterations are those of the task and of what is around it, each named once."""
    head, _, path = str(told.get("scope_path") or "").partition(".")
    if head != "root" or not path:
        return None
    iteration: list[int] = []
    one: Mapping[str, Any] | None = told
    for _ in range(MOST_PARENTS):
        if one is None:
            break
        above = by_id.get(str(one.get("parent_task_id") or ""))
        index = _index(one)
        if index is not None and (above is None or _index(above) is None or above.get("type") == "LOOP"):
            iteration.insert(0, index)
        one = above
    return Place(path.replace(".", "/"), tuple(iteration))


def _index(told: Mapping[str, Any]) -> int | None:
    """The index of an iteration; int64 values are texts in the API's JSON, and 0 may be left out nowhere here."""
    value = (told.get("type_attributes") or {}).get("iteration_index")
    try:
        return int(value) if value is not None else None
    except (TypeError, ValueError):
        return None


def _note(told: Mapping[str, Any]) -> str:
    """Its outputs, as our runtime would have left them in the pod's termination message."""
    given = told.get("outputs") or {}
    outputs: dict[str, Any] = {}
    for one in given.get("parameters") or []:
        if one.get("parameter_key"):
            outputs[str(one["parameter_key"])] = {"value": one.get("value")}
    for one in given.get("artifacts") or []:
        artifacts = one.get("artifacts") or []
        if one.get("artifact_key") and len(artifacts) == 1:
            kept = artifacts[0]
            outputs[str(one["artifact_key"])] = {
                "uri": kept.get("uri") or "",
                "type": kept.get("type") or "Artifact",
                "metadata": kept.get("metadata") or {},
            }
    return json.dumps({"outputs": outputs}) if outputs else ""


__all__ = ["read_tasks", "tells_tasks"]
