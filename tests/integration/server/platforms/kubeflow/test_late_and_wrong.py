"""Kubeflow and Kubernetes answer late, of an older state, or wrong; objects are deleted by hand meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mlopx import component, pipeline
from server.domain.run import Run
from server.domain.states import TaskState


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@pipeline
def pair():
    first = step(a=1, b=1).named("first")
    step(a=first.output, b=1).named("second")


@component(cpu=1)
def wide(a: int = 0) -> int:
    return a


@pipeline
def asking():
    wide(a=1).named("only").retry(2)


@component
def speak(text: str) -> None:
    print(text)


@pipeline
def saying():
    speak(text="once").named("only")


@component
def luckless(file: str) -> None:
    import pathlib

    if not pathlib.Path(file).exists():
        pathlib.Path(file).touch()
        raise ValueError("no luck")
    print("second")


def is_running(run: Run) -> bool:
    return any(task.state is TaskState.RUNNING for task in run.tasks.values())


async def passed(ground: Any, hurry: Any, seconds: float) -> None:
    """Let so much time go by, and the adapter look some times meanwhile and afterwards."""
    until, hurry.rate = hurry() + seconds, 200.0
    async with asyncio.timeout(60):
        while hurry() < until:
            await asyncio.sleep(0.01)
        hurry.rate = 1.0
        for _ in range(3):
            await ground.platform.watcher.poll()
            await asyncio.sleep(0.05)


async def test_a_workflow_that_a_late_list_left_out_is_not_taken_as_deleted(make: Any, hurry: Any) -> None:
    """A list from a cache that is behind leaves out what is there; the watch brings it back a moment later."""
    async with make(hurry) as ground, ground.house() as house:
        ground.double.world.holding = {"first"}
        run = await house.until((await house.submit(pair)).id, is_running)
        workflow = ground.double.workflows[run.platform_run_id]
        ground.double.kube.objects.delete("workflows", workflow.namespace, workflow.name)
        async with asyncio.timeout(60):
            while len(ground.platform.watcher.mirrors.workflows[""]):
                await asyncio.sleep(0.01)
        await ground.platform.watcher.poll()
        await asyncio.sleep(0.05)
        workflow.write()
        async with asyncio.timeout(60):
            while not len(ground.platform.watcher.mirrors.workflows[""]):
                await asyncio.sleep(0.01)
        await passed(ground, hurry, 200)
        assert not (await house.journal.run(run.id)).state.is_end
        ground.double.world.holding = set()
        run = await house.ended(run.id)
    assert str(run.state) == "succeeded"


async def test_kubernetes_is_asked_once_more_before_a_run_is_given_up(make: Any, hurry: Any) -> None:
    """The watch is behind all the time: only a question about this run shows that its Workflow is there."""
    async with make(hurry) as ground, ground.house() as house:
        ground.double.world.holding = {"first"}
        run = await house.until((await house.submit(pair)).id, is_running)
        name = (
            ground.double.workflows[run.platform_run_id].namespace,
            ground.double.workflows[run.platform_run_id].name,
        )
        ground.platform.watcher._workflow_changed(name, None)
        await passed(ground, hurry, 200)
        assert not (await house.journal.run(run.id)).state.is_end


async def test_a_run_that_began_and_ended_while_kubernetes_was_away_is_told_task_by_task(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.kube.is_down = True
        ground.double.kube.cut_watches()
        async with asyncio.timeout(60):
            while not {"pods", "workflows"} <= set(ground.platform.problems()):
                await asyncio.sleep(0.01)
        run = await house.until((await house.submit(pair)).id, lambda found: found.platform_run_id is not None)
        await ground.double.ended(run.platform_run_id)
        for _ in range(3):
            await ground.platform.watcher.poll()
            await asyncio.sleep(0.05)
        assert not (await house.journal.run(run.id)).state.is_end, "Kubernetes may tell of its tasks"
        ground.double.kube.is_down = False
        run = await house.ended(run.id)
    assert {str(task.state) for task in run.tasks.values()} == {"succeeded"}


@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("is_away", [False, True])
async def test_a_workflow_that_was_deleted_by_hand_ends_its_run_with_that_reason(
    make: Any, is_away: bool, is_stopped: bool, hurry: Any
) -> None:
    """Kubeflow calls such a run live for ever; also where the server was away, or was just started anew."""
    async with make(hurry) as ground:
        ground.double.world.holding = {"first"}
        async with ground.house() as house:
            run = await house.until((await house.submit(pair)).id, is_running)
            if not is_away:
                ground.double.workflows[run.platform_run_id].collect()
                await asyncio.sleep(0.1)
        if is_away:
            ground.double.workflows[run.platform_run_id].collect()
        if is_stopped:
            ground.double.runs[run.platform_run_id].move("CANCELING", ground.clock.now())
        async with ground.house() as house:
            await asyncio.sleep(0.2)
            assert not (await house.journal.run(run.id)).state.is_end, "it may come back"
            await passed(ground, hurry, 200)
            run = await house.ended(run.id)
    assert str(run.state) == ("cancelled" if is_stopped else "failed")
    assert run.error == (
        "it was stopped in Kubeflow by somebody else"
        if is_stopped
        else "its Workflow was deleted in Kubernetes before its end was seen"
    )


async def test_where_no_workflow_was_ever_seen_none_is_missed(make: Any, hurry: Any) -> None:
    """They may lie in another cluster: then Kubeflow's word counts alone."""
    async with make(hurry) as ground, ground.house() as house:
        ground.double.world.holding = {"first"}
        ground.double.world.has_driver_pods = False
        put = ground.double.kube.objects.put
        ground.double.kube.objects.put = lambda plural, item: (
            item if plural in ("workflows", "pods") else put(plural, item)
        )
        run = await house.submit(pair)
        run = await house.until(run.id, lambda found: found.platform_run_id is not None)
        await passed(ground, hurry, 200)
        assert not (await house.journal.run(run.id)).state.is_end


