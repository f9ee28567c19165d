"""Loops that Kubeflow expands: what their tasks were given is known afterwards, so they are learned from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlopx import Loop, component, pipeline
from server.components.caching import cache_key
from server.components.pipeline_manager import Submission
from server.connecting import translate
from server.domain.launch import arguments_of
from server.domain.resolve import BadValueError, NotYetError
from server.domain.run import Output, Run, TaskKey, TaskRun
from server.domain.states import Binding


@component
def numbers(count: int) -> list:  # type: ignore[type-arg]  # a parameter's type is written so
    return [{"value": 10 * number} for number in range(count)]


@component
def words() -> list:  # type: ignore[type-arg]  # likewise
    return ["a", "b"]


@component
def put(value: int, word: str) -> str:
    return f"{value}{word}"


@pipeline
def looped(count: int = 2):
    with Loop(numbers(count=count).output) as number, Loop(words().output) as word:
        put(value=number["value"], word=word)


async def test_what_a_task_in_loops_was_given_can_be_read_from_what_the_loops_ran_over(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        submission = Submission(looped.build(), is_caching=True)
        run = await house.ended((await house.pipeline_manager.submit(submission)).id)
        assert str(run.state) == "succeeded", run.error
        tasks = {str(key): key for key in run.tasks if key.path == "put"}
        given = {name: arguments_of(run, key) for name, key in tasks.items()}
        assert given == {
            "put.0.0": {"value": 0, "word": "a"},
            "put.0.1": {"value": 0, "word": "b"},
            "put.1.0": {"value": 10, "word": "a"},
            "put.1.1": {"value": 10, "word": "b"},
        }
        assert {name: run.tasks[key].outputs["output"].value for name, key in tasks.items()} == {
            name: f"{one['value']}{one['word']}" for name, one in given.items()
        }
        assert {cache_key(run, key) for key in tasks.values()} == {None}  # Kubeflow has a cache of its own

    run = replace(run, options=replace(run.options, binding=Binding.WHEN_READY))
    keys = {cache_key(run, key) for key in tasks.values()}
    assert len(keys) == 4
    assert None not in keys
    key = tasks["put.1.0"]
    early = replace(run, tasks={one: task for one, task in run.tasks.items() if one.path != "numbers"})
    with pytest.raises(NotYetError):
        arguments_of(early, key)
    assert cache_key(early, key) is None
    fewer = replace(run, parameters={"count": 1}, tasks={**run.tasks, **fewer_numbers(run)})
    with pytest.raises(BadValueError, match="has 1 items, and so no iteration 1"):
        arguments_of(fewer, key)


def fewer_numbers(run: Run) -> dict[TaskKey, TaskRun]:
    """The task that made the outer loop's items, as if it had made one."""
    key = TaskKey("numbers")
    return {key: replace(run.tasks[key], outputs={"output": Output(value=[{"value": 0}])})}
