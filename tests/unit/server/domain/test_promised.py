"""What runs that were handed over whole will take later on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from mlopx import pipeline
from server.domain import events as happened
from server.domain.placement import UNKNOWN_SECONDS
from server.domain.promised import outlook
from server.domain.resources import Resources
from server.domain.run import TaskKey
from server.domain.states import Binding

Play = Callable[..., Any]
CORE = Resources(cpu_millicores=1000)


def promised(it: Any, now: datetime, reused: tuple[TaskKey, ...] = ()) -> dict[str, tuple[str, float, float]]:
    """By task: node, seconds until it begins, and until it ends."""
    found = outlook(it.run, lambda key, attempt: CORE, reused).promises(now)
    return {
        str(one.key): (one.node, (one.begins_at - now).total_seconds(), (one.ends_at - now).total_seconds())
        for one in found
    }


def placed(it: Any, at: datetime, **planned: tuple[str | None, float, float]) -> None:
    tasks = tuple(
        happened.PlannedTask(
            key=TaskKey(path),
            node=node,
            planned_start_at=at + timedelta(seconds=start),
            planned_finish_at=at + timedelta(seconds=finish),
        )
        for path, (node, start, finish) in planned.items()
    )
    it.tell(happened.RunPlaced, tasks=tasks)


def chain(play: Play, steps: Any, **more: Any) -> Any:
    step = steps["step"]

    @pipeline
    def three():
        top = step(a=1).named("top")
        middle = step(a=top.output).named("middle")
        step(a=middle.output).named("last")

    return play(three, **more)


def test_what_waits_for_others_is_promised_and_what_begins_is_not(play: Play, steps: Any) -> None:
    it = chain(play, steps, binding=Binding.AT_SUBMISSION)
    assert promised(it, it.at) == {}
    at = it.at
    placed(it, at, top=("alpha", 0, 10), middle=("beta", 10, 30), last=("alpha", 30, 35))
    assert promised(it, at) == {"middle": ("beta", 10, 30), "last": ("alpha", 30, 35)}
    it.tell(happened.RunHandedOver, platform_run_id="kfp-1")
    it.task(happened.TaskStarted, "top")
    assert set(promised(it, at)) == {"middle", "last"}
    it.task(happened.TaskSucceeded, "top")
    assert set(promised(it, at)) == {"last"}


def test_what_is_late_makes_what_follows_later(play: Play, steps: Any) -> None:
    it = chain(play, steps, binding=Binding.AT_SUBMISSION)
    at = it.at
    placed(it, at, top=("alpha", 0, 10), middle=("beta", 10, 30), last=("alpha", 30, 35))
    late = at + timedelta(seconds=100)
    assert promised(it, late) == {"middle": ("beta", 10, 30), "last": ("alpha", 30, 35)}
    it.tell(happened.RunHandedOver, platform_run_id="kfp-1")
    it.task(happened.TaskStarted, "top")
    assert promised(it, late) == {"middle": ("beta", 0, 20), "last": ("alpha", 20, 25)}


def test_what_has_no_node_or_comes_from_the_cache_is_not_promised(play: Play, steps: Any) -> None:
    it = chain(play, steps, binding=Binding.AT_SUBMISSION)
    at = it.at
    placed(it, at, top=("alpha", 0, 10), middle=(None, 10, 30), last=("alpha", 30, 35))
    assert promised(it, at) == {"last": ("alpha", 30, 35)}
    assert promised(it, at, reused=(TaskKey("last"),)) == {}


def test_without_planned_times_a_minute_is_assumed(play: Play, steps: Any) -> None:
    it = chain(play, steps, binding=Binding.AT_SUBMISSION)
    nodes = {"top": "alpha", "middle": "beta", "last": "alpha"}
    it.tell(happened.RunPlaced, tasks=tuple(happened.PlannedTask(key=TaskKey(p), node=n) for p, n in nodes.items()))
    minute = UNKNOWN_SECONDS
    assert promised(it, it.at) == {"middle": ("beta", minute, 2 * minute), "last": ("alpha", 2 * minute, 3 * minute)}


def test_tasks_that_are_bound_when_they_are_ready_are_not_promised(play: Play, steps: Any) -> None:
    it = chain(play, steps)
    it.start("top")
    assert promised(it, it.at) == {}
