"""A request as arrays, and a schedule back as a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mlopx.spec import Preference, Requirement
from server.domain.feasibility import rejection
from server.domain.node import Occupancy
from server.domain.placement import BoundTask, PlacementRequest, TaskOption
from server.domain.run import TaskKey
from server.domain.starting import Starts, Wait
from server.planning.answering import plan_of
from server.planning.constructors import heft
from server.planning.remaining import rest_of
from server.planning.schedule import UNPLACED
from server.planning.stating import SOON_SECONDS, UNKNOWN_SECONDS, state
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts, requests


def test_equal_tasks_share_a_row_of_seconds() -> None:
    runs = [a_run(f"run-{n}", a_task(f"run-{n}")) for n in range(50)]
    problem = state(a_request([a_node("one"), a_node("two", speed=2.0)], runs, seconds=60)).problem
    assert problem.seconds.tolist() == [[60.0, 30.0]]
    assert problem.seconds.dtype == np.float32
    assert problem.row_of_mode.tolist() == [0] * 50


def test_demands_and_capacities_go_by_resource() -> None:
    runs = [a_run("a", a_task("a", cpus=2, memory_gib=3, gpus=1))]
    problem = state(a_request([a_node("one", cpus=8, gpus=4, pods=7)], runs)).problem
    assert problem.demand.tolist() == [[2000, 3 * 2**30, 1, 1]]
    assert problem.capacity.tolist() == [[8000, 16 * 2**30, 7, 4]]


def test_options_are_modes() -> None:
    options = (TaskOption("gpu", amounts(gpus=1)), TaskOption("cpu", amounts(cpus=4)))
    runs = [a_run("a", a_task("a", options=options))]
    problem = state(a_request([a_node("plain"), a_node("gpu", cpus=2, gpus=1)], runs)).problem
    assert problem.first_mode.tolist() == [0, 2]
    assert np.isfinite(problem.seconds[problem.row_of_mode]).tolist() == [[False, True], [True, False]]


def test_a_node_that_misses_a_wish_is_taken_as_slower_and_planned_as_it_is() -> None:
    wish = (Preference(weight=100, requirement=Requirement(label="disk", values=("ssd",))),)
    nodes = [a_node("one"), a_node("ssd", labels={"disk": "ssd"})]
    statement = state(a_request(nodes, [a_run("a", a_task("a", preferences=wish))], seconds=60))
    assert statement.problem.seconds.tolist() == [[90.0, 60.0]]
    assert statement.medians.tolist() == [[60.0, 60.0]]


def test_what_waits_for_a_running_task_is_released_when_that_ends() -> None:
    ends = NOW + timedelta(seconds=40)
    bound = BoundTask("a", TaskKey("running"), "one", "default", amounts(), None, ends)
    tasks = (a_task("a", "y", waits_for=["running"]), a_task("a", "z", is_ready=False), a_task("a", "x"))
    problem = state(a_request([a_node("one")], [a_run("a", *tasks, bound=(bound,))])).problem
    assert problem.release.tolist() == [40.0, SOON_SECONDS, 0.0]


def test_unknown_ends_are_guessed_for_our_own_tasks_and_never_for_strangers() -> None:
    held = [Occupancy("one", amounts(), "a", "x"), Occupancy("one", amounts())]
    problem = state(a_request([a_node("one")], [a_run("a", a_task("a"))], occupancies=held)).problem
    assert problem.held.until.tolist() == [UNKNOWN_SECONDS, np.inf]


def test_runs_carry_what_objectives_need() -> None:
    began = NOW - timedelta(seconds=30)
    bound = BoundTask("a", TaskKey("x"), "one", "default", amounts(), began, NOW + timedelta(seconds=9))
    late = NOW + timedelta(seconds=77)
    run = a_run(
        "a", a_task("a"), bound=(bound,), submitted_seconds_ago=50, priority=3, deadline_at=late, done_seconds=5.0
    )
    runs = state(a_request([a_node("one", price_per_hour=7.2)], [run])).problem.runs
    figures = (runs.submitted[0], runs.priority[0], runs.deadline[0], runs.done_seconds[0])
    assert figures == (-50, 3, 77, 35)


def test_prices_are_per_second_and_a_missing_one_is_the_dearest() -> None:
    nodes = [a_node("one", price_per_hour=7.2), a_node("two", price_per_hour=3.6), a_node("three")]
    price = state(a_request(nodes, [a_run("a", a_task("a"))])).problem.price
    assert price is not None
    assert price.tolist() == pytest.approx([0.002, 0.001, 0.002])


def test_bands_become_spreads() -> None:
    request = a_request([a_node("one")], [a_run("a", a_task("a"))], seconds=60)
    spread = state(request).problem.spread
    assert spread is not None
    assert spread[0, 0] == pytest.approx(np.log(2) / 2.5631, rel=1e-3)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_a_mode_has_seconds_exactly_where_the_task_can_run(request: PlacementRequest) -> None:
    statement = state(request)
    problem, nodes = statement.problem, request.snapshot.nodes
    for task, waiting in enumerate(statement.tasks):
        modes = range(problem.first_mode[task], problem.first_mode[task + 1])
        assert [statement.options[mode] for mode in modes] == list(waiting.options)
        for mode in modes:
            for index in np.flatnonzero(np.isfinite(problem.seconds[problem.row_of_mode[mode]])):
                assert rejection(waiting, statement.options[mode], nodes[index]) is None
        can = any(rejection(waiting, option, node) is None for option in waiting.options for node in nodes)
        rows = problem.seconds[problem.row_of_mode[modes.start : modes.stop]]
        assert bool(np.isfinite(rows).any()) == can


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_a_schedule_comes_back_as_a_plan(request: PlacementRequest) -> None:
    statement = state(request)
    if not request.snapshot.nodes or not statement.tasks:
        return
    schedule = heft(statement.problem)
    plan = plan_of(statement, schedule, str)
    number = {task.ref: index for index, task in enumerate(statement.tasks)}
    assert len(plan.placements) == int((schedule.node != UNPLACED).sum())
    for placed in plan.placements:
        task = number[(placed.run_id, placed.key)]
        assert placed.node == request.snapshot.nodes[schedule.node[task]].name
        assert placed.option == statement.tasks[task].options[schedule.mode[task]].name
        expected = request.estimates.seconds((placed.run_id, placed.key), placed.node, placed.option)
        assert placed.planned_start_at is not None
        assert placed.planned_finish_at is not None
        took = (placed.planned_finish_at - placed.planned_start_at).total_seconds()
        assert took == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_what_runs_is_expected_to_end_as_planned_at_first_and_later_and_later() -> None:
    rests = [rest_of(100.0 - elapsed, elapsed, 0.6) for elapsed in (0.0, 50.0, 100.0, 200.0, 400.0)]
    assert rests[0] == 100.0
    assert rests[1] > 50.0
    assert 20 < rests[2] < rests[3] < rests[4]


def test_without_a_spread_or_a_start_the_plan_is_all_there_is() -> None:
    assert rest_of(30.0, 70.0, 0.0) == 30.0
    assert rest_of(30.0, None, 0.6) == 30.0
    assert rest_of(-90.0, None, 0.6) == 45.0
    assert rest_of(-0.1, None, 0.6) == 1.0


def test_a_request_without_tasks_or_nodes_is_stated_too() -> None:
    empty = a_request([], [a_run("a", a_task("a"))])
    assert state(empty).problem.seconds.shape == (1, 0)
    assert state(replace(empty, runs=())).problem.task_count == 0


def test_what_must_be_pulled_makes_a_task_longer_there() -> None:
    task = a_task("a")
    tasks = [
        replace(task, key=TaskKey(image), options=(replace(task.options[0], image=image),)) for image in ("x", "y")
    ]
    asked = a_request([a_node("one"), a_node("two")], [a_run("a", *tasks)], seconds=60)
    starts = Starts(Wait(2, 1, 3), {"x": {"two": Wait(30, 20, 40)}})
    problem = state(replace(asked, estimates=replace(asked.estimates, starts=starts))).problem
    assert problem.seconds[problem.row_of_mode].tolist() == [[62.0, 92.0], [62.0, 62.0]]
