"""The checker: sound schedules pass, and every way of breaking a problem is named."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.planning.checking import can_run, flaws
from server.planning.problem import NEVER, Held, Network, Problem, Promised, exclusive_problem
from server.planning.schedule import UNPLACED, Schedule
from server.testing.small_problems import as_early_as_possible, edges_of, problems


def a_problem(**changes: Any) -> Problem:
    """Two tasks in a row, 4 bytes apart at half a second a byte; `b` cannot run the second task."""
    seconds = np.array([[2.0, 3.0], [5.0, NEVER]])
    made = exclusive_problem(
        seconds,
        edges_of(2, {(0, 1): 4.0}),
        Network(uniform=0.5),
        task_names=("load", "train"),
        node_names=("a", "b"),
    )
    return dataclasses.replace(made, **changes)


def a_schedule(**changes: Any) -> Schedule:
    """The first task on `b`, the second on `a` when its data has come."""
    sound = Schedule(np.array([1, 0], np.int32), np.zeros(2, np.int32), np.array([0.0, 5.0]), np.array([3.0, 10.0]))
    return dataclasses.replace(sound, **changes)


def test_a_sound_schedule_has_no_flaws() -> None:
    assert flaws(a_problem(), a_schedule()) == []


@given(problem=problems(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_schedules_made_by_trying_have_no_flaws(problem: Problem, data: st.DataObject) -> None:
    order = tuple(range(problem.task_count))
    chosen = tuple(
        data.draw(st.sampled_from(list(zip(*can_run(problem, task), strict=True))), label=f"task {task}")
        for task in order
    )
    assert flaws(problem, as_early_as_possible(problem, order, chosen)) == []


@given(problem=problems(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_task_of_such_a_schedule_can_start_earlier(problem: Problem, data: st.DataObject) -> None:
    order = tuple(range(problem.task_count))
    chosen = tuple(next(zip(*can_run(problem, task), strict=True)) for task in order)
    made = as_early_as_possible(problem, order, chosen)
    task = data.draw(st.integers(0, problem.task_count - 1))
    start, finish = made.start.copy(), made.finish.copy()
    start[task] -= 0.125
    finish[task] -= 0.125
    assert flaws(problem, dataclasses.replace(made, start=start, finish=finish))


CHANGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {},
        {"node": np.array([1, -1], np.int32), "start": np.array([0, NEVER]), "finish": np.array([3, NEVER])},
        "task train is not placed, although node a can run it",
    ),
    ({}, {"node": np.array([1, -1], np.int32)}, "task train is not placed, yet has a finish"),
    ({}, {"node": np.array([1, 2], np.int32)}, "task train is placed on node 2, and nodes are 0 to 1"),
    ({}, {"mode": np.array([0, 1], np.int32)}, "task train takes mode 1, and it has 1"),
    ({}, {"node": np.array([0, 1], np.int32)}, "task train is placed on node b, which cannot run it in mode 0"),
    ({}, {"finish": np.array([3.0, NEVER])}, "task train is placed without a finite start and finish"),
    ({}, {"finish": np.array([3.0, 11.0])}, "task train is planned for 6 s on node a and takes 5 s there"),
    ({"release": np.array([1.0, 0.0])}, {}, "task load starts at 0 s, before it is released (1 s)"),
    ({"opens": np.array([6.0, 0.0])}, {}, "task train starts at 5 s, before node a opens (6 s)"),
    (
        {},
        {"start": np.array([0.0, 4.0]), "finish": np.array([3.0, 9.0])},
        "task train starts at 4 s, before the output of task load can have come from node b (5 s)",
    ),
    (
        {"inputs": edges_of(2, {(0, 0): 8.0})},
        {},
        "task load starts at 0 s, before its input can have come from node a (4 s)",
    ),
    (
        {},
        {"start": np.array([-3.0, 5.0]), "finish": np.array([0.0, 10.0])},
        "task load starts at -3 s, before the plan begins (0 s)",
    ),
    (
        {"held": Held(np.array([0], np.int32), np.ones((1, 1)), np.array([5.5]))},
        {},
        "node a is overfull at 5 s, when task train starts: 2 of resource 0 is in use, of 1",
    ),
    (
        {"promised": Promised(np.array([0], np.int32), np.ones((1, 1)), np.array([4.0]), np.array([5.5]))},
        {},
        "node a is overfull at 5 s, when task train starts: 2 of resource 0 is in use, of 1",
    ),
    ({"demand": np.array([[1.0], [2.0]])}, {}, "task train is placed on node a, which cannot run it in mode 0"),
]


@pytest.mark.parametrize(("problem", "schedule", "said"), CHANGES, ids=[said for *_, said in CHANGES])
def test_every_flaw_is_named(problem: dict[str, Any], schedule: dict[str, Any], said: str) -> None:
    assert flaws(a_problem(**problem), a_schedule(**schedule))[-1:] == [said]


def test_two_tasks_at_once_on_an_exclusive_node_are_too_many() -> None:
    problem = a_problem(edges=edges_of(2, {}))
    made = Schedule(np.zeros(2, np.int32), np.zeros(2, np.int32), np.array([0.0, 1.0]), np.array([2.0, 6.0]))
    assert flaws(problem, made) == [
        "node a is overfull at 1 s, when task train starts: 2 of resource 0 is in use, of 1"
    ]


def test_a_task_that_asks_for_nothing_of_a_full_resource_may_run() -> None:
    problem = a_problem(
        demand=np.array([[1.0, 0.0], [1.0, 0.0]]),
        capacity=np.array([[1.0, 1.0], [1.0, 1.0]]),
        held=Held(np.array([0], np.int32), np.array([[0.0, 9.0]]), np.array([NEVER])),
    )
    assert flaws(problem, a_schedule()) == []


def test_what_nothing_can_run_may_stay_unplaced() -> None:
    left_out = {"node": np.full(2, UNPLACED, np.int32), "start": np.full(2, NEVER), "finish": np.full(2, NEVER)}
    for change in (
        {"seconds": np.array([[NEVER, NEVER], [5.0, 5.0]])},
        {"release": np.array([NEVER, 0.0])},
        {"held": Held(np.array([0, 1], np.int32), np.ones((2, 1)), np.full(2, NEVER))},
        {"opens": np.full(2, NEVER)},
    ):
        assert flaws(a_problem(**change), a_schedule(**left_out)) == []
    assert len(flaws(a_problem(), a_schedule(**left_out))) == 1


def test_nothing_is_late_by_rounding_alone() -> None:
    tenth = a_problem(seconds=np.array([[0.1, 0.1], [0.2, NEVER]]), network=Network())
    made = Schedule(np.array([1, 0], np.int32), np.zeros(2, np.int32), np.array([0.2, 0.3]), np.array([0.3, 0.5]))
    assert flaws(tenth, dataclasses.replace(made, start=np.array([0.2, 0.3 - 1e-16]))) == []
    assert flaws(tenth, dataclasses.replace(made, start=np.array([0.2, 0.3 - 1e-6])))


def test_shapes_are_looked_at_first() -> None:
    assert flaws(a_problem(), a_schedule(node=np.zeros(3, np.int32))) == ["`node` has the shape (3,) instead of (2,)"]


def test_every_network_form_is_read() -> None:
    pairs = np.array([[0.0, 9.0], [0.25, 0.0]])
    at = {"start": np.array([0.0, 4.0]), "finish": np.array([3.0, 9.0])}
    for network in (Network(pairs=pairs), Network(cards=np.array([0.1, 0.25])), Network()):
        assert flaws(a_problem(network=network), a_schedule(**at)) == []
    for network in (
        Network(pairs=pairs.T),
        Network(cards=np.array([0.5, 0.25])),
        Network(uniform=0.25, latency_seconds=0.1),
    ):
        assert len(flaws(a_problem(network=network), a_schedule(**at))) == 1
