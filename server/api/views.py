"""The domain as JSON: one function per shape of the HTTP contract. Times are ISO 8601 with offset, spans in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from server.components.decision_unit import PlacerInfo
from server.components.scheduler import QueueEntry
from server.domain.events import StoredEvent, TaskEvent
from server.domain.node import Node, Snapshot
from server.domain.placement import Decision
from server.domain.resources import Resources
from server.domain.run import Artifact, Attempt, Output, Run, TaskRun
from server.platforms.interface import PlatformInterface
from server.stores.interface import RunSummary

_ANY = TypeAdapter(Any)


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return value.isoformat() if value is not None else None


def seconds(value: timedelta | None) -> float | None:
    """A span in seconds."""
    return round(value.total_seconds(), 6) if value is not None else None


def run_summary(run: Run) -> dict[str, Any]:
    """RunSummary of a run at hand."""
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state.value,
        "project": run.options.project,
        "priority": run.options.priority,
        "submitted_at": instant(run.submitted_at),
        "dispatched_at": instant(run.dispatched_at),
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
        "waiting_seconds": seconds(run.waiting_time),
        "execution_seconds": seconds(run.execution_time),
        "turnaround_seconds": seconds(run.turnaround_time),
        "error": run.error,
        "retry_of": run.retry_of,
    }


def listed_summary(run: RunSummary) -> dict[str, Any]:
    """RunSummary of a row of the list."""
    waiting = run.started_at - run.submitted_at if run.started_at else None
    execution = run.finished_at - run.started_at if run.finished_at and run.started_at else None
    turnaround = run.finished_at - run.submitted_at if run.finished_at else None
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state.value,
        "project": run.project,
        "priority": run.priority,
        "submitted_at": instant(run.submitted_at),
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
        "waiting_seconds": seconds(waiting),
        "execution_seconds": seconds(execution),
        "turnaround_seconds": seconds(turnaround),
        "error": run.error,
        "retry_of": run.retry_of,
    }


def run_detail(run: Run) -> dict[str, Any]:
    """RunDetail."""
    graph = run.graph
    return {
        **run_summary(run),
        "version": run.version,
        "description": graph.spec.description,
        "parameters": dict(run.parameters),
        "labels": dict(run.options.labels),
        "deadline_at": instant(run.options.deadline_at),
        "binding": run.options.binding.value,
        "is_holdout": run.options.is_holdout,
        "platform_run_id": run.platform_run_id,
        "problems": list(run.problems),
        "exit_task": graph.spec.exit_task,
        "late_events": run.late_events,
        "offer": None
        if run.offer is None
        else {
            "at": instant(run.offer.at),
            "nodes": dict(run.offer.nodes),
            "reason": run.offer.reason,
            "doubts": list(run.offer.doubts),
        },
        "replaced_by": run.replaced_by,
        "tasks": [task_view(run, task) for task in run.tasks.values()],
        "graph": {
            "tasks": {
                path: {
                    "component": graph.task(path).component,
                    "code": graph.component(path).code.kind,
                    "waits_for": list(graph.waits_for[path]),
                    "scope": graph.task(path).scope,
                }
                for path in graph.order
            },
            "scopes": {name: scope.model_dump(mode="json") for name, scope in graph.spec.scopes.items()},
        },
    }


def submission_notes(run: Run, preparing: str, platform: PlatformInterface) -> list[str]:
    """What is said to who submitted a run, besides that it is accepted."""
    return [*([preparing] if preparing else ()), *platform.notes(run.graph.spec)]


def task_view(run: Run, task: TaskRun) -> dict[str, Any]:
    """TaskView."""
    current = task.current
    return {
        "key": str(task.key),
        "path": task.key.path,
        "iteration": list(task.key.iteration),
        "component": run.graph.task(task.key.path).component,
        "state": task.state.value,
        "reason": task.reason,
        "hold": task.hold,
        "from_cache": task.from_cache,
        "node": task.node,
        "option": current.option,
        "attempt": current.number,
        "attempts": [attempt_view(attempt) for attempt in task.attempts],
        "outputs": {name: output_view(output) for name, output in task.outputs.items()},
    }


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """AttemptView."""
    error = attempt.error
    return {
        "number": attempt.number,
        "state": attempt.state.value,
        "node": attempt.node,
        "actual_node": attempt.actual_node,
        "option": attempt.option,
        "alternatives": list(attempt.alternatives),
        "decision_id": attempt.decision_id,
        "ready_at": instant(attempt.ready_at),
        "placed_at": instant(attempt.placed_at),
        "queued_at": instant(attempt.queued_at),
        "scheduled_at": instant(attempt.scheduled_at),
        "started_at": instant(attempt.started_at),
        "inputs_at": instant(attempt.inputs_at),
        "finished_at": instant(attempt.finished_at),
        "queue_seconds": attempt.queue_seconds,
        "pull_seconds": attempt.pull_seconds,
        "transfer_seconds": attempt.transfer_seconds,
        "run_seconds": attempt.run_seconds,
        "planned_start_at": instant(attempt.planned_start_at),
        "planned_finish_at": instant(attempt.planned_finish_at),
        "peak_memory_bytes": attempt.peak_memory_bytes,
        "error": None
        if error is None
        else {
            "kind": error.kind,
            "message": error.message,
            "traceback": error.traceback,
            "hint": error.hint,
            "exit_code": error.exit_code,
        },
    }


def output_view(output: Output) -> dict[str, Any]:
    """An output: a value, or an artifact."""
    return {"value": output.value} if output.artifact is None else {"artifact": artifact_view(output.artifact)}


def artifact_view(artifact: Artifact) -> dict[str, Any]:
    """An artifact."""
    return {
        "type": artifact.type,
        "uri": artifact.uri,
        "size_bytes": artifact.size_bytes,
        "digest": artifact.digest,
        "metadata": dict(artifact.metadata),
    }


def event_view(stored: StoredEvent) -> dict[str, Any]:
    """EventView."""
    event = stored.event
    data: dict[str, Any] = _ANY.dump_python(event, mode="json")
    key, attempt = data.pop("key", None), data.pop("attempt", None)
    at = data.pop("at")
    is_task = isinstance(event, TaskEvent)
    return {
        "id": stored.id,
        "run_id": stored.run_id,
        "kind": event.kind,
        "at": at,
        "task": str(event.key) if isinstance(event, TaskEvent) else None,
        "attempt": attempt if is_task else None,
        "data": {**data, **({"key": key} if key is not None and not is_task else {})},
    }


def decision_view(decision: Decision) -> dict[str, Any]:
    """DecisionView: the record as it is kept."""
    found: dict[str, Any] = _ANY.dump_python(decision, mode="json")
    return {**found, "key": str(decision.key), "task": str(decision.key)}


def resources_view(resources: Resources) -> dict[str, Any]:
    """ResView."""
    return {
        "cpu_millicores": resources.cpu_millicores,
        "memory_bytes": resources.memory_bytes,
        "accelerators": dict(resources.accelerators),
        "pods": resources.pods,
    }


def nodes_view(snapshot: Snapshot, assignments: Mapping[str, int]) -> list[dict[str, Any]]:
    """NodeViews of a snapshot."""
    allocated, available = snapshot.allocated(), snapshot.available()
    running: dict[str, list[dict[str, Any]]] = {node.name: [] for node in snapshot.nodes}
    for held in snapshot.occupancies:
        if held.run_id is not None and held.node in running:
            running[held.node].append({"run_id": held.run_id, "task": held.task})
    return [
        _node_view(snapshot, node, allocated[node.name], available[node.name], running[node.name], assignments)
        for node in snapshot.nodes
    ]


def _node_view(
    snapshot: Snapshot,
    node: Node,
    allocated: Resources,
    available: Resources,
    running: list[dict[str, Any]],
    assignments: Mapping[str, int],
) -> dict[str, Any]:
    load = snapshot.loads.get(node.name)
    return {
        "name": node.name,
        "is_ready": node.is_ready,
        "is_schedulable": node.is_schedulable,
        "is_virtual": node.is_virtual,
        "speed": node.speed,
        "profile": dict(node.speeds),
        "labels": dict(node.labels),
        "taints": [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in node.taints],
        "allocatable": resources_view(node.allocatable),
        "accelerator_models": dict(node.accelerator_models),
        "allocated": resources_view(allocated),
        "available": resources_view(available),
        "load": None
        if load is None
        else {
            "cpu_fraction": load.cpu_fraction,
            "memory_fraction": load.memory_fraction,
            "measured_at": instant(load.measured_at),
            "source": load.source,
            "figures": dict(load.figures),
        },
        "running": running,
        "assignments": assignments.get(node.name, 0),
        "source": snapshot.source,
        "price_per_hour": node.price_per_hour,
    }


def queue_view(position: int, entry: QueueEntry, now: datetime) -> dict[str, Any]:
    """One waiting task."""
    since = entry.ready_at or entry.submitted_at
    return {
        "position": position,
        "run_id": entry.run_id,
        "run_name": entry.run_name,
        "task": str(entry.key),
        "state": entry.state.value,
        "hold": entry.hold,
        "waiting_seconds": seconds(max(now - since, timedelta())),
        "priority": entry.priority,
        "project": entry.project,
        "submitted_at": instant(entry.submitted_at),
    }


def placer_view(info: PlacerInfo) -> dict[str, Any]:
    """A strategy."""
    return {
        "name": info.name,
        "summary": info.summary,
        "source": info.source,
        "version": info.version,
        "is_default": info.is_default,
        "is_current": info.is_current,
    }
