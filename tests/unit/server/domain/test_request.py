"""What a waiting task shows of its arguments to those who predict its run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlopx import Loop, component, pipeline
from server.domain.request import one_cpu_defaults, waiting_run


@component
def train(depth: int, model: str, seed: int = 0, items: list = [], note: str = "") -> int:  # noqa: B006 - a default in a definition
    return depth


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
