"""Exact answers: the optimum, proved; and nothing is called proved that is not."""

from __future__ import annotations

import builtins
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from server.planning.bounds import mean_turnaround
from server.planning.checking import flaws
from server.planning.exact import Goal, MissingSolverError, prove
from server.planning.layout import laid_out
from server.planning.problem import NEVER, Network, Problem, exclusive_problem
from server.planning.schedule import UNPLACED, Schedule
from server.testing.small_problems import best_by_trying, edges_of, problems

TOPCUOGLU = [
    [14, 16, 9], [13, 19, 18], [11, 13, 19], [13, 8, 17], [12, 13, 10],
    [13, 16, 9], [7, 15, 11], [5, 11, 14], [18, 12, 20], [21, 7, 16],
]  # fmt: skip
TOPCUOGLU_EDGES = {
    (0, 1): 18, (0, 2): 12, (0, 3): 9, (0, 4): 11, (0, 5): 14, (1, 7): 19, (1, 8): 16, (2, 6): 23, (3, 7): 27,
    (3, 8): 23, (4, 8): 13, (5, 7): 15, (6, 9): 17, (7, 9): 11, (8, 9): 13,
}  # fmt: skip


@pytest.fixture
def published() -> Problem:
    """The example of Topcuoglu, Hariri and Wu, 2002, whose HEFT schedule ends after 80."""
    edges = edges_of(10, {pair: float(size) for pair, size in TOPCUOGLU_EDGES.items()})
    return exclusive_problem(np.array(TOPCUOGLU, float), edges, Network(uniform=1.0))


def test_the_published_example_has_an_optimum_of_73(published: Problem) -> None:
    proof = prove(published, seconds=20)
    assert (proof.value, proof.is_proved) == (73.0, True)
    assert proof.schedule.makespan == 73.0
    assert flaws(published, proof.schedule) == []


@given(problem=problems(most_tasks=3))
@settings(max_examples=25, deadline=None)
def test_the_least_makespan_is_found_and_proved(problem: Problem) -> None:
    proof = prove(problem, seconds=20)
    assert flaws(problem, proof.schedule) == []
    assert proof.value == proof.schedule.makespan
    assert proof.is_proved
    assert proof.value == pytest.approx(best_by_trying(problem, lambda found: found.makespan), rel=2e-5)


@given(problem=problems(most_tasks=3))
@settings(max_examples=25, deadline=None)
def test_the_least_turnaround_is_found_and_proved(problem: Problem) -> None:
    proof = prove(problem, seconds=20, goal=Goal.TURNAROUND)
    assert flaws(problem, proof.schedule) == []
    assert proof.value == mean_turnaround(problem, proof.schedule)
    assert proof.is_proved
    assert proof.value == pytest.approx(
        best_by_trying(problem, lambda found: mean_turnaround(problem, found)), rel=2e-5
    )


def test_no_time_means_a_bound_and_no_proof(published: Problem) -> None:
    proof = prove(published, seconds=0)
    assert flaws(published, proof.schedule) == []
    assert not proof.is_proved
    assert proof.lower_bound <= 73 < proof.value


def test_an_optimal_hint_is_proved_and_handed_back(published: Problem) -> None:
    best = prove(published, seconds=20).schedule
    again = prove(published, seconds=20, hint=best)
    assert again.is_proved
    assert again.schedule.node.tolist() == best.node.tolist()
    assert prove(published, seconds=0, hint=best).value == 73.0


def test_times_that_no_power_of_ten_makes_whole_are_proved_too(published: Problem) -> None:
    odd = dataclasses.replace(published, seconds=published.seconds / 3, network=Network(uniform=1 / 3))
    proof = prove(odd, seconds=20)
    assert proof.is_proved
    assert proof.value == pytest.approx(73 / 3, rel=1e-12)
    assert 73 / 3 * (1 - 1e-5) <= proof.lower_bound <= proof.value


def test_fractions_of_a_node_are_shared() -> None:
    """Four tasks of a third of a node each: three at a time."""
    four = exclusive_problem(np.full((4, 1), 2.0), edges_of(4, {}), Network())
    proof = prove(dataclasses.replace(four, demand=np.full((4, 1), 1 / 3)), seconds=10)
    assert (proof.value, proof.is_proved) == (4.0, True)


def test_tasks_that_nothing_can_run_stay_unplaced_with_all_that_waits_for_them() -> None:
    seconds = np.array([[NEVER, NEVER], [1.0, 1.0], [2.0, 3.0]])
    problem = exclusive_problem(seconds, edges_of(3, {(0, 1): 0.0}), Network())
    proof = prove(problem, seconds=5)
    assert proof.schedule.node.tolist() == [UNPLACED, UNPLACED, 0]
    assert (proof.value, proof.is_proved) == (2.0, True)
    nothing = prove(exclusive_problem(seconds[:1], edges_of(1, {}), Network()), seconds=5)
    assert (nothing.schedule.node.tolist(), nothing.value) == ([UNPLACED], 0.0)


@pytest.mark.parametrize("goal", Goal)
def test_what_nothing_can_run_neither_counts_nor_disturbs_the_proof_of_the_rest(goal: Goal) -> None:
    """Of the published example, task 4 fits no node, so 8 and 9 never run either; the other seven are a problem."""
    seconds = np.array(TOPCUOGLU, float)
    seconds[4] = NEVER
    edges = {pair: float(size) for pair, size in TOPCUOGLU_EDGES.items()}
    problem = exclusive_problem(seconds, edges_of(10, edges), Network(uniform=1.0))
    rest = [0, 1, 2, 3, 5, 6, 7]
    kept = {(rest.index(a), rest.index(b)): size for (a, b), size in edges.items() if {a, b} <= set(rest)}
    smaller = exclusive_problem(np.array(TOPCUOGLU, float)[rest], edges_of(7, kept), Network(uniform=1.0))
    proof, alone = prove(problem, seconds=20, goal=goal), prove(smaller, seconds=20, goal=goal)
    assert (proof.value, proof.is_proved) == (alone.value, True)
    assert proof.lower_bound <= proof.value
    assert np.flatnonzero(proof.schedule.node == UNPLACED).tolist() == [4, 8, 9]
    assert flaws(problem, proof.schedule) == []


def test_a_hint_that_leaves_out_what_could_run_is_not_taken_for_a_short_schedule(published: Problem) -> None:
    best = prove(published, seconds=20).schedule
    short = np.where(np.arange(10) == 9, UNPLACED, best.node).astype(np.int32)
    assert (prove(published, seconds=20, hint=dataclasses.replace(best, node=short)).value) == 73.0


def test_without_the_solver_the_error_says_what_to_install(published: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("ortools"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingSolverError, match=r"pip install 'ortools"):
        prove(published, seconds=1)


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_a_schedule_that_is_laid_out_anew_is_sound_and_no_later(problem: Problem) -> None:
    first = laid_out(problem, prove(problem, seconds=0).schedule)
    late = dataclasses.replace(first, start=first.start + 9.0, finish=first.finish + 9.0)
    again = laid_out(problem, late)
    assert flaws(problem, again) == []
    assert (again.finish <= first.finish + 1e-9).all()


def test_an_order_against_the_edges_is_mended() -> None:
    problem = exclusive_problem(np.ones((2, 1)), edges_of(2, {(0, 1): 0.0}), Network())
    backwards = Schedule(np.zeros(2, np.int32), np.zeros(2, np.int32), np.array([5.0, 0.0]), np.array([6.0, 1.0]))
    assert laid_out(problem, backwards).finish.tolist() == [1.0, 2.0]
