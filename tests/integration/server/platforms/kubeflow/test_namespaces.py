"""Several namespaces beside each other: each with its own mode, its own runs, and the rights of who asks there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mlopx import component, pipeline
from server.components.pipeline_manager import Submission
from server.domain.errors import ConflictError
from server.domain.run import Run
from server.domain.states import TaskState
from server.platforms.kubeflow.namespaces import Namespaces
from server.testing.house import House

SERVER, ADA, EVE = "mlopx@example.org", "ada@example.org", "eve@example.org"


@component
def step(a: int = 0) -> int:
    return a


@pipeline
def single():
    step(a=1).named("only")


@pytest.fixture
def two(make: Any) -> Any:
    """A server over the namespaces `red` (Ada's) and `blue` (Eve's) of a multi-user Kubeflow."""

    @asynccontextmanager
    async def one(**options: Any) -> AsyncIterator[tuple[Any, House]]:
        async with make() as ground:
            ground.double.is_multi_user = True
            ground.double.rights = {SERVER: {"red", "blue"}, ADA: {"red"}, EVE: {"blue"}}
            for name in ("red", "blue"):
                ground.double.kube.objects.put("namespaces", {"metadata": {"name": name, "labels": {}}})
            options = {"namespaces": Namespaces.read("red, blue"), "headers": {"kubeflow-userid": SERVER}, **options}
            async with ground.house(**options) as house:
                yield ground, house

    return one


async def submit(house: House, user: str, project: str | None) -> Run:
    caller = {"kubeflow-userid": user}
    return await house.pipeline_manager.submit(Submission(single.build(), caller=caller, project=project))


def label(ground: Any, name: str, mode: str) -> None:
    ground.double.kube.objects.put("namespaces", {"metadata": {"name": name, "labels": {"mlopx.dev/mode": mode}}})


async def test_runs_go_to_the_namespace_that_their_project_names_as_who_submits_them(two: Any) -> None:
    async with two() as (ground, house):
        asked = [await submit(house, ADA, "red"), await submit(house, EVE, "blue"), await submit(house, ADA, "churn")]
        runs = [await house.ended(run.id) for run in asked]
        records = [ground.double.runs[run.platform_run_id] for run in runs]
        names = [ground.double.experiments[record.experiment_id].display_name for record in records]
    assert [str(run.state) for run in runs] == ["succeeded"] * 3
    assert [(record.namespace, record.user) for record in records] == [("red", ADA), ("blue", EVE), ("red", ADA)]
    assert names == ["mlopx", "mlopx", "churn"]
    assert all(task.current.actual_node for run in runs for task in run.tasks.values())
    assert {call.user for call in ground.double.calls if call.method != "GET"} == {ADA, EVE}


async def test_nobody_gets_into_anothers_namespace(two: Any) -> None:
    async with two() as (ground, house):
        run = await house.ended((await submit(house, ADA, "blue")).id)
    assert str(run.state) == "failed"
    assert "not authorized in namespace 'blue'" in run.error
    assert not ground.double.runs


async def test_each_namespace_is_opted_in_by_its_own_label(two: Any) -> None:
    async with two(mode="auto") as (ground, house):
        label(ground, "red", "place")
        await ground.platform._look_around()
        with pytest.raises(ConflictError, match="namespace blue is only observed"):
            await submit(house, EVE, "blue")
        run = await house.ended((await submit(house, ADA, "red")).id)
        assert str(run.state) == "succeeded"
        assert not ground.platform.may_act
        label(ground, "red", "observe")
        label(ground, "blue", "place")
        await ground.platform._look_around()
        with pytest.raises(ConflictError, match="namespace red is only observed"):
            await submit(house, ADA, None)
        assert str((await house.ended((await submit(house, EVE, "blue")).id)).state) == "succeeded"


async def test_a_namespace_that_lets_nobody_look_keeps_nobody_from_seeing_the_others(two: Any) -> None:
    async with two() as (ground, house):
        ground.double.world.holding = {"only"}
        red, blue = await submit(house, ADA, "red"), await submit(house, EVE, "blue")
        for run in (red, blue):
            await house.until(
                run.id, lambda found: any(task.state is TaskState.RUNNING for task in found.tasks.values())
            )
        ground.double.rights[SERVER] = {"red"}
        ground.double.delete((await house.journal.run(red.id)).platform_run_id)
        red = await house.ended(red.id)
        assert "deleted in Kubeflow" in red.error
        async with asyncio.timeout(60):
            while "kubeflow (blue)" not in ground.platform.problems():  # each namespace is looked at on its own
                await asyncio.sleep(0.01)
        problems = ground.platform.problems()
        assert "not authorized in namespace 'blue'" in problems["kubeflow (blue)"]
        assert "kubeflow (red)" not in problems
        ground.double.world.holding = set()
        assert str((await house.ended(blue.id)).state) == "succeeded", "its Workflow is still seen"


async def test_everybodys_runs_in_all_namespaces_are_told_together(two: Any) -> None:
    async with two() as (ground, house):
        told: list[set[str]] = []
        ground.platform.watcher.tell_all(lambda runs: told.append({run.name for run in runs}))
        for name in ("red", "blue"):
            experiment = ground.double.experiment("theirs", name)
            run = await submit(house, ADA if name == "red" else EVE, name)
            run = await house.ended(run.id)
            body = ground.double.runs[run.platform_run_id]
            ground.double.create(
                {"display_name": f"a run in {name}", "experiment_id": experiment.id, "pipeline_spec": body.pipeline}
            )
        async with asyncio.timeout(60):
            while not any({"a run in red", "a run in blue"} <= one for one in told):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "names", "where"),
    [("", ("",), ("kubeflow",)), ("a", ("a",), ("a",)), (" b , a,b,", ("b", "a"), ("b", "a"))],
)
def test_the_setting_names_them(text: str, names: tuple[str, ...], where: tuple[str, ...]) -> None:
    found = Namespaces.read(text)
    assert (found.names, found.in_kubernetes) == (names, where)
    assert found.of("default") == names[0]
    assert found.of(names[-1]) == names[-1]
