"""Lower bounds never exceed the optimum, and reach it where a schedule can."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.planning import bounds
from server.planning.bounds import makespan_bound, path_finishes, shortest_remaining, topological, turnaround_bound
from server.planning.problem import NEVER, Held, Network, Problem, Runs, exclusive_problem
from server.planning.schedule import Schedule
from server.testing.small_problems import best_by_trying, edges_of, problems


def mean_turnaround(problem: Problem, schedule: Schedule) -> float:
    """Weighted mean over runs that have tasks."""
    runs = problem.runs
    last = {int(run): max(schedule.finish[runs.of_task == run]) for run in np.unique(runs.of_task)}
    weights = [float(runs.weight[run]) for run in last]
    return float(np.average([end - runs.submitted[run] for run, end in last.items()], weights=weights))


@given(problem=problems())
@settings(max_examples=120, deadline=None)
def test_no_schedule_beats_the_makespan_bound(problem: Problem) -> None:
    best = best_by_trying(problem, lambda schedule: schedule.makespan)
    assert 0 < makespan_bound(problem, iterations=40) <= best


@given(problem=problems())
@settings(max_examples=120, deadline=None)
def test_no_schedule_beats_the_turnaround_bound(problem: Problem) -> None:
    best = best_by_trying(problem, lambda schedule: mean_turnaround(problem, schedule))
    assert 0 < turnaround_bound(problem, iterations=40) <= best


def chain(sizes: float) -> Problem:
    """Two tasks in a row, each fast on a node of its own."""
    seconds = np.array([[1.0, 10.0], [10.0, 1.0]])
    return exclusive_problem(seconds, edges_of(2, {(0, 1): sizes}), Network(uniform=1.0))


@pytest.mark.parametrize(("sizes", "least"), [(0.0, 2.0), (3.0, 5.0), (99.0, 11.0)])
def test_the_path_pays_for_moving_or_for_staying(sizes: float, least: float) -> None:
    assert path_finishes(chain(sizes))[1] == least
    assert makespan_bound(chain(sizes)) == pytest.approx(least)


@pytest.mark.parametrize("limit", [0, 1e9])
def test_the_path_looks_at_pairs_and_cards_of_large_clusters_too(limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PAIR_LIMIT", limit)
    seconds = np.full((2, 70), 10.0)
    seconds[0, 3], seconds[1, 60] = 1.0, 1.0
    pairs = np.full((70, 70), 1.0) - np.eye(70)
    for network in (Network(pairs=pairs), Network(cards=np.ones(70))):
        assert path_finishes(exclusive_problem(seconds, edges_of(2, {(0, 1): 3.0}), network))[1] == 5.0


def test_the_load_is_split_as_unrelated_nodes_allow() -> None:
    """Four tasks take 3 s on the one and 6 s on the other node; split at best, all end after 8 s."""
    seconds = np.tile([3.0, 6.0], (4, 1))
    problem = exclusive_problem(seconds, edges_of(4, {}), Network())
    assert makespan_bound(problem) == pytest.approx(8.0, rel=0.01)


def test_paths_and_load_together_prove_more_than_either() -> None:
    """Three chains compete for the one fast node: no path is long and no load is high if each is looked at alone."""
    seconds = np.tile([1.0, 4.0], (6, 1))
    problem = exclusive_problem(seconds, edges_of(6, {(0, 1): 0.0, (2, 3): 0.0, (4, 5): 0.0}), Network())
    assert makespan_bound(problem) == pytest.approx(4.8, rel=0.01)


def test_what_is_held_and_nodes_that_open_late_raise_the_bound() -> None:
    problem = exclusive_problem(np.full((4, 2), 3.0), edges_of(4, {}), Network())
    late = dataclasses.replace(problem, opens=np.array([0.0, 4.0]))
    held = dataclasses.replace(problem, held=Held(np.array([1], np.int32), np.ones((1, 1)), np.array([2.0])))
    for_ever = dataclasses.replace(problem, held=Held(np.array([1], np.int32), np.ones((1, 1)), np.array([NEVER])))
    assert makespan_bound(problem) == pytest.approx(6.0)
    assert makespan_bound(late) == pytest.approx(7.5, rel=0.05)
    assert makespan_bound(held) == pytest.approx(7.0, rel=0.01)
    assert makespan_bound(for_ever) == pytest.approx(12.0)


def test_tasks_that_nothing_can_run_do_not_count() -> None:
    seconds = np.array([[NEVER], [2.0]])
    assert makespan_bound(exclusive_problem(seconds, edges_of(2, {}), Network())) == pytest.approx(2.0)
    assert makespan_bound(exclusive_problem(seconds[:1], edges_of(1, {}), Network())) == 0.0
    assert turnaround_bound(exclusive_problem(seconds[:1], edges_of(1, {}), Network())) == 0.0


def test_shared_nodes_are_bounded_by_their_scarcest_resource() -> None:
    problem = exclusive_problem(np.full((4, 1), 3.0), edges_of(4, {}), Network())
    shared = dataclasses.replace(problem, demand=np.tile([1.0, 2.0], (4, 1)), capacity=np.array([[4.0, 4.0]]))
    assert makespan_bound(shared) == pytest.approx(6.0, rel=0.01)


def test_equal_runs_on_one_node_end_one_after_the_other() -> None:
    problem = exclusive_problem(np.array([[1.0], [2.0], [3.0]]), edges_of(3, {}), Network())
    zero = np.zeros(3, np.int32)
    one_each = Runs(np.arange(3, dtype=np.int32), np.zeros(3), np.ones(3), zero, np.full(3, NEVER), zero, np.zeros(3))
    assert turnaround_bound(dataclasses.replace(problem, runs=one_each)) == pytest.approx((1 + 3 + 6) / 3)
    heavy = dataclasses.replace(one_each, weight=np.array([1.0, 1.0, 9.0]))
    assert turnaround_bound(dataclasses.replace(problem, runs=heavy)) == pytest.approx((9 * 3 + 4 + 6) / 11)
    waited = dataclasses.replace(one_each, submitted=np.full(3, -7.0))
    assert turnaround_bound(dataclasses.replace(problem, runs=waited)) == pytest.approx(7 + (1 + 3 + 6) / 3)


@pytest.mark.parametrize(
    ("releases", "work", "total"),
    [([0, 0, 0], [3, 1, 2], 1 + 3 + 6), ([0, 1], [5, 1], 2 + 6), ([4, 0], [1, 1], 5 + 1), ([], [], 0)],
)
def test_the_shortest_remaining_work_goes_first(releases: list[float], work: list[float], total: float) -> None:
    assert shortest_remaining(np.array(releases, float), np.array(work, float)) == total


@given(st.integers(1, 9), st.data())
def test_upstreams_come_first(count: int, data: st.DataObject) -> None:
    pairs = [(i, j) for j in range(count) for i in range(j) if data.draw(st.booleans())]
    names = data.draw(st.permutations(range(count)))
    order = topological(edges_of(count, {(names[i], names[j]): 0.0 for i, j in pairs})).tolist()
    assert sorted(order) == list(range(count))
    assert all(order.index(names[i]) < order.index(names[j]) for i, j in pairs)


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="wait for each other in a circle: 2 of them"):
        topological(edges_of(3, {(0, 1): 0.0, (1, 0): 0.0}))


def test_a_task_that_waits_for_one_that_nothing_can_run_does_not_count() -> None:
    """Alone the first takes 1 s; the third could take 50 s but never starts."""
    seconds = np.array([[1.0], [NEVER], [50.0]])
    problem = exclusive_problem(seconds, edges_of(3, {(1, 2): 0.0}), Network())
    assert makespan_bound(problem) == pytest.approx(1.0)
    assert turnaround_bound(problem) == pytest.approx(1.0)
