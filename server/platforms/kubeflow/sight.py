"""What can be seen of a run's tasks: from the Argo Workflow, and (exactly) from the pods.

Source: `status.nodes` of Argo's Workflow with the names of KFP's backend compiler; nodes may be compressed in the
object, or kept elsewhere, and then the pods say everything that can be said.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from server.kube.client import Object
from server.kube.reading import Container, PodSeen, instant

RUN_LABEL = "pipeline/runid"
NODE_NAME = "workflows.argoproj.io/node-name"
MAIN = "main"
DRIVER = "-driver"
ITERATION_DRIVER = ".iteration-driver"
MOST_BYTES = 64 * 2**20
"""Compressed nodes that unpack to more than this are not read."""

ENDED = {"Succeeded": "succeeded", "Failed": "failed", "Error": "failed"}
NOT_RUN = ("Skipped", "Omitted")
SHUTDOWNS = ("Terminate", "Stop")
HOOK = "onExit"
"""How Argo calls what runs when a task has ended: `BEFORE.onExit.TASK`. Kubeflow since 2.5 runs exit tasks so."""

_ITEM = re.compile(r"\((\d+):.*\)$")
_TRY = re.compile(r"executor\((\d+)\)$")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A task of a run as Kubeflow names it: names from the root down joined by `/`, and one index per loop."""

    path: str
    iteration: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskSight:
    """How one try of a task stands.

    `phase`: `queued`, `running`, `succeeded`, `failed`, `cached`, `skipped` (a condition) or `omitted` (an upstream
    failed). `is_gone`: its pod was deleted, and nothing more will be heard of it. `is_subtree`: it speaks for
    everything below the place. `is_final`: no further try follows a failure.
    """

    place: Place
    phase: str
    number: int = 0
    node: str | None = None
    queued_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str = ""
    reason: str = ""
    exit_code: int | None = None
    note: str = ""
    artifacts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pod: tuple[str, str] | None = None
    is_gone: bool = False
    is_subtree: bool = False
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class WorkflowSeen:
    """A Workflow: its phase (empty while it runs), and its tasks; `has_nodes` is False where they lie elsewhere."""

    run_id: str
    namespace: str
    name: str
    phase: str
    message: str = ""
    finished_at: datetime | None = None
    was_stopped: bool = False
    has_nodes: bool = True
    tasks: tuple[TaskSight, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self.phase)


def read_workflow(item: Object) -> WorkflowSeen | None:
    """A Workflow that belongs to a KFP run, or None."""
    about, status = item.get("metadata") or {}, item.get("status") or {}
    run_id = (about.get("labels") or {}).get(RUN_LABEL)
    if not run_id:
        return None
    nodes = _nodes(status)
    message = str(status.get("message") or "")
    phase = str(status.get("phase") or "")
    spec = item.get("spec") or {}
    is_out_of_time = spec.get("activeDeadlineSeconds") == 0  # how KFP stops a run
    stopped = is_out_of_time or spec.get("shutdown") in SHUTDOWNS or "Stopped with strategy" in message
    found = _tasks(nodes or {})
    return WorkflowSeen(
        run_id=str(run_id),
        namespace=str(about.get("namespace") or ""),
        name=str(about.get("name") or ""),
        phase=phase if phase in ENDED else "",
        message=message,
        finished_at=instant(status.get("finishedAt")),
        was_stopped=stopped,
        has_nodes=nodes is not None,
        tasks=tuple(found),
    )


def joined(
    workflow: WorkflowSeen | None, pods: Iterable[PodSeen], patience: datetime, *, has_pods: bool = True
) -> list[TaskSight]:
    """All that is seen of a run's tasks: the Workflow's word, with nodes and times of the pods where they are there.

    What the Workflow says to have happened after `patience` counts when the pod says so too, unless pods cannot be
    seen (`has_pods`).
    """
    found = {(one.place, one.number): one for one in workflow.tasks} if workflow else {}
    for pod in pods:
        sight = read_task_pod(pod)
        if sight is None:
            continue
        key = (sight.place, sight.number)
        found[key] = _merged(found[key], sight, patience) if key in found else sight
    told = [_without_pod(one, patience) if has_pods and one.pod is None else one for one in found.values()]
    return sorted(told, key=lambda one: (one.place, one.number))


