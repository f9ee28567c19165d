"""Without the Kubernetes API, tasks are followed by what Kubeflow's own API tells of them, where it does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlopx import If, Loop, collect, component, pipeline
from server.connecting import translate
from server.domain.states import TaskState
from server.platforms.kubeflow.client import KfpRun, read_run
from server.platforms.kubeflow.sight import Place
from server.platforms.kubeflow.task_records import read_tasks


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@component
def fails(a: int = 0) -> int:
    raise ValueError("on purpose")


@component
def added(values: list) -> int:  # type: ignore[type-arg]  # a parameter's type is written so
    return sum(values)


@pipeline
def nested():
    with Loop([1, 2]) as outer, Loop([10, 20]) as inner:
        step(a=outer, b=inner).named("part")


@pipeline
def looped():
    with Loop([1, 2]) as one:
        part = step(a=one, b=3).named("part")
    total = added(values=collect(part.output)).named("total")
    with If(total.output > 1000):
        step(a=total.output).named("large")


@pipeline
def broken():
    first = fails(a=1).named("first")
    step(a=first.output).named("second")


async def test_tasks_are_followed_without_kubernetes(make: Any) -> None:
    async with make() as ground:
        ground.double.has_tasks_api = True
        async with ground.house(has_kube=False, translate=translate) as house:
            ground.double.world.holding = {"total"}
            run = await house.submit(looped)
            run = await house.until(
                run.id,
                lambda found: (
                    next(task for task in found.tasks.values() if task.key.path == "total").state is TaskState.RUNNING
                ),
            )
            states = {str(key): str(task.state) for key, task in run.tasks.items()}
            assert [state for key, state in states.items() if key.startswith("part")] == ["succeeded"] * 2
            assert states["total"] == "running"
            ground.double.world.holding = set()
            run = await house.ended(run.id)
    tasks = {str(key): task for key, task in run.tasks.items()}
    assert str(run.state) == "succeeded"
    assert tasks["total"].outputs["output"].value == 4 + 5
    assert str(tasks["large"].state) == "skipped"
    assert all(task.current.actual_node is None for task in tasks.values())
    asked = [call for call in ground.double.calls if call.method == "GET" and call.path.endswith("/runs")]
    assert asked


async def test_a_failure_is_told_with_its_reason_when_the_run_is_over(make: Any) -> None:
    async with make() as ground:
        ground.double.has_tasks_api = True
        async with ground.house(has_kube=False, translate=translate) as house:
            run = await house.ended((await house.submit(broken)).id)
    tasks = {str(key): task for key, task in run.tasks.items()}
    assert str(run.state) == "failed"
    assert str(tasks["first"].state) == "failed"
    assert tasks["first"].current.error is not None
    assert "exit code" in tasks["first"].current.error.message


async def test_a_server_that_tells_no_tasks_is_not_asked_again_and_again(make: Any) -> None:
    async with make() as ground, ground.house(has_kube=False, translate=translate) as house:
        run = await house.ended((await house.submit(looped)).id)
        assert str(run.state) == "succeeded"
        watcher = ground.platform.watcher
        await watcher.poll()
        assert watcher._tells_tasks_from > ground.clock.now()
        run = await house.submit(looped)
        await house.until(run.id, lambda found: found.platform_run_id is not None)
        await watcher.poll()
        assert not watcher._pollers[""].is_full
        assert str((await house.ended(run.id)).state) == "succeeded"


async def test_iterations_of_loops_within_loops_are_told_apart(make: Any) -> None:
    async with make() as ground:
        ground.double.has_tasks_api = True
        async with ground.house(has_kube=False, translate=translate) as house:
            run = await house.ended((await house.submit(nested)).id)
    parts = {key.iteration: task for key, task in run.tasks.items() if key.path == "part"}
    values = {iteration: task.outputs["output"].value for iteration, task in parts.items()}
    assert values == {(0, 0): 11, (0, 1): 21, (1, 0): 12, (1, 1): 22}


def record(*tasks: Any, state: str = "RUNNING") -> KfpRun:
    return read_run({"run_id": "r", "state": state, "tasks": list(tasks)})


def a_task(**more: Any) -> dict[str, Any]:
    return {"task_id": "1", "scope_path": "root.train", "type": "RUNTIME", "state": "RUNNING", **more}


@pytest.mark.parametrize(
    ("task", "phase"),
    [
        (a_task(pods=[{"type": "DRIVER"}]), "queued"),
        (a_task(pods=[{"type": "DRIVER"}, {"type": "EXECUTOR"}]), "running"),
        (a_task(state="CACHED"), "cached"),
        (a_task(state="SKIPPED"), "skipped"),
        (a_task(state="FAILED", status_metadata={"message": "no"}), "failed"),
        (a_task(state="SUCCEEDED"), "succeeded"),
        (a_task(state="SUCCEEDED", type="IMPORTER"), "succeeded"),
        (a_task(state="SKIPPED", type="CONDITION"), "skipped"),
    ],
)
def test_states_mean(task: Any, phase: str) -> None:
    [sight] = read_tasks(record(task))
    assert (sight.place, sight.phase) == (Place("train"), phase)
    assert not sight.is_final


@pytest.mark.parametrize(
    "task",
    [
        "nonsense",
        {},
        a_task(type="DAG"),
        a_task(type="ROOT", scope_path="root"),
        a_task(scope_path="elsewhere.train"),
        a_task(type="LOOP", state="FAILED"),
    ],
)
def test_what_is_no_task_of_the_pipeline_is_left_out(task: Any) -> None:
    assert read_tasks(record(task)) == []


def test_outputs_and_times_are_read() -> None:
    outputs = {
        "parameters": [{"parameter_key": "score", "value": 0.5}, {"value": 1}],
        "artifacts": [
            {"artifact_key": "model", "artifacts": [{"uri": "s3://b/m", "type": "Model", "metadata": {"a": 1}}]},
            {"artifact_key": "many", "artifacts": [{}, {}]},
        ],
    }
    times = {"create_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:01:00Z"}
    [sight] = read_tasks(record(a_task(state="SUCCEEDED", outputs=outputs, **times), state="SUCCEEDED"))
    assert (sight.queued_at, sight.finished_at) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
    )
    assert sight.is_final
    assert '"score": {"value": 0.5}' in sight.note
    assert "many" not in sight.note
    cycle = a_task(task_id="1", parent_task_id="1", type_attributes={"iteration_index": "0"})
    assert len(read_tasks(record(cycle))) == 1
