"""A retry on Kubeflow: its own cache reuses; a task that is asked for anew is kept from that; the rest is said."""

from __future__ import annotations

from typing import Any

import pytest

from mlopx import component, pipeline
from server.components.pipeline_manager import Submission
from server.connecting import translate
from server.domain.errors import NotFoundError
from server.domain.run import Run
from server.platforms.interface import ForeignFile
from server.platforms.kubeflow.adopting import adopt, uncached
from server.platforms.kubeflow.compiler import original, without_cache
from server.platforms.kubeflow.reading import read_pipeline
from server.testing.compiled import a_container, a_pipeline, a_task


@component
def step(a: int = 0) -> int:
    return a + 1


@pipeline
def chain():
    first = step(a=1).named("first")
    second = step(a=first.output).named("second")
    step(a=second.output).named("third")
    step(a=5).named("beside").cache(False)


def cached(run: Run) -> dict[str, bool]:
    return {str(key): task.from_cache for key, task in run.tasks.items()}


async def test_from_a_task_on_all_runs_anew_and_the_rest_comes_from_kubeflows_cache(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        old = await house.ended((await house.pipeline_manager.submit(Submission(chain.build(), is_caching=True))).id)
        with pytest.raises(NotFoundError, match="no task 'gone'"):
            await house.pipeline_manager.retry(old.id, from_task="gone")
        retried = await house.pipeline_manager.retry(old.id, from_task="second")
        assert not any(task.from_cache for task in retried.run.tasks.values()), "nothing is believed before it is seen"
        run = await house.ended(retried.run.id)
        plain = await house.pipeline_manager.retry(run.id)
        assert plain.run.options.anew == (), "what was asked for once is not asked for for ever"
        plain_run = await house.ended(plain.run.id)
    assert cached(run) == {"first": True, "second": False, "third": False, "beside": False}
    assert retried.notes == plain.notes
    assert retried.notes == (
        "task beside is finished and not cached: it runs again, since the platform reuses by its own cache only",
    )
    assert cached(plain_run) == {"first": True, "second": True, "third": True, "beside": False}


SHARED = a_pipeline(
    {
        "one": a_task("comp-in", cachingOptions={"enableCache": True}),
        "two": a_task("comp-work", "one", cachingOptions={"enableCache": True}),
    },
    {
        "comp-in": {"dag": {"tasks": {"deep": a_task("comp-work", cachingOptions={"enableCache": True})}}},
        "comp-work": {},
    },
    {"exec-work": a_container(command=["python3", "-c", "print('done')"])},
)


def test_tasks_of_others_are_kept_from_the_cache_one_by_one() -> None:
    spec = adopt(SHARED, "flow.yaml")
    found = original(without_cache(spec, ["one/deep"])).pipeline
    assert {path: task.is_cached for path, task in found.tasks.items()} == {"one/deep": False, "two": True}
    found = original(without_cache(spec, ["two"])).pipeline
    assert {path: task.is_cached for path, task in found.tasks.items()} == {"one/deep": True, "two": False}
    assert not any(task.is_cached for task in original(without_cache(spec)).pipeline.tasks.values())
    assert original(spec).pipeline.documents.text == SHARED
    assert uncached(read_pipeline(SHARED).documents.pipeline, []) == read_pipeline(SHARED).documents.pipeline


async def test_a_pipeline_of_others_is_tried_again_from_a_task_on(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        file = ForeignFile("flow.yaml", SHARED.encode())
        old = await house.ended((await house.pipeline_manager.submit(Submission(file, is_caching=True))).id)
        retried = await house.pipeline_manager.retry(old.id, from_task="two")
        run = await house.ended(retried.run.id)
    assert retried.notes == ()
    assert cached(run) == {"one/deep": True, "two": False}