def is_unschedulable(run: Run) -> bool:
    return any(task.hold.startswith("unschedulable") for task in run.tasks.values())


def make_room(ground: Any, cpu: str) -> None:
    for node in ground.double.world.pods.nodes:
        node.cpu = cpu
    ground.double.world.pods.changed()


def annotations(ground: Any, pod: Any) -> Any:
    return ground.double.kube.objects.find("pods", pod.namespace, pod.name)["metadata"]["annotations"]


@pytest.mark.parametrize("is_new_server", [False, True])
async def test_a_task_that_has_its_node_at_last_waits_for_it_no_more(make: Any, is_new_server: bool) -> None:
    """Its image comes now: nobody is told that it finds no node, and nothing is placed anew for that."""
    async with make() as ground:
        pods = ground.double.world.pods
        ground.double.world.has_driver_pods = False
        async with ground.house() as house:
            make_room(ground, "50m")
            run = await house.until((await house.submit(asking)).id, is_unschedulable)
            if not is_new_server:
                pods.slow_images.add("python:3.11")
                make_room(ground, "2")
                run = await house.until(run.id, lambda found: not is_unschedulable(found))
        if is_new_server:
            pods.slow_images.add("python:3.11")
            make_room(ground, "2")
        async with ground.house() as house:
            run = await house.until(run.id, lambda found: not is_unschedulable(found))
            [task] = run.tasks.values()
            assert (task.state, task.hold) == (TaskState.QUEUED, "")
            [pod] = [one for one in pods.all.values() if "mlopx.dev/run" in one.labels]
            async with asyncio.timeout(60):
                while "mlopx.dev/waiting" in annotations(ground, pod):
                    await asyncio.sleep(0.01)
            assert annotations(ground, pod)["mlopx.dev/why"] == "only waits for nothing any more, and starts"
            pods.slow_images.clear()
            pods.changed()
            assert str((await house.ended(run.id)).state) == "succeeded"


