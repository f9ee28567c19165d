"""The constructors keep their papers' figures, and never break a problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.planning.building import OCTETS_FROM, Builder
from server.planning.checking import flaws
from server.planning.constructors import PORTFOLIO, cpop, heft, min_min, peft
from server.planning.problem import Edges, Network, Problem, exclusive_problem, no_edges
from server.planning.schedule import UNPLACED
from server.testing.random_problems import arabnejad, edges_of, problems, random_problem, topcuoglu


def test_heft_and_cpop_give_the_makespans_of_their_paper() -> None:
    assert (heft(topcuoglu()).makespan, cpop(topcuoglu()).makespan) == (80.0, 86.0)


def test_peft_gives_the_makespan_of_its_paper_and_beats_heft_there() -> None:
    assert (peft(arabnejad()).makespan, heft(arabnejad()).makespan) == (122.0, 133.0)


@pytest.mark.parametrize("name", PORTFOLIO)
@settings(deadline=None, max_examples=60)
@given(problem=problems())
def test_no_constructor_breaks_a_problem(name: str, problem: Problem) -> None:
    assert flaws(problem, PORTFOLIO[name](problem)) == []


@pytest.mark.parametrize("name", PORTFOLIO)
def test_tasks_of_low_priority_delay_none_of_high_priority(name: str) -> None:
    for seed in range(12):
        both = random_problem(seed, tasks=12, nodes=3, several_runs=True, shared=seed % 2 == 0)
        is_low = both.runs.priority[both.runs.of_task] == 0
        low_never = replace(both, release=np.where(is_low, np.inf, both.release))
        if name == "best_single_node":
            continue
        together, alone = PORTFOLIO[name](both), PORTFOLIO[name](low_never)
        assert np.array_equal(together.finish[~is_low], alone.finish[~is_low])


def test_a_task_that_no_node_can_run_is_left_out_with_all_that_waits_for_it() -> None:
    seconds = np.array([[np.inf, np.inf], [1.0, 2.0], [3.0, 1.0]])
    problem = exclusive_problem(seconds, edges_of(3, [(0, 1, 1.0)]), Network())
    schedule = heft(problem)
    assert schedule.node.tolist() == [UNPLACED, UNPLACED, 1]
    assert schedule.makespan == 1.0


def test_a_gap_before_a_waiting_task_is_used() -> None:
    # The long chain waits ten seconds for its data on node 0; the short task fits there meanwhile.
    seconds = np.array([[2.0, 50.0], [9.0, 50.0], [4.0, 50.0]])
    problem = replace(exclusive_problem(seconds, no_edges(3), Network()), release=np.array([10.0, 10.0, 0.0]))
    assert heft(problem).start.tolist() == [19.0, 10.0, 0.0]


def test_tasks_share_a_node_as_far_as_they_fit() -> None:
    problem = replace(
        exclusive_problem(np.full((3, 1), 5.0), no_edges(3), Network()),
        demand=np.array([[2.0], [2.0], [1.0]]),
        capacity=np.array([[3.0]]),
    )
    assert sorted(min_min(problem).start.tolist()) == [0.0, 0.0, 5.0]


def test_a_matrix_of_profiles_gives_what_the_whole_matrix_gives() -> None:
    problem = random_problem(5, tasks=14, nodes=4)
    nodes = np.array([0, 1, 1, 2, 3, 3])
    network = Network(uniform=0.5)
    whole = exclusive_problem(np.ascontiguousarray(problem.seconds[:, nodes]), problem.edges, network)
    classes = replace(whole, seconds=problem.seconds, column_of_node=nodes.astype(np.int32))
    for construct in PORTFOLIO.values():
        assert construct(whole).finish.tolist() == construct(classes).finish.tolist()


def test_of_several_modes_the_quickest_is_taken_on_exclusive_nodes() -> None:
    problem = replace(
        exclusive_problem(np.array([[5.0], [3.0]]), no_edges(2), Network()),
        first_mode=np.array([0, 2], np.int32),
        release=np.zeros(1),
        inputs=no_edges(1),
        edges=no_edges(1),
    )
    schedule = heft(replace(problem, runs=type(problem.runs).single(1)))
    assert (schedule.mode.tolist(), schedule.finish.tolist()) == ([1], [3.0])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1), nodes=st.integers(OCTETS_FROM, 2 * OCTETS_FROM), rate=st.sampled_from([None, 0.3])
)
def test_on_many_nodes_the_bounds_change_no_placement(seed: int, nodes: int, rate: float | None) -> None:
    draw = np.random.default_rng(seed)
    tasks = int(draw.integers(1, 4 * nodes))
    seconds = draw.integers(1, 9, (tasks, nodes)).astype(float)  # whole seconds, so that many nodes end together
    seconds[draw.random((tasks, nodes)) < draw.choice([0.0, 0.5, 0.99])] = np.inf
    upstreams = [
        (int(draw.integers(0, t)), t, float(draw.integers(0, 9))) for t in range(1, tasks) if draw.random() < 0.8
    ]
    problem = replace(
        exclusive_problem(seconds, edges_of(tasks, upstreams), Network(uniform=rate, latency_seconds=0.5)),
        release=draw.integers(0, 5, tasks).astype(float),
        opens=draw.integers(0, 20, nodes).astype(float),
        inputs=Edges(
            np.arange(tasks + 1, dtype=np.int32),
            draw.integers(0, nodes, tasks, np.int32),
            draw.integers(0, 99, tasks) / 10,
        ),
    )
    build = Builder(problem)
    rank, _ = build.upward()
    one_by_one = build.by_list(build.ordered(rank), build.anywhere)
    for schedule in (heft(problem), Builder(problem).by_list(build.ordered(rank))):
        assert schedule.node.tolist() == one_by_one.node.tolist()
        assert schedule.start.tolist() == one_by_one.start.tolist()
    assert build.lows.size


def test_a_circle_is_refused_in_words() -> None:
    problem = exclusive_problem(np.ones((2, 1)), edges_of(2, [(0, 1, 1.0), (1, 0, 1.0)]), Network())
    with pytest.raises(ValueError, match="2 tasks wait for each other"):
        heft(problem)


def test_bytes_of_hardly_any_time_break_no_rank() -> None:
    problem = exclusive_problem(np.zeros((2, 2)), edges_of(2, [(0, 1, 2e-320)]), Network(uniform=1.0))
    assert flaws(problem, heft(problem)) == []
