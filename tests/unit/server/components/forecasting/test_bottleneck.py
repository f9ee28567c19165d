"""What a plan calls its bottleneck: seconds in which several tasks wait side by side are counted once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from server.components.forecasting.report import bottleneck, critical_path, make_report
from server.domain.placement import Placement, PlacementPlan
from server.domain.run import Attempt, TaskKey
from server.domain.states import TaskState
from server.planning.steps import Step
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task


def one(task: str, start: float, finish: float) -> Step:
    seconds = finish - start
    return Step(("r", TaskKey(task)), "a", start, finish, seconds, seconds, seconds)


def test_tasks_that_wait_for_the_same_room_wait_no_longer_than_the_whole_takes() -> None:
    steps = [one("first", 0, 30), one("second", 30, 60), one("third", 60, 90)]
    path = critical_path(steps, "r")
    assert len(path) == 3
    assert bottleneck(path, {step.key: step for step in steps}) == "room on a: 60 s of 90 s are spent waiting for it"


def test_short_tasks_in_a_row_keep_their_chain() -> None:
    names = ["first", "second", "third", "fourth"]
    steps = [one(name, index * 0.01, (index + 1) * 0.01) for index, name in enumerate(names)]
    beside = one("beside", 0.001, 0.029)
    path = critical_path([*steps, beside], "r")
    assert [step.key.path for step in path] == names
    assert [step.why for step in path] == ["", "room", "room", "room"]


def test_what_starts_at_once_waits_for_nothing_that_is_late() -> None:
    late = replace(one("late", -100, -20), is_running=True)
    assert [step.key.path for step in critical_path([late, one("next", 0.02, 40)], "r")] == ["next"]
    assert [step.key.path for step in critical_path([late, one("next", 0.05, 40)], "r")] == ["late", "next"]


def test_the_critical_path_is_told_at_the_times_that_are_foretold() -> None:
    """What runs longer than its plan allowed holds up what comes after it, by as much as the sentence says."""
    late = a_task("old", cpus=4)
    request = a_request([a_node("a", cpus=4)], [a_run("old", late), a_run("r", a_task("r", cpus=4))], seconds=10)
    began = NOW - timedelta(seconds=100)
    running = Attempt(1, TaskState.RUNNING, node="a", actual_node="a", started_at=began, planned_finish_at=NOW)
    soon = NOW + timedelta(seconds=1)
    placed = Placement("r", TaskKey("train"), "a", "default", planned_start_at=soon, planned_finish_at=soon)
    found = make_report(
        strategy="s",
        objective="turnaround",
        now=NOW,
        views=request.runs,
        attempts={late.ref: running},
        plan=PlacementPlan((placed,)),
        estimates=request.estimates,
        snapshot=request.snapshot,
        subject="r",
    )
    first, second = found.critical_path
    (bar,) = [one for one in found.bars if one.run_id == "r"]
    assert (first.run_id, second.run_id, second.why) == ("old", "r", "room")
    assert second.start_seconds == pytest.approx((bar.starts.p50 - NOW).total_seconds(), abs=0.001)
    assert second.start_seconds > 10
    assert found.makespan_seconds == pytest.approx((bar.ends.p50 - NOW).total_seconds(), abs=0.001)