async def test_a_new_try_that_waits_for_the_same_says_so_again(make: Any) -> None:
    async with make() as ground:
        ground.double.world.has_driver_pods = False
        async with ground.house() as house:
            make_room(ground, "50m")
            run = await house.until((await house.submit(asking)).id, is_unschedulable)
            [task] = run.tasks.values()
            before = task.hold
            [pod] = ground.double.world.pods.all.values()
            ground.double.world.pods.remove(pod)
            run = await house.until(run.id, lambda found: all(len(task.attempts) == 2 for task in found.tasks.values()))
            run = await house.until(run.id, is_unschedulable)
            [task] = run.tasks.values()
    assert (task.state, task.current.number, task.hold) == (TaskState.QUEUED, 2, before)


async def has_ended_there(ground: Any, house: Any, run: Run) -> Run:
    """The run, when Kubeflow has ended it and all of its tasks were told."""
    run = await house.until(run.id, lambda found: found.platform_run_id is not None)
    await ground.double.ended(run.platform_run_id)
    return await house.until(run.id, lambda found: all(task.state.is_end for task in found.tasks.values()))


async def test_a_server_that_dies_before_logs_are_kept_keeps_them_after_its_return(make: Any, hurry: Any) -> None:
    """However often it dies, and however long ago the run has ended."""
    async with make(hurry) as ground:
        ground.double.kube.broken_logs = 10**9
        async with ground.house() as house:
            run = await has_ended_there(ground, house, await house.submit(saying))
            await ground.platform.watcher.poll()
            await asyncio.sleep(0.1)
            assert not (await house.journal.run(run.id)).state.is_end
        until, hurry.rate = hurry() + 60, 1000.0
        while hurry() < until:
            await asyncio.sleep(0.01)
        hurry.rate = 1.0
        async with ground.house() as house:
            async with asyncio.timeout(60):
                while not any(one.logs for one in ground.platform.watcher.followers.values()):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert not (await house.journal.run(run.id)).state.is_end
        ground.double.kube.broken_logs = 0
        async with ground.house() as house:
            run = await house.ended(run.id)
            ground.double.collect(run.platform_run_id)
            [key] = run.tasks
            assert (await ground.platform.logs(run, key, 1)).text == "once\n"


async def test_logs_that_never_come_keep_no_run_from_its_end(make: Any, hurry: Any) -> None:
    async with make(hurry) as ground, ground.house() as house:
        ground.double.kube.broken_logs = 10**9
        run = await has_ended_there(ground, house, await house.submit(saying))
        hurry.rate = 100.0
        run = await house.ended(run.id)
    assert str(run.state) == "succeeded"


async def test_each_attempt_keeps_its_own_log(make: Any, tmp_path: Path) -> None:
    @pipeline
    def counting():
        luckless(file=str(tmp_path / "tried")).named("only").retry(2)

    async with make() as ground, ground.house() as house:
        run = await house.ended((await house.submit(counting)).id)
        [(key, task)] = run.tasks.items()
        assert [str(attempt.state) for attempt in task.attempts] == ["lost", "succeeded"]
        ground.double.collect(run.platform_run_id)
        kept = [(await ground.platform.logs(run, key, number)).text for number in (1, 2)]
    assert ("no luck" in kept[0], "no luck" in kept[1], "second" in kept[1]) == (True, False, True)


async def test_objects_that_cannot_be_read_hide_no_others(make: Any) -> None:
    async with make() as ground:
        labels = {"pipeline/runid": "of-somebody"}
        many = {"name": "main", "resources": {"requests": {"cpu": "a lot"}}}
        for kind, more in (("pods", {"spec": {"containers": [many]}}), ("workflows", {"status": {"nodes": {"n": 1}}})):
            ground.double.kube.objects.put(
                kind, {"metadata": {"name": "odd", "namespace": "kubeflow", "labels": labels}, **more}
            )
        async with ground.house() as house:
            run = await house.ended((await house.submit(pair)).id)
    assert {str(task.state) for task in run.tasks.values()} == {"succeeded"}
    assert all(task.current.actual_node for task in run.tasks.values())