def read_task_pod(pod: PodSeen) -> TaskSight | None:
    """What a pod tells of its task; None for drivers and strangers."""
    name = pod.annotations.get(NODE_NAME, "")
    where = _where(name)
    if where is None:
        return None
    place, number = where
    main = pod.container(MAIN)
    phase = {"Succeeded": "succeeded", "Failed": "failed"}.get(pod.phase, "queued")
    if phase == "queued" and main is not None and main.started_at is not None:
        phase = "running"
    return TaskSight(
        place=place,
        phase=phase,
        number=number,
        node=pod.node,
        queued_at=pod.created_at,
        scheduled_at=pod.scheduled_at,
        started_at=main.started_at if main else None,
        finished_at=main.finished_at if main else None,
        message=pod.message,
        reason=_reason(pod, main),
        exit_code=main.exit_code if main else None,
        note=main.message if main and main.finished_at else "",
        artifacts=pod.artifacts,
        pod=(pod.namespace, pod.name),
        is_gone=pod.is_leaving and pod.phase not in ("Succeeded", "Failed"),
        is_final=_TRY.search(name) is None,
    )


def read_driver(pod: PodSeen) -> Place | None:
    """What waits for a driver's pod: the task at a place with everything below it; all tasks where the path is empty.

    None for pods that are no drivers.
    """
    name = pod.annotations.get(NODE_NAME, "")
    if not name.endswith(DRIVER):
        return None
    around = name.removesuffix(ITERATION_DRIVER).removesuffix(DRIVER)
    return Place("") if around.endswith(".root") else _place(around)


def _reason(pod: PodSeen, main: Container | None) -> str:
    return pod.reason or (main.reason if main and main.finished_at else "")


def _without_pod(argo: TaskSight, patience: datetime) -> TaskSight:
    """The pod of what runs or ran was not seen yet: wait for it a little."""
    if argo.phase not in ("running", "succeeded", "failed") or argo.is_subtree:
        return argo
    last = argo.finished_at or argo.started_at
    is_new = last is not None and last >= patience
    return replace(argo, phase="queued", started_at=None, finished_at=None) if is_new else argo


def _merged(argo: TaskSight, pod: TaskSight, patience: datetime) -> TaskSight:
    """Argo knows how it ended, the pod where and when; the pod's own end is waited for, not for ever."""
    is_open = argo.phase in ("queued", "running")
    is_late = (
        not pod.is_gone
        and pod.phase in ("queued", "running")
        and argo.finished_at is not None
        and argo.finished_at >= patience
    )
    return replace(
        pod,
        phase=pod.phase if is_open or is_late else argo.phase,
        node=pod.node or argo.node,
        started_at=pod.started_at or argo.started_at,
        finished_at=pod.finished_at or (None if is_open else argo.finished_at),
        message=argo.message or pod.message,
        is_final=argo.is_final,
    )


def _nodes(status: Mapping[str, Any]) -> dict[str, Any] | None:
    """The nodes of a Workflow; None where they are kept elsewhere or cannot be unpacked."""
    packed = status.get("compressedNodes")
    if packed:
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(packed))) as file:
                text = file.read(MOST_BYTES + 1)
            found = json.loads(text) if len(text) <= MOST_BYTES else None
        except (OSError, EOFError, ValueError, binascii.Error):
            return None
        return found if isinstance(found, dict) else None
    if status.get("offloadNodeStatusVersion"):
        return None
    return status.get("nodes") or {}


def _tasks(nodes: Mapping[str, Any]) -> list[TaskSight]:
    """The tasks among the nodes. A try that failed is final once the node around all tries says so."""
    retries = {str(node.get("name")): ENDED.get(str(node.get("phase"))) for node in nodes.values() if _is_retry(node)}
    found = []
    for node in nodes.values():
        sight = _task(node)
        if sight is None:
            continue
        around = _TRY.sub("executor", str(node.get("name")))
        is_final = around == node.get("name") or retries.get(around) == "failed"
        found.append(replace(sight, is_final=is_final))
    return found


