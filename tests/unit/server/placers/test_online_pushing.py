"""`online` on nodes that run tasks side by side: whose ready tasks start now in room that others keep for later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from server.domain.node import Occupancy
from server.domain.placement import BoundTask, Estimate, PlacementRequest, TaskOption, WaitingRun
from server.domain.run import TaskKey
from server.placers.online import Online
from server.planning.announcing import announced_modes
from server.planning.checking import flaws
from server.planning.objectives import RunCosts, run_costs, turnarounds
from server.planning.problem import Floats
from server.planning.queue import Order, Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement, state
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts, requests

FAST, OTHER = (a_node(name, cpus=8, gpus=1) for name in ("fast", "other"))


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def prepared_in(seconds: float, priority: int = 0) -> tuple[WaitingRun, Occupancy]:
    """A run that trains 900 seconds on a GPU once its preparation, which runs on `other`, has ended."""
    train = a_task("first", "train", gpus=1, waits_for=["prepare"])
    bound = BoundTask("first", TaskKey("prepare"), "other", "default", amounts(), NOW, NOW + after(seconds))
    held = Occupancy("other", amounts(), "first", "prepare", NOW + after(seconds))
    return a_run("first", train, bound=(bound,), priority=priority), held


def a_second(seconds: float) -> tuple[WaitingRun, dict[tuple[str, str], float]]:
    """A run that has prepared already, and what training takes on both nodes; it ends far later than the first's."""
    table = {("train", "fast"): 900.0, ("train", "other"): 900.0}
    table |= {("tune", "fast"): seconds, ("tune", "other"): seconds}
    return a_run("second", a_task("second", "tune", gpus=1), done_seconds=60.0), table


def starts(request: PlacementRequest) -> dict[str, float]:
    rows = tuple(tuple(Estimate(one.p50, one.p50, one.p50) for one in row) for row in request.estimates.table)
    plan = Online().place(replace(request, estimates=replace(request.estimates, table=rows)))
    assert all(placed.planned_start_at for placed in plan.placements)
    return {one.run_id: (one.planned_start_at - NOW).total_seconds() for one in plan.placements if one.planned_start_at}


@pytest.mark.parametrize(
    ("frees_at", "expected"),
    [(290, {"first": 300, "second": 0}), (400, {"first": 300, "second": 400})],
    ids=["costs nothing", "would delay the higher priority"],
)
def test_a_gpu_is_kept_for_a_higher_priority_only_where_starting_another_now_would_delay_it(
    frees_at: float, expected: dict[str, float]
) -> None:
    """Run by run the first takes `fast` from second 300 on, and the second waits for `other` in any case."""
    first, held = prepared_in(300, priority=1)
    second, table = a_second(2000)
    takes_gpu = Occupancy("other", amounts(gpus=1), "x", "y", NOW + after(frees_at))
    request = a_request([FAST, OTHER], [first, second], seconds=table, occupancies=[held, takes_gpu])
    assert starts(request) == expected


def test_a_gpu_is_kept_for_a_short_task_that_is_about_to_need_it() -> None:
    first, held = prepared_in(2)
    second, table = a_second(20_000)
    takes_gpu = Occupancy("other", amounts(gpus=1), "x", "y", NOW + after(90_000))
    request = a_request([FAST, OTHER], [second, first], seconds=table, occupancies=[held, takes_gpu])
    assert starts(request) == {"first": 2, "second": 902}


def modes(*runs: WaitingRun, cpus: float = 8) -> list[int]:
    return announced_modes(state(a_request([a_node("n", cpus=cpus, gpus=1)], runs))).tolist()


def test_only_accelerators_that_no_run_begins_with_are_announced() -> None:
    first, _ = prepared_in(10)
    second, _ = a_second(10)
    either = (TaskOption("cpu", amounts()), TaskOption("gpu", amounts(gpus=1)))
    begins = a_run("third", a_task("third", "train", options=either))
    running = BoundTask("fourth", TaskKey("x"), "n", "default", amounts(gpus=1), NOW, None)
    begun = a_run("fourth", a_task("fourth", waits_for=["x"]), bound=(running,))
    assert modes(first, second) == [1, 1]
    assert modes(first, replace(begins, done_seconds=1.0)) == [1, 0, 1]
    assert modes(second) == [0]
    assert modes(begins, second) == [0, 0, 0]
    assert modes(begun, second) == [0, 0]
    assert modes(first, second, cpus=1) == [0, 0]


def costs_of(statement: Statement, costs: RunCosts, schedule: Schedule) -> Floats:
    """[k] what the runs cost; what has no place counts for nothing."""
    problem = statement.problem
    elapsed = turnarounds(problem, schedule, np.maximum(statement.finish_of_bound, 0.0))
    late = np.maximum(elapsed + problem.runs.submitted - problem.runs.deadline, 0.0)
    found: Floats = costs.linear * elapsed + costs.square * elapsed**2 + costs.late * late
    return found


def begun(request: PlacementRequest) -> tuple[Statement, Queue, Order, RunCosts]:
    """The runs by priority; everything may push in."""
    statement = state(request)
    problem = replace(statement.problem, spread=None)
    assume(statement.tasks and request.snapshot.nodes and not problem.is_exclusive)
    queue = Queue(problem, np.maximum(statement.finish_of_bound, 0.0))
    runs = np.argsort(-problem.runs.priority, kind="stable").astype(np.int32)
    order = Order(runs, np.zeros(len(runs), np.int32), np.ones(len(problem.row_of_mode), np.int32))
    costs = run_costs(problem, "turnaround", np.maximum(queue.outline.path, 1.0))
    return replace(statement, problem=problem), queue, order, costs


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(requests())
def test_no_priority_is_worse_off_for_who_pushes_in(request: PlacementRequest) -> None:
    """The first priority whose cost changes is better off; the search's cost is that of the schedule it ends with."""
    statement, queue, order, costs = begun(request)
    lines = queue.lines(costs, np.zeros(len(order.runs), np.int32))
    found, cost = queue.improved(lines, order.runs, 30, order.may_push)
    before, now = (costs_of(statement, costs, queue.by_runs(one)) for one in (order, found))
    assert cost == pytest.approx(now.sum(), rel=1e-6, abs=1e-6)
    for level in sorted(set(statement.problem.runs.priority.tolist()), reverse=True):
        own, first = (each[statement.problem.runs.priority == level].sum() for each in (now, before))
        assert own <= first + 1e-6 * abs(first)
        if own < first - 1e-6 * abs(first):
            break


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(requests(), st.data())
def test_schedules_are_sound_whoever_pushes_in(request: PlacementRequest, data: st.DataObject) -> None:
    statement, queue, order, _ = begun(request)
    pushes = np.array([data.draw(st.booleans()) for _ in order.runs], np.int32)
    assert flaws(statement.problem, queue.by_runs(replace(order, pushes=pushes))) == []
