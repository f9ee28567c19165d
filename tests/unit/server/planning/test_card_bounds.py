"""Bounds for shared cards: no replay beats them, and they know what a card has to carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from server.planning.bounds import makespan_bound
from server.planning.card_bounds import makespan_bound_on_cards
from server.planning.exact import prove
from server.planning.prediction import predict
from server.planning.problem import NEVER, Network, Problem, Sharing, exclusive_problem, no_edges
from server.planning.schedule import UNPLACED
from server.testing.small_problems import best_by_trying, edges_of, problems


def on_cards(seconds: list[list[float]], arrows: dict[tuple[int, int], float]) -> Problem:
    """One second a byte through every card."""
    nodes = len(seconds[0])
    network = Network(cards=np.ones(nodes), sharing=Sharing.MAX_MIN)
    return exclusive_problem(np.array(seconds), edges_of(len(seconds), arrows), network)


def bound_of(problem: Problem) -> float:
    known = predict(problem, prove(problem, seconds=0).schedule)
    return makespan_bound_on_cards(problem, known, seconds=20)


@given(problem=problems(most_tasks=3))
@settings(max_examples=40, deadline=None)
def test_no_replayed_plan_beats_the_bound(problem: Problem) -> None:
    assert bound_of(problem) <= best_by_trying(problem, lambda plan: predict(problem, plan).makespan) * (1 + 1e-9)


FORK = on_cards([[1.0, NEVER, NEVER], [NEVER, 1.0, NEVER], [NEVER, NEVER, 1.0]], {(0, 1): 10.0, (0, 2): 10.0})
JOIN = on_cards([[1.0, NEVER, NEVER], [NEVER, 1.0, NEVER], [NEVER, NEVER, 1.0]], {(0, 2): 10.0, (1, 2): 10.0})


@pytest.mark.parametrize("problem", [FORK, JOIN])
def test_what_goes_through_one_card_takes_the_time_of_all_of_it(problem: Problem) -> None:
    """Alone each transfer takes ten seconds; the card that both need takes twenty."""
    assert makespan_bound(problem) == pytest.approx(12.0)
    assert bound_of(problem) == pytest.approx(22.0, rel=1e-5)


def test_a_card_carries_what_all_tasks_of_its_node_send() -> None:
    """Two senders on one node, two receivers on another: no task has two neighbours, the card has two transfers."""
    rows = [[1.0, NEVER], [1.0, NEVER], [NEVER, 1.0], [NEVER, 1.0]]
    problem = on_cards(rows, {(0, 2): 10.0, (1, 3): 10.0})
    assert bound_of(problem) == pytest.approx(22.0, rel=1e-5)


def test_a_node_that_opens_late_and_is_not_used_raises_no_bound() -> None:
    problem = replace(exclusive_problem(np.ones((3, 2)), no_edges(3), Network()), opens=np.array([5.0, 0.0]))
    all_late = predict(problem, prove(problem, seconds=0).schedule)
    late = replace(all_late, node=np.zeros(3, np.int32), start=np.array([5.0, 6, 7]), finish=np.array([6.0, 7, 8]))
    assert makespan_bound_on_cards(problem, late, seconds=20) == pytest.approx(3.0)


def test_a_plan_that_leaves_a_task_out_bounds_nothing() -> None:
    known = predict(FORK, prove(FORK, seconds=0).schedule)
    missing = replace(known, node=np.where(np.arange(3) == 2, UNPLACED, known.node).astype(np.int32))
    with pytest.raises(ValueError, match="places every task"):
        makespan_bound_on_cards(FORK, missing, seconds=1)
