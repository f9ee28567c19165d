"""What MLOpX relies on in Kubeflow Pipelines and Argo, as promises: the double keeps them, and a real one must.

`tests/contract` runs them over the double always, and over the Kubeflow that `KFP_URL` and `KUBECONFIG` name when these
are set (`make test-kubeflow`). They make a few short runs in the experiment `mlopx-contract`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from server.domain.errors import PlatformError
from server.kube.client import KubeClient
from server.kube.reading import read_pod
from server.kube.resources import PODS, WORKFLOWS
from server.platforms.kubeflow.client import KfpClient, KfpRun
from server.platforms.kubeflow.errors import GoneError
from server.platforms.kubeflow.sight import RUN_LABEL, Place, TaskSight, WorkflowSeen, joined, read_workflow

EXPERIMENT = "mlopx-contract"
LONGEST_SECONDS = 300.0
IMAGE = "python:3.11-slim"


@dataclass(frozen=True, slots=True)
class KubeflowGround:
    """A Kubeflow to hold to the contract. `namespace` is empty in single-user mode."""

    client: KfpClient
    kube: KubeClient
    namespace: str = ""
    pod_namespace: str = "kubeflow"


def a_body(name: str, script: str, *, config: dict[str, Any] | None = None) -> dict[str, Any]:
    """A run of one task `only` that runs a Python script."""
    document = {
        "pipelineInfo": {"name": "mlopx-contract"},
        "root": {
            "dag": {
                "tasks": {
                    "only": {
                        "taskInfo": {"name": "only"},
                        "componentRef": {"name": "comp-only"},
                        "cachingOptions": {},
                    }
                }
            }
        },
        "components": {"comp-only": {"executorLabel": "exec-only"}},
        "deploymentSpec": {
            "executors": {"exec-only": {"container": {"image": IMAGE, "command": ["python3", "-c", script]}}}
        },
        "schemaVersion": "2.1.0",
        "sdkVersion": "mlopx",
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-only": config or {}}}}}}
    return {"display_name": name, "pipeline_spec": {"pipeline_spec": document, "platform_spec": platform}}


async def it_says_its_version(ground: KubeflowGround) -> None:
    """The health endpoint names a version that can be compared."""
    assert (await ground.client.health()).version is not None


async def an_experiment_is_made_once(ground: KubeflowGround) -> None:
    """Asking twice for an experiment by name gives one."""
    first = await ground.client.experiment(EXPERIMENT, ground.namespace)
    assert await ground.client.experiment(EXPERIMENT, ground.namespace) == first


async def an_unknown_field_is_refused(ground: KubeflowGround) -> None:
    """A misspelt executor field is an error of the create call, not ignored."""
    body = await _placed(ground, a_body(_name(), "", config={"nodeSelektor": {}}))
    try:
        await ground.client.create(body)
    except PlatformError as error:
        is_final = not error.is_retryable
    else:
        raise AssertionError("it took a misspelt field")
    assert is_final, "a misspelt field stays wrong however often it is sent"


async def an_unknown_run_is_gone(ground: KubeflowGround) -> None:
    """A run that is not there is a 404."""
    try:
        await ground.client.get(str(uuid.uuid4()))
    except GoneError:
        return
    raise AssertionError("it knows a run that never was")


async def a_run_is_found_by_our_name_and_followed_to_its_node(ground: KubeflowGround) -> None:
    """Filters find it; Workflow and pod tell its task, node and times; marks on the pod are there."""
    name = _name()
    config = {"podMetadata": {"labels": {"mlopx.dev/run": "contract"}, "annotations": {"mlopx.dev/task": "only"}}}
    body = await _placed(ground, a_body(name, "print('hello')", config=config))
    created = await ground.client.create(body)
    assert [run.id for run in await _named(ground, "EQUALS", name)] == [created.id]
    assert created.id in [run.id for run in await _named(ground, "IS_SUBSTRING", name[-12:])]
    ended = await _ended(ground, created)
    assert (ended.state, ended.was_stopped) == ("SUCCEEDED", False)
    assert ended.finished_at is not None
    assert ended.finished_at.microsecond == 0
    _, sights = await _seen(ground, created)
    [sight] = [one for one in sights if one.place == Place("only")]
    assert sight.phase == "succeeded"
    assert sight.node is not None
    assert sight.started_at is not None
    pods = await ground.kube.list(PODS, namespace=ground.pod_namespace, labels=f"{RUN_LABEL}={created.id}")
    assert "contract" in {read_pod(one).labels.get("mlopx.dev/run") for one in pods.items}


async def a_stopped_run_says_that_it_was_stopped(ground: KubeflowGround) -> None:
    """After terminate the state becomes CANCELED or FAILED, and the Workflow tells of the stop (a history may not)."""
    body = await _placed(ground, a_body(_name(), "import time; time.sleep(600)"))
    created = await ground.client.create(body)
    await asyncio.sleep(0.5)
    await ground.client.terminate(created.id)
    ended = await _ended(ground, created)
    assert ended.state in ("FAILED", "CANCELED")
    workflow, _ = await _seen(ground, created)
    assert workflow is not None
    assert workflow.was_stopped


async def what_runs_at_the_end_is_a_hook_and_makes_no_failed_run_succeed(ground: KubeflowGround) -> None:
    """A task that runs whatever happened is seen at its own place, and the run is what the other task made of it."""
    body = a_body(_name(), "raise SystemExit(3)")
    document = body["pipeline_spec"]["pipeline_spec"]
    executors = document["deploymentSpec"]["executors"]
    executors["exec-end"] = {"container": {"image": IMAGE, "command": ["python3", "-c", "print('bye')"]}}
    document["components"]["comp-end"] = {"executorLabel": "exec-end"}
    document["root"]["dag"]["tasks"]["end"] = {
        "taskInfo": {"name": "end"},
        "componentRef": {"name": "comp-end"},
        "cachingOptions": {},
        "dependentTasks": ["only"],
        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    }
    created = await ground.client.create(await _placed(ground, body))
    assert (await _ended(ground, created)).state == "FAILED"
    _, sights = await _seen(ground, created)
    assert {one.place.path: one.phase for one in sights} == {"only": "failed", "end": "succeeded"}


async def lists_come_in_pages(ground: KubeflowGround) -> None:
    """A page token leads on, with filter and order kept."""
    names = [_name() for _ in range(3)]
    for name in names:
        await ground.client.create(await _placed(ground, a_body(name, "")))
    seen: list[str] = []
    params = {
        "page_size": "1",
        "sort_by": "created_at desc",
        **({"namespace": ground.namespace} if ground.namespace else {}),
    }
    for _ in range(3):
        told = await ground.client._call("GET", "/runs", params=params)
        seen.extend(run["run_id"] for run in told["runs"])
        params["page_token"] = told.get("next_page_token", "")
    assert len(set(seen)) == 3


PROMISES: tuple[Callable[[KubeflowGround], Awaitable[None]], ...] = (
    it_says_its_version,
    an_experiment_is_made_once,
    an_unknown_field_is_refused,
    an_unknown_run_is_gone,
    a_run_is_found_by_our_name_and_followed_to_its_node,
    a_stopped_run_says_that_it_was_stopped,
    what_runs_at_the_end_is_a_hook_and_makes_no_failed_run_succeed,
    lists_come_in_pages,
)


async def _placed(ground: KubeflowGround, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "experiment_id": await ground.client.experiment(EXPERIMENT, ground.namespace)}


async def _seen(ground: KubeflowGround, run: KfpRun) -> tuple[WorkflowSeen | None, list[TaskSight]]:
    """What the Workflow and the pods of an ended run say."""
    labels, ended_at = f"{RUN_LABEL}={run.id}", (await ground.client.get(run.id)).finished_at
    [item] = (await ground.kube.list(WORKFLOWS, namespace=ground.pod_namespace, labels=labels)).items
    pods = (await ground.kube.list(PODS, namespace=ground.pod_namespace, labels=labels)).items
    workflow = read_workflow(item)
    assert ended_at is not None
    return workflow, joined(workflow, [read_pod(one) for one in pods], ended_at)


async def _named(ground: KubeflowGround, operation: str, name: str) -> list[KfpRun]:
    predicate = {"operation": operation, "key": "display_name", "stringValue": name}
    return await ground.client.list([predicate], namespace=ground.namespace)


async def _ended(ground: KubeflowGround, run: KfpRun) -> KfpRun:
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            found = await ground.client.get(run.id)
            if found.is_over:
                return found
            await asyncio.sleep(0.1)


def _name() -> str:
    return f"mlopx contract {uuid.uuid4()}"


__all__ = ["PROMISES", "KubeflowGround", "a_body"]
