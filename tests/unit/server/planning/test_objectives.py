"""What a schedule is worth under each objective; priorities stand above all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.planning.objectives import LATE_WEIGHT, OBJECTIVES, evaluate, run_costs, turnarounds
from server.planning.problem import NEVER, Network, Problem, Runs, exclusive_problem, no_edges
from server.planning.queue import Queue
from server.planning.schedule import Schedule


def a_problem(**more: object) -> Problem:
    """Three runs of one task, 10, 20 and 30 seconds, submitted 0, 5 and 100 seconds ago, on two nodes."""
    seconds = np.array([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]])
    runs = Runs(
        of_task=np.arange(3, dtype=np.int32),
        submitted=np.array([0.0, -5.0, -100.0]),
        weight=np.ones(3),
        priority=np.zeros(3, np.int32),
        deadline=np.array([NEVER, 15.0, NEVER]),
        project=np.array([0, 0, 1], np.int32),
        done_seconds=np.zeros(3),
    )
    problem = exclusive_problem(seconds, no_edges(3), Network())
    return replace(problem, runs=replace(runs, **more), price=np.array([1.0, 2.0]))  # type: ignore[arg-type]


def all_at_once() -> Schedule:
    """Tasks 0 and 1 one after the other on node 0, task 2 on node 1."""
    start = np.array([0.0, 10.0, 0.0])
    return Schedule(np.array([0, 0, 1], np.int32), np.zeros(3, np.int32), start, start + np.array([10.0, 20.0, 30.0]))


def test_each_objective_counts_what_it_says() -> None:
    problem, schedule = a_problem(), all_at_once()
    assert turnarounds(problem, schedule).tolist() == [10, 35, 130]
    assert evaluate(problem, schedule) == (pytest.approx(175 / 3),)
    assert evaluate(problem, schedule, "makespan") == (30,)
    assert evaluate(problem, schedule, "mixed") == (pytest.approx(175 / 3 + 30),)
    assert evaluate(problem, schedule, "cost") == (10 + 20 + 2 * 30,)
    assert evaluate(problem, schedule, "deadline") == (pytest.approx(175 / 3 + LATE_WEIGHT * 15 / 3),)
    slowdowns = (10 / 10 + 35 / 20) / 2, 130 / 30
    assert evaluate(problem, schedule, "fair") == (pytest.approx(sum(s**2 for s in slowdowns) / 2),)


def test_weights_count() -> None:
    problem = a_problem(weight=np.array([1.0, 1.0, 8.0]))
    assert evaluate(problem, all_at_once()) == (pytest.approx((10 + 35 + 8 * 130) / 10),)


def test_higher_priorities_come_first_in_the_figure() -> None:
    problem = a_problem(priority=np.array([0, 7, 0], np.int32))
    assert evaluate(problem, all_at_once()) == (35, (10 + 130) / 2)


def test_what_runs_already_counts_for_its_run() -> None:
    assert turnarounds(a_problem(), all_at_once(), np.array([500.0, 0.0, 0.0])).tolist() == [500, 35, 130]


def test_an_unknown_objective_is_an_error() -> None:
    with pytest.raises(KeyError, match="beauty"):
        evaluate(a_problem(), all_at_once(), "beauty")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_search_is_driven_by_costs_that_grow_with_a_runs_turnaround(objective: str) -> None:
    costs = run_costs(a_problem(), objective, np.array([10.0, 20.0, 30.0]))
    early, late = (costs.linear * x + costs.square * x**2 for x in (10.0, 20.0))
    assert (late > early).all()
    assert (costs.late[1] > 0) == (objective == "deadline")
    assert costs.late[0] == 0


def test_a_deadline_turns_the_order_that_the_search_finds() -> None:
    """The longer run goes first when only that keeps its deadline."""
    seconds = np.array([[10.0], [20.0]])
    runs = Runs(
        np.arange(2, dtype=np.int32), np.zeros(2), np.ones(2), np.zeros(2, np.int32), np.array([NEVER, 21.0]),
        np.zeros(2, np.int32), np.zeros(2),
    )  # fmt: skip
    queue = Queue(replace(exclusive_problem(seconds, no_edges(2), Network()), runs=runs))
    for objective, first in (("turnaround", 0), ("deadline", 1)):
        lines = queue.lines(run_costs(queue.problem, objective, np.array([10.0, 20.0])), np.zeros(2, np.int32))
        order, _ = queue.improved(lines, np.array([0, 1], np.int32), 50)
        assert order.runs[0] == first


def test_a_lower_priority_never_moves_ahead_of_a_higher_one() -> None:
    seconds = np.array([[50.0], [1.0], [2.0]])
    problem = a_problem(priority=np.array([5, 0, 0], np.int32), submitted=np.zeros(3))
    queue = Queue(replace(exclusive_problem(seconds, no_edges(3), Network()), runs=problem.runs))
    lines = queue.lines(run_costs(queue.problem, "turnaround", np.ones(3)), np.zeros(3, np.int32))
    order, _ = queue.improved(lines, np.array([0, 2, 1], np.int32), 100)
    assert order.runs.tolist() == [0, 1, 2]


def test_what_is_pinned_keeps_its_place() -> None:
    seconds = np.array([[50.0], [2.0], [1.0]])
    queue = Queue(
        replace(exclusive_problem(seconds, no_edges(3), Network()), runs=a_problem(submitted=np.zeros(3)).runs)
    )
    lines = queue.lines(run_costs(queue.problem, "turnaround", np.ones(3)), np.array([1, 0, 0], np.int32))
    order, _ = queue.improved(lines, np.array([0, 1, 2], np.int32), 100)
    assert order.runs.tolist() == [0, 2, 1]