def _is_retry(node: Mapping[str, Any]) -> bool:
    return node.get("type") == "Retry"


def _task(node: Mapping[str, Any]) -> TaskSight | None:
    name, phase = str(node.get("name") or ""), str(node.get("phase") or "")
    times: dict[str, Any] = {
        "started_at": instant(node.get("startedAt")),
        "finished_at": instant(node.get("finishedAt")),
    }
    message = str(node.get("message") or "")
    where = _where(name)
    if where is None:
        if node.get("type") == "Pod" and phase not in NOT_RUN and not name.endswith(DRIVER):
            return _imported(name, phase, message, times)
        return _not_run(name, phase, message, times)
    if _is_retry(node):
        return None
    place, number = where
    if phase in NOT_RUN:
        return TaskSight(place, "cached" if phase == "Skipped" else "omitted", message=message, **times)
    state = ENDED.get(phase) or ("running" if phase == "Running" else "queued")
    queued_at, is_bound = times["started_at"], bool(node.get("hostNodeName"))
    if state == "queued" or (state == "failed" and not is_bound):
        times["started_at"] = None  # Argo's is when it made the pod
    return TaskSight(
        place, state, number, str(node.get("hostNodeName") or "") or None, queued_at=queued_at, message=message, **times
    )


def _imported(name: str, phase: str, message: str, times: Mapping[str, Any]) -> TaskSight | None:
    """An importer: a task whose only pod carries the task's own name."""
    place = _place(name)
    if place is None:
        return None
    state = ENDED.get(phase) or ("running" if phase == "Running" else "queued")
    return TaskSight(place, state, queued_at=times["started_at"], message=message, is_subtree=True, **times)


def _not_run(name: str, phase: str, message: str, times: Mapping[str, Any]) -> TaskSight | None:
    """A task that was skipped or omitted, or whose driver failed; None for anything else."""
    is_driver = name.endswith(DRIVER)
    is_broken = is_driver and ENDED.get(phase) == "failed"
    if not is_broken and (is_driver or phase not in NOT_RUN):
        return None
    place = _place(name.removesuffix(ITERATION_DRIVER).removesuffix(DRIVER) if is_driver else name)
    if place is None:
        return None
    if is_broken:
        said, times = message or "its driver failed", {**times, "started_at": None}
        return TaskSight(place, "failed", message=said, is_subtree=True, **times)
    return TaskSight(place, "skipped" if phase == "Skipped" else "omitted", message=message, is_subtree=True, **times)


def _where(name: str) -> tuple[Place, int] | None:
    """Place and number of the try of an executor, by the name of its node: `WF.root.A.B.executor(1)`."""
    head, _, last = name.rpartition(".")
    if last != "executor" and _TRY.fullmatch(last) is None:
        return None
    place = _place(head)
    tries = _TRY.fullmatch(last)
    return (place, int(tries.group(1)) if tries else 0) if place else None


def _place(name: str) -> Place | None:
    """The place behind `WF.root.LOOP.iteration-iterations(0:0).iteration-item.TASK`, `WF.root.BEFORE.onExit.TASK`."""
    parts = name.split(".root.", 1)
    if len(parts) < 2 or not parts[1]:
        return None
    path: list[str] = []
    iteration: list[int] = []
    for part in parts[1].split("."):
        item = _ITEM.search(part)
        if item is not None:
            iteration.append(int(item.group(1)))
        elif part == HOOK and path:
            path.pop()
        elif part not in ("iteration-item", "iteration-iterations"):
            path.append(part)
    return Place("/".join(path), tuple(iteration))


__all__ = [
    "MAIN",
    "RUN_LABEL",
    "Place",
    "TaskSight",
    "WorkflowSeen",
    "joined",
    "read_driver",
    "read_task_pod",
    "read_workflow",
]
