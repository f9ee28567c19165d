"""What holds room on nodes while a platform has the whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlopx import If, on_exit, pipeline
from server.domain import events as happened
from server.domain.run import TaskKey
from server.domain.states import Binding
from server.domain.underway import underway

Play = Callable[..., Any]


def placed(it: Any, **nodes: str | None) -> None:
    planned = tuple(happened.PlannedTask(key=TaskKey(path), node=node) for path, node in nodes.items())
    it.tell(happened.RunPlaced, tasks=planned)


def held(it: Any, reused: tuple[TaskKey, ...] = ()) -> dict[str, str | None]:
    return {str(key): attempt.node for key, attempt in underway(it.run, reused)}


def test_what_the_platform_is_about_to_begin_holds_its_node_before_it_says_so(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def chain():
        top = step(a=1).named("top")
        step(a=top.output).named("next")
        step(a=2).named("anywhere")

    it = play(chain, binding=Binding.AT_SUBMISSION)
    assert held(it) == {}
    placed(it, top="alpha", next="beta", anywhere=None)
    assert held(it) == {"top": "alpha"}
    assert held(it, reused=(TaskKey("top"),)) == {}
    it.tell(happened.RunHandedOver, platform_run_id="kfp-1")
    assert held(it) == {"top": "alpha"}
    it.task(happened.TaskStarted, "top")
    assert held(it) == {"top": "alpha"}
    it.task(happened.TaskSucceeded, "top")
    assert held(it) == {"next": "beta"}


def test_a_run_that_ended_holds_nothing(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step(a=1).named("top")

    it = play(short, binding=Binding.AT_SUBMISSION)
    placed(it, top="alpha")
    it.tell(happened.RunHandedOver, platform_run_id="kfp-1")
    it.task(happened.TaskStarted, "top")
    it.task(happened.TaskSucceeded, "top")
    assert held(it) == {}


def test_what_may_never_begin_holds_nothing_until_it_does(play: Play, steps: Any) -> None:
    step, tell = steps["step"], steps["tell"]

    @pipeline
    def branching():
        on_exit(tell(state="over").named("last"))
        top = step(a=1).named("top")
        with If(top.output == 7):
            step(a=2).named("perhaps")

    it = play(branching, binding=Binding.AT_SUBMISSION)
    placed(it, top="alpha", perhaps="beta", last="gamma")
    assert held(it) == {"top": "alpha"}
    it.tell(happened.RunHandedOver, platform_run_id="kfp-1")
    it.task(happened.TaskStarted, "top")
    it.task(happened.TaskSucceeded, "top")
    assert held(it) == {}
    it.task(happened.TaskStarted, "perhaps")
    assert held(it) == {"perhaps": "beta"}


def test_tasks_that_get_their_node_when_they_are_ready_hold_none_before(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step(a=1).named("top")

    it = play(short)
    assert held(it) == {}
    it.start("top")
    assert held(it) == {"top": "alpha"}
