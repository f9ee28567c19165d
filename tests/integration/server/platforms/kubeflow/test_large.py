"""A pipeline that would be too large is sent with its equal tasks sharing a component, and runs as any other."""

from __future__ import annotations

from typing import Any

import pytest

from mlopx import component, pipeline
from server.connecting import translate
from server.platforms.kubeflow.compile import compile_spec, sizes
from server.platforms.kubeflow.compile.sizes import workflow_bytes

TASKS = 8


@component
def step(a: int = 0) -> int:
    return a + 1


@pipeline
def large():
    value = step(a=0).named("t0").output
    for number in range(1, TASKS):
        value = step(a=value).named(f"t{number}").output


async def test_each_task_of_a_shared_component_is_placed_run_and_followed(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = compile_spec(large.build())
    monkeypatch.setattr(sizes, "WORKFLOW_LIMIT_BYTES", workflow_bytes(made.pipeline, made.platform) + 6_000)
    async with make() as ground, ground.house(translate=translate) as house:
        run = await house.ended((await house.submit(large)).id)
    assert str(run.state) == "succeeded"
    [record] = ground.double.runs.values()
    assert len(record.pipeline["components"]) < TASKS == len(made.pipeline["components"])
    outputs = {key.path: task.outputs["output"].value for key, task in run.tasks.items()}
    assert outputs == {f"t{number}": number + 1 for number in range(TASKS)}
    for task in run.tasks.values():
        assert task.current.actual_node == task.current.node
