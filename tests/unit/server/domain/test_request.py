"""What a waiting task shows of its arguments to those who predict its run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlopx import Dataset, Else, If, Input, Loop, Output, collect, component, one_of, pipeline
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


def test_a_whole_number_that_an_earlier_task_gave_back_is_shown_once_it_is_known(play: Callable[..., Any]) -> None:
    @component
    def count() -> int:
        return 500

    @component
    def measure() -> float:
        return 0.25

    @component
    def learn(rows: int, share: float): ...

    @pipeline
    def counted():
        learn(rows=count().output, share=measure().output)

    player = play(counted)
    assert parameters(player.run)["learn"] == {}
    player.succeed("count", 500)
    player.succeed("measure", 0.25)
    assert parameters(player.run) == {"learn": {"rows": 500}}


def test_what_went_into_a_tasks_inputs_is_known_before_they_are(play: Callable[..., Any]) -> None:
    @component
    def load(rows: int) -> int:
        return rows

    @component
    def split(rows: int, share: float, seed: int) -> int:
        return rows

    @component
    def learn(rows: int, depth: int) -> int:
        return rows

    @component
    def gather(values: list) -> int:
        return len(values)

    @pipeline
    def chained(rows: int = 10, share: float = 0.5, depth: int = 3, note: str = "unused"):
        parts = split(rows=load(rows=rows).output, share=share, seed=7)
        with Loop([1, 2]) as size:
            tried = learn(rows=parts.output, depth=size).named("tried")
            learn(rows=tried.output, depth=depth)
        gather(values=collect(tried.outputs["output"]))

    def seen(player: Any) -> dict[str, Any]:
        return {str(one.key): (dict(one.given), one.is_input_known) for one in waiting_run(player.run, free).tasks}

    free, player = one_cpu_defaults, play(chained, rows=500)
    assert seen(player) == {
        "load": ({}, True),
        "split": ({"rows": 500}, False),
        "tried.0": ({"rows": 500, "share": 0.5}, False),
        "tried.1": ({"rows": 500, "share": 0.5}, False),
        "learn.0": ({"rows": 500, "share": 0.5, "loop-1.item": 1}, False),
        "learn.1": ({"rows": 500, "share": 0.5, "loop-1.item": 2}, False),
        "gather": ({"rows": 500, "share": 0.5}, False),
    }
    player.succeed("load", 500)
    player.succeed("split", 250)
    player.succeed("tried.0", 250)
    assert {name: known for name, (_, known) in seen(player).items()} == {
        "tried.1": True,
        "learn.0": True,
        "learn.1": False,
        "gather": False,
    }


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


@component
def split(train: Output[Dataset], test: Output[Dataset]) -> int:
    return 1


@component
def use(one: Input[Dataset], other: Input[Dataset]) -> int:
    return 1


@component
def use_all(all_of_them: list[Input[Dataset]]) -> int:
    return 1


def handed(player: Any) -> dict[str, tuple[float, dict[str, float]]]:
    tasks = waiting_run(player.run, one_cpu_defaults).tasks
    return {str(one.key): (one.input_bytes, {str(key): size for key, size in one.edge_bytes.items()}) for one in tasks}


def test_only_what_its_arguments_name_is_handed_over_to_a_task(play: Callable[..., Any]) -> None:
    @pipeline
    def parts():
        both = split()
        use(one=both.outputs["train"], other=both.outputs["train"]).named("twice")
        use(one=both.outputs["train"], other=both.outputs["test"]).named("each")
        train(depth=both.outputs["output"], model="tree").named("a-number")
        train(depth=1, model="tree").after(both).named("later")

    player = play(parts)
    assert handed(player)["each"] == (0.0, {})
    player.write("split", train=900, test=100)
    assert handed(player) == {
        "twice": (900.0, {"split": 900.0}),
        "each": (1000.0, {"split": 1000.0}),
        "a-number": (0.0, {}),
        "later": (0.0, {}),
    }


def test_what_a_loop_collects_is_handed_over_and_of_branches_the_one_that_ran(play: Callable[..., Any]) -> None:
    @pipeline
    def ways():
        with Loop([1, 2]):
            inner = split().named("inner")
        use_all(all_of_them=collect(inner.outputs["train"]))
        first = split().named("first")
        with If(first.outputs["output"] == 1):
            yes = split().named("yes")
        with Else():
            no = split().named("no")
        chosen = one_of(yes.outputs["test"], no.outputs["test"])
        use(one=chosen, other=first.outputs["train"])

    player = play(ways)
    player.write("inner.0", train=10, test=1)
    player.write("inner.1", train=20, test=1)
    player.write("first", train=5, test=1)
    player.write("yes", train=7, test=3)
    found = handed(player)
    assert found["use-all"] == (30.0, {"inner.0": 10.0, "inner.1": 20.0})
    assert found["use"] == (8.0, {"yes": 3.0, "first": 5.0})
