"""What Kubeflow will take from its cache is foreseen, and takes no time in a plan; what is not sure is not foreseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlopx import Loop, collect, component, pipeline
from server.components.pipeline_manager import Submission
from server.connecting import translate
from server.domain.events import TaskSucceeded
from server.domain.node import Node
from server.domain.placement import DEFAULT_OPTION
from server.domain.request import waiting_run
from server.domain.resources import Resources
from server.domain.run import Attempt, Run, TaskKey, TaskRun
from server.domain.states import TaskState
from server.estimators.chain import ChainEstimator
from server.estimators.table import build_estimates
from server.platforms.kubeflow.reuse import CacheMemory, work_of

NODE = Node("one", Resources.of(cpu_millicores=2000, memory_bytes=2**32, pods=10))


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@component
def added(values: list) -> int:  # type: ignore[type-arg]  # a parameter's type is written so
    return sum(values)


@pipeline
def three(last: int = 1):
    first = step(a=1, b=1).named("first")
    second = step(a=first.output, b=1).named("second")
    step(a=second.output, b=last).named("third")


@pipeline
def uncached():
    first = step(a=1, b=1).named("first").cache(False)
    step(a=first.output, b=1).named("second")


@pipeline
def looped(scale: int = 2):
    with Loop([1, 2]) as part:
        part_ = step(a=part, b=scale).named("part")
    added(values=collect(part_.output)).named("sum")


async def submitted(house: Any, definition: Any, **more: Any) -> Run:
    run: Run = await house.pipeline_manager.submit(Submission(definition.build(), **{"is_caching": True, **more}))
    return run


def foreseen(ground: Any, run: Run) -> set[str]:
    """The tasks of a run that a plan takes for reused, and that are estimated so."""
    view = waiting_run(run, ground.platform.defaults)
    estimates = build_estimates([view], [NODE], ChainEstimator())
    found = set()
    for task in view.tasks:
        estimate = estimates.of(task.ref, "one", DEFAULT_OPTION)
        assert (estimate.p90 < 0.01) == task.is_reused
        assert (estimate.source == "taken from the platform's cache") == task.is_reused
        found |= {str(task.key)} if task.is_reused else set()
    return found


async def test_equal_work_is_foreseen_to_come_from_the_cache_also_after_a_restart(make: Any) -> None:
    async with make() as ground:
        async with ground.house(translate=translate) as house:
            run = await submitted(house, three)
            assert foreseen(ground, run) == set()
            await house.ended(run.id)
            again = await submitted(house, three)
            assert foreseen(ground, again) == {"first", "second", "third"}
            again = await house.ended(again.id)
            assert all(task.from_cache for task in again.tasks.values())
        async with ground.house(translate=translate) as house:
            other = await submitted(house, three, parameters={"last": 5})
            assert foreseen(ground, other) == {"first", "second"}
            other = await house.ended(other.id)
            assert {str(key) for key, task in other.tasks.items() if task.from_cache} == {"first", "second"}
            never = await submitted(house, three, is_caching=False)
            assert foreseen(ground, never) == set()
            await house.ended(never.id)


async def test_what_follows_a_task_that_runs_each_time_is_not_foreseen(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        await house.ended((await submitted(house, uncached)).id)
        again = await submitted(house, uncached)
        assert foreseen(ground, again) == set()
        await house.ended(again.id)


async def test_iterations_are_foreseen_each_by_itself(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        run = await submitted(house, looped)
        await house.ended(run.id)
        again = await submitted(house, looped)
        assert len(set(work_of(again).values())) == len(work_of(again)) == len(again.tasks)
        found = foreseen(ground, again)
        again = await house.ended(again.id)
        assert found == {str(key) for key, task in again.tasks.items() if task.from_cache} != set()
        other = await submitted(house, looped, parameters={"scale": 3})
        assert foreseen(ground, other) == set()
        await house.ended(other.id)


async def test_a_cache_that_does_not_answer_is_not_believed_until_it_does_again(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        await house.ended((await submitted(house, three)).id)
        assert ground.platform.may_act
        ground.double.world.cache.clear()
        run = await submitted(house, three)
        assert foreseen(ground, run) == {"first", "second", "third"}
        await house.ended(run.id)
        assert not ground.platform.may_act, "finished tasks are not known to be taken up again"
        run = await submitted(house, three)
        assert foreseen(ground, run) == set()
        run = await house.ended(run.id)
        assert all(task.from_cache for task in run.tasks.values())
        assert ground.platform.may_act
        assert foreseen(ground, await submitted(house, three)) == {"first", "second", "third"}


async def test_a_full_disk_costs_nothing_but_the_memory_over_restarts(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        (ground.folder / "kubeflow").mkdir(exist_ok=True)
        (ground.folder / "kubeflow" / "cache.txt").mkdir()
        await house.ended((await submitted(house, three)).id)
        assert foreseen(ground, await submitted(house, three)) == {"first", "second", "third"}


@pytest.mark.parametrize("content", ["", "nonsense\n", "é" * 64 + "\n", "a" * 64 + "\nb" * 64])
def test_a_file_that_is_broken_is_no_trouble(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cache.txt"
    file.write_text(content, encoding="utf-8")
    assert CacheMemory(file).is_working


async def test_after_a_restart_what_has_begun_is_no_miss_and_what_was_not_remembered_is(make: Any) -> None:
    """The server died after it had stored that tasks ended, and before their work was remembered."""
    async with make() as ground, ground.house(translate=translate) as house:
        run = await house.ended((await submitted(house, three)).id)
    memory = CacheMemory()
    assert memory.foresee(run) == frozenset()
    memory.follow(run)
    assert {str(key) for key in memory.foresee(run)} == {"first", "second", "third"}
    key = TaskKey("first")
    begun = replace(run, id="begun", tasks={**run.tasks, key: TaskRun(key, (Attempt(1, TaskState.RUNNING),))})
    memory.follow(begun)
    memory.told(begun.id, TaskSucceeded(at=run.submitted_at, key=key, attempt=1))
    assert memory.is_working, "it had begun before anybody could foresee that"
