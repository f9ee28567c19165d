"""What a plan calls its bottleneck: seconds in which several tasks wait side by side are counted once."""

from __future__ import annotations

from server.components.forecasting.report import bottleneck, critical_path
from server.domain.run import TaskKey
from server.planning.steps import Step


def one(task: str, start: float, finish: float) -> Step:
    seconds = finish - start
    return Step(("r", TaskKey(task)), "a", start, finish, seconds, seconds, seconds)


def test_tasks_that_wait_for_the_same_room_wait_no_longer_than_the_whole_takes() -> None:
    steps = [one("first", 0, 30), one("second", 30, 60), one("third", 60, 90)]
    path = critical_path(steps, "r")
    assert len(path) == 3
    assert bottleneck(path, {step.key: step for step in steps}) == "room on a: 60 s of 90 s are spent waiting for it"
