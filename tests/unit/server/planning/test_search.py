"""The search is never worse than its starts, keeps every rule of the problem, and repeats itself by seed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.planning.annealing import Annealer
from server.planning.checking import flaws
from server.planning.constructors import PORTFOLIO
from server.planning.prediction import predict
from server.planning.problem import Network, Problem, Sharing, exclusive_problem, no_edges
from server.planning.schedule import Schedule
from server.planning.search import OBJECTIVES, Objective, anytime
from server.planning.shuffling import Shuffler
from server.testing.random_problems import arabnejad, edges_of, problems, random_problem, topcuoglu


def no_time() -> float:
    return 0.0


def searched(problem: Problem, *, seed: int = 0, objective: Objective = "makespan", steps: int = 400) -> Schedule:
    return anytime(problem, seconds=1.0, monotonic=no_time, seed=seed, objective=objective, max_steps=steps)


def turnaround(problem: Problem, schedule: Schedule) -> float:
    last = np.zeros(len(problem.runs.weight))
    placed = np.isfinite(schedule.finish)
    np.maximum.at(last, problem.runs.of_task[placed], schedule.finish[placed])
    return float((problem.runs.weight * last).sum())


def test_the_optima_of_the_published_examples_are_found() -> None:
    assert searched(topcuoglu(), steps=20_000).makespan == 73.0
    assert searched(arabnejad(), steps=20_000).makespan == 113.0


def test_they_are_found_from_every_seed_in_less_steps_than_a_twentieth_of_a_second_has() -> None:
    for seed in range(20):
        assert searched(topcuoglu(), seed=seed, steps=15_000).makespan == 73.0
        assert searched(arabnejad(), seed=seed, steps=15_000).makespan == 113.0


@pytest.mark.parametrize("sharing", Sharing)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_call_ends_within_its_limit(objective: Objective, sharing: Sharing) -> None:
    """Every look at this clock takes a hundredth of a second, and so does whatever is done between two looks."""
    looks = count()
    drawn = random_problem(4, tasks=14, nodes=3)
    problem = replace(drawn, network=Network(cards=np.full(3, 0.01), sharing=sharing))
    anytime(problem, seconds=0.5, monotonic=lambda: next(looks) / 100, objective=objective)
    assert 20 < next(looks) <= 50


def test_however_small_a_problem_it_is_cooled_step_by_step() -> None:
    """A cooling of few slices never gets cold."""
    for size in (3, 10, 30, 100):
        problem = random_problem(1, tasks=size, nodes=3)
        for searcher in (Annealer(problem), Shuffler(problem, is_makespan=True)):
            assert searcher.cycle >= 20 * searcher.grain


@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(deadline=None, max_examples=60)
@given(problem=problems() | problems(several_runs=True), seed=st.integers(0, 99))
def test_no_search_breaks_a_problem(objective: Objective, problem: Problem, seed: int) -> None:
    assert flaws(problem, searched(problem, seed=seed, objective=objective)) == []


@settings(deadline=None, max_examples=40)
@given(problem=problems())
def test_a_search_is_never_worse_than_its_best_start(problem: Problem) -> None:
    found = searched(problem, steps=100)
    plans = [construct(problem) for construct in PORTFOLIO.values()]
    if problem.network.sharing is not Sharing.CONTENTION_FREE:
        plans = [min(plans, key=lambda plan: plan.makespan)]
        plans = [predict(problem, plan) for plan in plans]
    assert found.makespan <= min(plan.makespan for plan in plans) + 1e-9


def test_where_cards_are_shared_a_search_says_what_a_replay_says_and_spreads_no_heavy_data() -> None:
    # Twelve tasks feed one each; moving one output takes ten times as long as running anything.
    rows = [(task, 12 + task, 100.0) for task in range(12)]
    seconds = np.random.default_rng(3).uniform(8, 12, (24, 4))
    network = Network(cards=np.ones(4), sharing=Sharing.MAX_MIN)
    problem = exclusive_problem(seconds, edges_of(24, rows), network)
    found = searched(problem, steps=3000)
    assert predict(problem, found).finish.tolist() == pytest.approx(found.finish.tolist())
    assert found.makespan < 85


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("shared", [False, True])
def test_a_search_of_so_many_steps_repeats_itself_by_seed(objective: Objective, shared: bool) -> None:
    problem = random_problem(4, tasks=14, nodes=3, shared=shared)
    one, other = (searched(problem, seed=7, objective=objective) for _ in range(2))
    assert (one.node.tolist(), one.start.tolist()) == (other.node.tolist(), other.start.tolist())


def test_a_search_improves_on_every_constructor_where_there_is_room() -> None:
    gains = 0
    for seed in range(8):
        problem = random_problem(seed, tasks=30, nodes=3, shared=seed % 2 == 0)
        best = min(construct(problem).makespan for construct in PORTFOLIO.values())
        gains += searched(problem, steps=3000).makespan < best - 1e-9
    assert gains >= 4


@pytest.mark.parametrize("seed", range(3))
def test_where_nodes_are_full_to_the_end_tasks_change_places(seed: int) -> None:
    """No single task can leave its node without ending much later elsewhere, yet nearly nothing need be lost."""
    sizes, speeds = np.random.default_rng(seed).uniform(9, 11, (40, 1)), np.array([0.6, 1, 1.5, 2.2])
    problem = exclusive_problem(sizes / speeds, no_edges(40), Network())
    found = searched(problem, steps=12_000, seed=seed)
    assert flaws(problem, found) == []
    assert found.makespan < 1.01 * sizes.sum() / speeds.sum()


def test_searching_for_turnaround_beats_searching_for_the_last_finish_at_it() -> None:
    gains = 0
    for seed in range(8):
        drawn = random_problem(seed, tasks=14, nodes=2, several_runs=True)
        problem = replace(drawn, runs=replace(drawn.runs, priority=np.zeros_like(drawn.runs.priority)))
        by_mean = turnaround(problem, searched(problem, objective="turnaround"))
        by_last = turnaround(problem, searched(problem))
        gains += by_mean < by_last - 1e-9
    assert gains >= 5


def test_low_priority_never_delays_high_priority_however_long_it_is_searched() -> None:
    # One node, one long run that matters and many short ones that do not.
    seconds = np.array([[50.0], [1.0], [1.0], [1.0]])
    problem = exclusive_problem(seconds, no_edges(4), Network())
    runs = random_problem(0, tasks=4, nodes=1).runs
    four = np.arange(4, dtype=np.int32)
    runs = replace(
        runs,
        of_task=four,
        submitted=np.zeros(4),
        weight=np.array([1.0, 9.0, 9.0, 9.0]),
        priority=np.array([1, 0, 0, 0], np.int32),
        deadline=np.full(4, np.inf),
        project=four,
        done_seconds=np.zeros(4),
    )
    for objective in OBJECTIVES:
        assert searched(replace(problem, runs=runs), objective=objective).start[0] == 0.0


def test_without_time_the_first_constructor_answers() -> None:
    problem = topcuoglu()
    found = anytime(problem, seconds=0.0, monotonic=no_time)
    assert found.makespan == 80.0


def test_nothing_to_place_is_an_empty_schedule() -> None:
    problem = exclusive_problem(np.zeros((0, 3)), no_edges(0), Network())
    assert searched(problem).makespan == 0.0


def test_an_unknown_objective_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="there are makespan, turnaround"):
        anytime(topcuoglu(), seconds=1.0, monotonic=no_time, objective="beauty")  # type: ignore[arg-type]


UNCOMPILED = """
import sys
if sys.argv[1] == "without":
    sys.modules["numba"] = None
from server.planning.constructors import PORTFOLIO
from server.planning.kernels.compiling import IS_COMPILED
from server.planning.search import anytime
from server.planning.shuffling import Shuffler
from server.testing.random_problems import random_problem
print(IS_COMPILED, file=sys.stderr)
for seed in range(6):
    problem = random_problem(seed, tasks=9, nodes=3, shared=seed % 2 == 0, several_runs=seed % 3 == 0)
    for construct in PORTFOLIO.values():
        found = construct(problem)
        print(found.node.tolist(), found.mode.tolist(), [round(at, 6) for at in found.start.tolist()])
    for objective in ("makespan", "turnaround"):
        found = anytime(problem, seconds=1, monotonic=lambda: 0.0, objective=objective, max_steps=40)
        print(found.node.tolist(), [round(at, 6) for at in found.start.tolist()])
"""


def test_without_numba_the_same_code_gives_the_same_answers() -> None:
    outputs = []
    for how, said in (("with", "True"), ("without", "False")):
        command = [sys.executable, "-W", "error", "-c", UNCOMPILED, how]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
        assert result.returncode == 0, result.stderr
        assert result.stderr.strip() == said
        outputs.append(result.stdout)
    assert outputs[0] == outputs[1]
