"""A run's tasks as servers tell them that no longer use ML Metadata: `Run.tasks` of the view FULL.

Source: `PipelineTask` of the v2beta1 API on Kubeflow's branch for the removal of ML Metadata. A task is RUNNING from
its driver on; an EXECUTOR pod says that its launcher runs; nothing names a node.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from server.testing.kfp.records import RunRecord, without_zeros

if TYPE_CHECKING:
    from server.testing.kfp.double import KubeflowDouble

_ITERATION = re.compile(r"iteration-iterations\((\d+):\d+\)")
_HOOK = re.compile(r"\.[^.]+\.onExit\.")
_STATES = {"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Error": "FAILED", "Skipped": "CACHED"}


def tasks_of(double: KubeflowDouble, record: RunRecord) -> list[dict[str, Any]]:
    """Its tasks, those around others before them."""
    workflow = double.workflows.get(record.id)
    found: dict[str, dict[str, Any]] = {}
    for node in list(workflow.nodes.values()) if workflow is not None else ():
        whole = str(node["name"]).split(".", 1)[1] if "." in node["name"] else ""
        path = _HOOK.sub(".", whole)
        if not path.startswith("root.") or path.endswith(".onExit"):
            continue
        head, _, last = path.rpartition(".")
        if last.startswith("executor"):
            task = _task(found, head)
            task.update(type="RUNTIME", state=_STATES.get(node["phase"], "RUNNING"), end_time=node.get("finishedAt"))
            task["create_time"] = min(node["startedAt"], task.get("create_time") or node["startedAt"])
            if node["phase"] not in ("Pending", "Skipped"):
                task["pods"] = [{"name": node["id"], "type": "DRIVER"}, {"name": node["id"], "type": "EXECUTOR"}]
            if node["phase"] in ("Failed", "Error"):
                task["status_metadata"] = {"message": node.get("message") or "the launcher failed"}
            task["outputs"] = _outputs(double, record, whole.rpartition(".")[0])
        elif node["phase"] == "Skipped":
            _task(found, path).update(state="SKIPPED", end_time=node.get("finishedAt"))
    return [without_zeros(task) for task in found.values()]


def _task(found: dict[str, dict[str, Any]], path: str) -> dict[str, Any]:
    """The task at a path, made with all that is around it."""
    if path in found:
        return found[path]
    head, _, last = path.rpartition(".")
    if last == "iteration-item":
        return _task(found, head)
    around = _task(found, head) if head else None
    item = _ITERATION.fullmatch(last)
    scope = around["scope_path"] if item and around else f"{around['scope_path']}.{last}" if around else last
    index = item.group(1) if item else None
    if around is not None and index is not None:
        around["type"] = "LOOP"
    elif around is not None:
        index = (around.get("type_attributes") or {}).get("iteration_index")
    found[path] = {
        "name": last,
        "task_id": f"task-{len(found)}",
        "scope_path": scope,
        "type": "DAG" if around else "ROOT",
        "state": "RUNNING",
        "parent_task_id": around["task_id"] if around else "",
        "type_attributes": {"iteration_index": index} if index is not None else {},
    }
    return found[path]


def _outputs(double: KubeflowDouble, record: RunRecord, path: str) -> dict[str, Any]:
    values = double.world.outputs.get((record.id, path))
    if values is None:
        return {}
    kinds = {name: [{**one, "type": _kind(one)} for one in given] for name, given in values.artifacts.items()}
    return without_zeros(
        {
            "parameters": [{"parameter_key": name, "value": value} for name, value in values.parameters.items()],
            "artifacts": [{"artifact_key": name, "artifacts": given} for name, given in kinds.items()],
        }
    )


def _kind(artifact: dict[str, Any]) -> str:
    return str((artifact.get("type") or {}).get("schemaTitle") or "").removeprefix("system.") or "Artifact"


__all__ = ["tasks_of"]
