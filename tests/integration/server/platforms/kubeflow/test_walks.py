"""One of our pipelines on Kubeflow: submitted, compiled, placed, run, followed to the end with nodes and times."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mlopx import component, pipeline
from server.components.pipeline_manager import Submission
from server.connecting import translate
from server.domain.run import TaskKey
from server.domain.states import TaskState


@component
def step(a: int = 0, b: int = 0) -> int:
    print("adding", a, b)
    return a + b


@component
def broken(a: int = 0) -> int:
    raise ValueError("no luck today")


@pipeline
def diamond():
    top = step(a=1, b=1).named("top")
    left, right = step(a=top.output, b=1).named("left"), step(a=top.output, b=2).named("right")
    step(a=left.output, b=right.output).named("bottom")


@component
def carry(value: int) -> int:
    if value > 1:
        raise ValueError("on purpose")
    return value


@pipeline
def carrying():
    carry(value=1).named("good")
    carry(value=2).named("bad")


@pipeline
def failing():
    first = step(a=1, b=1).named("first")
    bad = broken(a=first.output).named("bad")
    step(a=bad.output, b=1).named("after")


async def test_a_run_walks_to_its_end_with_nodes_times_and_outputs(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        run = await house.ended((await house.submit(diamond)).id)
    assert str(run.state) == "succeeded"
    assert {str(key): task.outputs["output"].value for key, task in run.tasks.items()} == {
        "top": 2,
        "left": 3,
        "right": 4,
        "bottom": 7,
    }
    for task in run.tasks.values():
        attempt = task.current
        assert attempt.node in ("one", "two")
        assert attempt.actual_node == attempt.node, "the double prefers the node that was asked for"
        assert attempt.queued_at <= attempt.scheduled_at <= attempt.started_at <= attempt.finished_at
        assert attempt.run_seconds is not None
        assert attempt.queue_seconds is not None
        assert attempt.pull_seconds is not None
        assert attempt.transfer_seconds is None, "what this compiler makes leaves no note"
    [record] = ground.double.runs.values()
    assert run.platform_run_id == record.id
    assert record.display_name == f"diamond mlopx/{run.id}"
    pods = [pod for pod in ground.double.kube.objects.all("pods") if "mlopx.dev/run" in pod["metadata"]["labels"]]
    assert {pod["metadata"]["annotations"]["mlopx.dev/task"] for pod in pods} == {"top", "left", "right", "bottom"}
    assert {pod["metadata"]["labels"]["mlopx.dev/run"] for pod in pods} == {run.id}
    why = {one["mlopx.dev/task"]: one["mlopx.dev/why"] for pod in pods for one in [pod["metadata"]["annotations"]]}
    for key, task in run.tasks.items():
        assert why[key.path].startswith(f"{key} goes to {task.current.node}, ")
    assert record.description.startswith(f"Placed by MLOpX, which knows it as run {run.id}. ")
    assert record.description.endswith(f"1 more: `mlopx explain {run.id}`.")
    assert sum(sentence in record.description for sentence in why.values()) == 3


async def test_a_failure_is_told_with_its_reason_and_what_waits_is_skipped(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        run = await house.ended((await house.submit(failing)).id)
    states = {str(key): str(task.state) for key, task in run.tasks.items()}
    assert str(run.state) == "failed"
    assert states == {"first": "succeeded", "bad": "failed", "after": "skipped"}
    error = next(task.current.error for key, task in run.tasks.items() if key.path == "bad")
    assert error is not None
    assert (error.kind, error.message) == ("user-code", "no luck today")


async def test_logs_are_kept_beyond_their_pods(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        run = await house.ended((await house.submit(diamond)).id)
        key = next(key for key in run.tasks if key.path == "bottom")
        async with asyncio.timeout(60):
            while not (await ground.platform.logs(run, key, 1)).is_end:  # from the pod, until it is kept in a file
                await asyncio.sleep(0.01)
        ground.double.collect(run.platform_run_id)
        chunk = await ground.platform.logs(run, key, 1)
    assert chunk.text == "adding 3 4\n"
    assert chunk.is_end


@pytest.mark.parametrize(
    "denied", [{("list", "workflows")}, {("list", "pods")}, {("list", "workflows"), ("list", "pods")}]
)
async def test_without_rights_in_kubernetes_it_degrades_to_what_can_be_seen(denied: Any, make: Any) -> None:
    async with make() as ground:
        ground.double.kube.denied = denied
        async with ground.house() as house:
            run = await house.ended((await house.submit(diamond)).id)
            problems = ground.platform.problems()
    assert str(run.state) == "succeeded"
    assert {name for _, name in denied} <= set(problems)
    nodes = {task.current.actual_node for task in run.tasks.values()}
    assert (None in nodes) is (len(denied) == 2)


async def test_without_a_kubernetes_api_runs_are_followed_as_a_whole(make: Any) -> None:
    async with make() as ground, ground.house(has_kube=False) as house:
        run = await house.ended((await house.submit(diamond)).id)
    assert str(run.state) == "succeeded"
    assert {str(task.state) for task in run.tasks.values()} == {"skipped"}
    assert {task.reason for task in run.tasks.values()} == {"not-reported"}


@pytest.mark.parametrize("kept", ["is_compressed", "is_offloaded"])
async def test_nodes_of_large_workflows_are_read_where_they_are_kept(kept: str, make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"top"}
        run = await house.submit(diamond)
        run = await house.until(run.id, lambda found: found.platform_run_id is not None)
        setattr(ground.double.workflows[run.platform_run_id], kept, True)
        ground.double.workflows[run.platform_run_id].write()
        run = await house.until(
            run.id, lambda found: any(task.state is TaskState.RUNNING for task in found.tasks.values())
        )
    [task] = [task for task in run.tasks.values() if task.state is TaskState.RUNNING]
    assert task.current.actual_node in ("one", "two")


async def test_a_cancelled_run_is_stopped_there(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"top"}
        run = await house.submit(diamond)
        await house.until(run.id, lambda found: any(task.state is TaskState.RUNNING for task in found.tasks.values()))
        await house.pipeline_manager.cancel(run.id)
        run = await house.ended(run.id)
    assert (str(run.state), run.error) == ("cancelled", run.cancel_reason)
    assert run.error
    assert [record.state for record in ground.double.runs.values()] == ["FAILED"], (
        "Kubeflow says so of what was stopped"
    )


async def test_a_cache_hit_is_told_as_such_and_nothing_is_cached_unless_wanted(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        runs = []
        for is_caching in (True, True, False):
            submission = Submission(diamond.build(), is_caching=is_caching)
            run = await house.pipeline_manager.submit(submission)
            runs.append(await house.ended(run.id))
    assert [str(run.state) for run in runs] == ["succeeded"] * 3
    assert [{task.from_cache for task in run.tasks.values()} for run in runs] == [{False}, {True}, {False}]
    assert len(ground.double.world.started) == 8


@component(cpu=2)
def heavy(a: int = 0) -> int:
    return a


@pipeline
def large():
    """Its task is expected to take minutes: what is about to end is not waited for, however slow this machine is."""
    heavy(a=1).named("heavy").hints(kind="training", operations=1e12)


async def test_a_run_without_room_is_handed_over_at_once_unless_holding_is_allowed(make: Any) -> None:
    async with make() as ground, ground.house(max_hold_seconds=0) as house:
        ground.double.world.holding = {"heavy"}
        runs = [await house.submit(large) for _ in range(3)]
        for run in runs:
            await house.until(run.id, lambda found: found.platform_run_id is not None)
    assert len(ground.double.runs) == 3


async def test_a_held_run_says_until_when(make: Any) -> None:
    async with make() as ground, ground.house(max_hold_seconds=600) as house:
        ground.double.world.holding = {"heavy"}
        runs = [await house.submit(large) for _ in range(3)]
        for run in runs[:2]:
            await house.until(run.id, lambda found: found.platform_run_id is not None)
        held = await house.until(runs[2].id, lambda found: any(task.hold for task in found.tasks.values()))
    assert held.platform_run_id is None
    assert "UTC at the latest" in next(iter(held.tasks.values())).hold
    assert len(ground.double.runs) == 2


async def test_the_next_best_nodes_are_wished_for_behind_the_chosen_one(make: Any) -> None:
    async with make() as ground, ground.house(max_hold_seconds=0) as house:
        run = await house.ended((await house.submit(diamond)).id)
        [record] = ground.double.runs.values()
    configs = record.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    weights = {
        (entry["matchExpressions"][0]["values"][0], entry["weight"])
        for config in configs.values()
        for entry in config["nodeAffinity"]
    }
    assert {weight for _, weight in weights} == {100, 60}
    assert {name for name, _ in weights} == {"one", "two"}
    top = next(task for key, task in run.tasks.items() if key.path == "top")
    assert {top.current.node, *top.current.alternatives} == {"one", "two"}


@component(cpu=64)
def enormous(a: int = 0) -> int:
    return a


@pipeline
def beyond():
    enormous(a=1).named("train")
    step(a=1, b=1).named("other")


async def test_a_task_that_no_node_can_run_goes_along_without_a_node_and_says_so(make: Any) -> None:
    async with make() as ground, ground.house(max_hold_seconds=0) as house:
        run = await house.submit(beyond)
        run = await house.until(
            run.id,
            lambda found: (
                found.platform_run_id is not None
                and any(key.path == "train" and task.hold for key, task in found.tasks.items())
            ),
        )
    tasks = {key.path: task for key, task in run.tasks.items()}
    assert "no node can run it" in tasks["train"].hold or "unschedulable" in tasks["train"].hold
    assert tasks["other"].current.node is not None


async def test_what_waited_when_its_run_was_cancelled_never_began_and_has_no_node(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        for node in ground.double.world.pods.nodes:
            node.is_schedulable = False
        run = await house.submit(failing)
        run = await house.until(run.id, lambda found: any("unschedulable" in one.hold for one in found.tasks.values()))
        assert run.tasks[TaskKey("first")].node in ("one", "two"), "where it is to run"
        await house.pipeline_manager.cancel(run.id)
        run = await house.ended(run.id)
    first = run.tasks[TaskKey("first")]
    assert (str(first.state), first.did_not_run, first.node) == ("cancelled", True, None)
    assert (first.current.started_at, first.current.actual_node, first.current.run_seconds) == (None, None, None)


def all_run(run: Any) -> bool:
    return all(task.state is TaskState.RUNNING for task in run.tasks.values())


async def test_the_time_in_which_inputs_are_fetched_is_told_apart(make: Any) -> None:
    async with make() as ground:
        ground.double.world.fetch_seconds, ground.double.world.holding = 3.0, {"good", "bad"}
        async with ground.house(translate=translate) as house:
            run = await house.until((await house.submit(carrying)).id, all_run)
            ground.double.world.holding = set()  # starts are seen: now inputs are fetched
            run = await house.ended(run.id)
    assert {str(key): str(task.state) for key, task in run.tasks.items()} == {"good": "succeeded", "bad": "failed"}
    for task in run.tasks.values():
        attempt = task.current
        assert attempt.started_at <= attempt.inputs_at <= attempt.finished_at
        # Kubernetes tells whole seconds of when inputs are there: one of the three may be missing.
        assert 2.0 <= attempt.transfer_seconds <= attempt.run_seconds
