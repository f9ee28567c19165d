"""What a task may use at most: as it is written, compiled for Kubeflow, and handed to the local platform."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mlopx import component, option, pipeline
from mlopx.errors import DefinitionError
from mlopx.spec import Resources as Asked
from server.domain.graph import compile_graph
from server.domain.launch import launch_of
from server.domain.lifecycle import start_run
from server.domain.request import kubernetes_defaults, requests_of
from server.domain.run import Attempt, Run, RunOptions, TaskError, TaskKey
from server.domain.states import TaskState
from server.platforms.kubeflow.compile import compile_spec

AT = datetime(2026, 1, 1, tzinfo=UTC)
GIB, MIB = 2**30, 2**20


@component(cpu=0.5, memory="256Mi", cpu_limit=2, memory_limit="1Gi")
def bounded() -> int:
    return 1


@component
def open_ended() -> int:
    return 1


@pipeline
def limited():
    bounded().named("both")
    bounded().named("more").request(memory="2Gi")
    open_ended().named("only-limits").request(cpu_limit="750m", memory_limit="512Mi")
    open_ended().named("none")
    bounded().named("either").any_of(option("small", memory="128Mi"), option("large", memory="3Gi", memory_limit="4Gi"))


def resources(task: str, choice: str = "") -> Any:
    made = compile_spec(limited.build(), {"either": choice or "small"})
    return made.pipeline["deploymentSpec"]["executors"][f"exec-{task}"]["container"].get("resources", {})


def run() -> Run:
    graph = compile_graph(limited.build())
    return start_run("r", graph, parameters={}, options=RunOptions(), at=AT).run


def memory(played: Run, task: str) -> int | None:
    """The limit with which the local platform would start the task."""
    key = TaskKey(task)
    option_name = played.tasks[key].current.option
    return launch_of(played, key, requests_of(played, key, option_name, kubernetes_defaults)).memory_limit_bytes


@pytest.mark.parametrize(
    ("task", "choice", "cpu", "amount"),
    [
        ("both", "", ("500m", "2000m"), ("256Mi", "1Gi")),
        ("more", "", ("500m", "2000m"), ("2Gi", "2Gi")),
        ("only-limits", "", ("750m", "750m"), ("512Mi", "512Mi")),
        ("none", "", (None, None), (None, None)),
        ("either", "small", ("500m", "2000m"), ("128Mi", "1Gi")),
        ("either", "large", ("500m", "2000m"), ("3Gi", "4Gi")),
    ],
)
def test_limits_stand_beside_the_requests_in_kubeflows_file(
    task: str, choice: str, cpu: tuple[str, str], amount: tuple[str, str]
) -> None:
    found = resources(task, choice)
    assert (found.get("resourceCpuRequest"), found.get("resourceCpuLimit")) == cpu
    assert (found.get("resourceMemoryRequest"), found.get("resourceMemoryLimit")) == amount


def test_the_local_platform_holds_a_task_to_its_memory_limit_or_else_to_its_request() -> None:
    limits = {task: memory(run(), task) for task in ("both", "more", "only-limits", "none")}
    assert limits == {"both": GIB, "more": 2 * GIB, "only-limits": 512 * MIB, "none": None}


def test_a_limit_grows_with_the_request_after_the_memory_was_too_little() -> None:
    played, key = run(), TaskKey("both")
    failed = Attempt(1, TaskState.FAILED, error=TaskError("oom", "too much"))
    again = replace(played.tasks[key], attempts=(failed, Attempt(2, TaskState.READY)))
    assert memory(replace(played, tasks={**played.tasks, key: again}), "both") == 3 * GIB // 2


@pytest.mark.parametrize("asked", [{"cpu": 2, "cpu_limit": 1}, {"memory": "2Gi", "memory_limit": "1Gi"}])
def test_a_limit_below_the_request_is_a_mistake_that_is_named(asked: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"the (CPU|memory) limit .* is below the request"):
        option("one", **asked)


@pytest.mark.parametrize(
    "amounts",
    [{"cpu_millicores": 2, "cpu_limit_millicores": 1}, {"memory_bytes": 2, "memory_limit_bytes": 1}],
)
def test_a_spec_with_a_limit_below_its_request_is_none(amounts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="is below the request"):
        Asked(**amounts)  # type: ignore[arg-type]
