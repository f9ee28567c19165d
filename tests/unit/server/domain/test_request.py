"""What a waiting task shows of its arguments to those who predict its run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlopx import Loop, component, pipeline
from server.domain.request import one_cpu_defaults, requests_of, waiting_run, waiting_task
from server.domain.run import TaskKey, TaskRun


@component
def train(depth: int, model: str, seed: int = 0, items: list = [], note: str = "") -> int:  # noqa: B006 - a default in a definition
    return depth


@component
def fit(setting: dict) -> int:
    return len(setting)


def parameters(run: Any) -> dict[str, Any]:
    return {str(task.key): dict(task.parameters) for task in waiting_run(run, one_cpu_defaults).tasks}


def test_numbers_and_short_words_are_shown_and_nothing_else(play: Callable[..., Any]) -> None:
    @pipeline
    def one(depth: int = 3):
        train(depth=depth, model="forest", seed=7, items=[1, 2], note="x" * 100)

    assert parameters(play(one, depth=5).run) == {"train": {"depth": 5, "model": "forest"}}


def test_what_a_loop_gives_is_shown_and_what_is_not_known_yet_is_not(play: Callable[..., Any]) -> None:
    @pipeline
    def sweep():
        with Loop([2, 4]) as depth:
            first = train(depth=depth, model="tree").named("first")
            train(depth=first.output, model="tree").named("second")

    found = parameters(play(sweep).run)
    assert found["first.0"] == {"depth": 2, "model": "tree"}
    assert found["first.1"] == {"depth": 4, "model": "tree"}
    assert found["second.0"] == {"model": "tree"}


def test_each_value_of_a_setting_is_shown_by_its_own_name(play: Callable[..., Any]) -> None:
    settings = [
        {"depth": 2, "kind": "tree", "seed": 1, "more": {"a": 1}, "note": "x" * 100},
        {"depth": 4, "kind": "forest"},
    ]

    @pipeline
    def tried():
        with Loop(settings) as setting:
            fit(setting=setting)

    found = parameters(play(tried).run)
    assert found["fit.0"] == {"setting.depth": 2, "setting.kind": "tree"}
    assert found["fit.1"] == {"setting.depth": 4, "setting.kind": "forest"}


def test_a_retry_after_running_out_of_memory_asks_for_more_and_then_for_no_more(play: Callable[..., Any]) -> None:
    @pipeline
    def hungry():
        train(depth=1, model="tree").request(memory="1Gi").retry(9)

    def asked(player: Any) -> float:
        (task,) = waiting_run(player.run, one_cpu_defaults).tasks
        key = TaskKey("train")
        assert requests_of(player.run, key, None, one_cpu_defaults) == task.options[0].requests
        return task.options[0].requests.memory_bytes / 2**30

    player = play(hungry)
    found = [asked(player)]
    for kind in ("user-code", "oom", "oom", "oom"):
        player.fail("train", kind=kind)
        found.append(asked(player))
    assert found == pytest.approx([1.0, 1.0, 1.5, 2.25, 2.25])


def test_a_task_without_a_memory_request_keeps_to_none_after_running_out(play: Callable[..., Any]) -> None:
    @pipeline
    def careless():
        train(depth=1, model="tree").retry(2)

    player = play(careless)
    player.fail("train", kind="oom")
    (task,) = waiting_run(player.run, one_cpu_defaults).tasks
    assert task.options[0].requests.memory_bytes == 0


def test_iterations_that_a_loops_width_keeps_back_wait_for_earlier_ones(play: Callable[..., Any]) -> None:
    @pipeline
    def narrow():
        with Loop([1, 2, 3, 4, 5], width=2) as depth:
            first = train(depth=depth, model="tree").named("first")
            train(depth=first.output, model="tree").named("second")

    def waits(player: Any) -> dict[str, list[str]]:
        tasks = waiting_run(player.run, one_cpu_defaults).tasks
        return {str(task.key): [str(key) for key in task.waits_for] for task in tasks}

    player = play(narrow)
    found = waits(player)
    assert found["first.0"] == found["first.1"] == []
    assert found["second.1"] == ["first.1"]
    assert found["first.2"] == ["first.0", "second.0"]
    assert found["second.3"] == ["first.3", "first.1", "second.1"]
    assert found["first.4"] == ["first.2", "second.2"]
    player.succeed("first.1")
    player.succeed("second.1")
    found = waits(player)
    assert found["first.2"] == []
    assert found["first.3"] == ["first.0", "second.0"]
    assert found["first.4"] == ["first.2", "second.2"]


def test_iterations_without_a_width_wait_for_no_other(play: Callable[..., Any]) -> None:
    @pipeline
    def wide():
        with Loop([1, 2, 3]) as depth:
            train(depth=depth, model="tree")

    assert all(not task.waits_for for task in waiting_run(play(wide).run, one_cpu_defaults).tasks)


def test_iterations_that_are_not_known_yet_wait_for_no_turn(play: Callable[..., Any]) -> None:
    @pipeline
    def narrow():
        with Loop([1, 2, 3], width=1) as depth:
            train(depth=depth, model="tree").named("turn")

    asked = waiting_task(play(narrow).run, TaskRun(TaskKey("turn")), one_cpu_defaults)
    assert asked.waits_for == ()
