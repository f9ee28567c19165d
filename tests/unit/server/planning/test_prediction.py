"""Predictions under shared network cards: worked examples, soundness, and SimGrid's own figures."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.planning.checking import can_run, flaws
from server.planning.constructors import heft
from server.planning.prediction import planned_order, predict
from server.planning.problem import NEVER, Floats, Held, Network, Problem, exclusive_problem
from server.planning.schedule import UNPLACED, Schedule
from server.testing.small_problems import as_early_as_possible, edges_of, problems

SYSTEM_PYTHON = "/usr/bin/python3"


def plan(node: list[int], start: list[float]) -> Schedule:
    """A plan of which only nodes and order count."""
    count = len(node)
    return Schedule(np.array(node, np.int32), np.zeros(count, np.int32), np.array(start), np.array(start) + 1)


def spread_out(tasks: int, arrows: dict[tuple[int, int], float], **network: Any) -> Problem:
    """Each task takes a second, wherever."""
    return exclusive_problem(np.ones((tasks, tasks)), edges_of(tasks, arrows), Network(**network))


def finishes(problem: Problem, node: list[int]) -> list[float]:
    return predict(problem, plan(node, [float(t) for t in range(len(node))])).finish.tolist()


def test_a_transfer_alone_goes_at_the_slower_card() -> None:
    assert finishes(spread_out(2, {(0, 1): 8.0}, cards=np.array([0.25, 0.5])), [0, 1]) == [1.0, 6.0]
    assert finishes(spread_out(2, {(0, 1): 8.0}, uniform=0.5, latency_seconds=2.0), [0, 1]) == [1.0, 8.0]
    assert finishes(spread_out(2, {(0, 1): 8.0}, uniform=0.5), [1, 1]) == [1.0, 2.0]


def test_two_transfers_share_the_card_that_sends_them() -> None:
    """8 and 4 bytes at one byte a second: both at a half until second 9, then the larger one alone for 4 s."""
    problem = spread_out(3, {(0, 1): 8.0, (0, 2): 4.0}, uniform=1.0)
    assert finishes(problem, [0, 1, 2]) == [1.0, 14.0, 10.0]


def test_a_card_sends_and_receives_at_the_same_time() -> None:
    problem = spread_out(4, {(0, 2): 6.0, (1, 3): 6.0}, uniform=1.0)
    assert finishes(problem, [0, 1, 1, 0])[2:] == [8.0, 8.0]


def test_what_one_transfer_cannot_use_another_gets() -> None:
    """Node 3 receives two transfers (a half each); the third one from node 0 gets what is left of its card: a half."""
    problem = spread_out(5, {(0, 3): 4.0, (1, 3): 4.0, (0, 2): 8.0}, cards=np.array([0.5, 1.0, 0.25, 1.0, 1.0]))
    found = predict(problem, plan([0, 1, 2, 3, 4], [0.0, 0.0, 5.0, 5.0, 0.0]))
    assert found.finish[3] == 1 + 8 + 1
    assert found.finish[2] == pytest.approx(1 + 8 / 1.5 + 1)


def test_pairs_are_never_faster_than_their_own_link() -> None:
    pairs = np.array([[0.0, 0.5, 2.0], [0.5, 0.0, 1.0], [2.0, 1.0, 0.0]])
    problem = spread_out(3, {(0, 1): 6.0, (0, 2): 6.0}, pairs=pairs)
    assert finishes(problem, [0, 1, 2]) == [1.0, 1 + 6 / 1.5 + 1, 1 + 12 + 1]


def test_inputs_flow_from_the_start_and_releases_and_openings_are_waited_for() -> None:
    problem = dataclasses.replace(
        spread_out(3, {}, uniform=1.0),
        inputs=edges_of(3, {(1, 0): 3.0}),
        release=np.array([0.0, 7.0, 0.0]),
        opens=np.array([0.0, 0.0, 5.0]),
    )
    assert finishes(problem, [0, 1, 2]) == [4.0, 8.0, 6.0]


def test_tasks_keep_their_planned_order_on_a_node() -> None:
    """Task 2 could start at once, and waits for task 1, which was planned before it and waits for data."""
    problem = spread_out(3, {(0, 1): 5.0}, uniform=1.0)
    assert predict(problem, plan([0, 1, 1], [0.0, 3.0, 8.0])).finish.tolist() == [1.0, 7.0, 8.0]
    assert predict(problem, plan([0, 1, 1], [0.0, 8.0, 3.0])).finish.tolist() == [1.0, 7.0, 1.0]


def test_on_a_shared_node_nobody_waits_without_need() -> None:
    problem = dataclasses.replace(
        spread_out(4, {(0, 1): 5.0}, uniform=1.0),
        demand=np.array([[1.0], [1.0], [1.0], [2.0]]),
        capacity=np.full((4, 1), 2.0),
        held=Held(np.array([2], np.int32), np.array([[1.0]]), np.array([3.0])),
    )
    beside = predict(problem, plan([0, 1, 1, 1], [0.0, 3.0, 8.0, 9.0]))
    assert beside.finish.tolist() == [1.0, 7.0, 1.0, 8.0]
    assert predict(problem, plan([0, 1, 1, 2], [0.0, 3.0, 8.0, 9.0])).finish[3] == 4.0


@given(problem=problems(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_what_is_predicted_is_a_sound_schedule(problem: Problem, data: st.DataObject) -> None:
    order = tuple(range(problem.task_count))
    chosen = tuple(data.draw(st.sampled_from(list(zip(*can_run(problem, task), strict=True)))) for task in order)
    assert flaws(problem, predict(problem, as_early_as_possible(problem, order, chosen))) == []


def test_what_is_unplaced_stays_so_and_nonsense_is_named() -> None:
    problem = dataclasses.replace(spread_out(2, {(0, 1): 1.0}), task_names=("first", "second"))
    assert predict(problem, plan([0, UNPLACED], [0.0, NEVER])).finish.tolist() == [1.0, NEVER]
    with pytest.raises(ValueError, match="task second never starts"):
        predict(problem, plan([UNPLACED, 0], [NEVER, 0.0]))
    broken = dataclasses.replace(problem, seconds=np.array([[1.0, NEVER], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="task first cannot run where it is placed"):
        predict(broken, plan([1, 0], [0.0, 0.0]))


def random_problem(tasks: int, nodes: int, network: Network, seed: int) -> Problem:
    """A graph with a few upstreams per task, data as heavy as the work."""
    chance = np.random.default_rng(seed)
    arrows = {
        (int(upstream), task): float(chance.uniform(20, 80))
        for task in range(1, tasks)
        for upstream in set(chance.integers(max(0, task - 12), task, 3).tolist())
    }
    return exclusive_problem(chance.uniform(10, 90, (tasks, nodes)), edges_of(tasks, arrows), network)


def simgrid(project_root: Path, problem: Problem, schedule: Schedule) -> Floats:
    """What SimGrid says: the finish of each task."""
    first, on_node = planned_order(problem, schedule)
    receivers = np.repeat(np.arange(problem.task_count), np.diff(problem.edges.first))
    cards = problem.network.cards
    asked = {
        "seconds": problem.seconds[np.arange(problem.task_count), schedule.node].tolist(),
        "node": schedule.node.tolist(),
        "order": [on_node[first[node] : first[node + 1]].tolist() for node in range(problem.node_count)],
        "edges": [
            list(edge)
            for edge in zip(problem.edges.task.tolist(), receivers.tolist(), problem.edges.bytes.tolist(), strict=True)
        ],
        "latency_seconds": problem.network.latency_seconds,
        "cards": None if cards is None else cards.tolist(),
        "pairs": None if problem.network.pairs is None else problem.network.pairs.tolist(),
    }
    script = project_root / "benchmarks" / "placement" / "simgrid_referee.py"
    ended = subprocess.run(
        [SYSTEM_PYTHON, str(script)], input=json.dumps(asked), capture_output=True, text=True, timeout=180, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return np.array(json.loads(ended.stdout)["finish"])


@pytest.mark.needs("python3-simgrid")
@pytest.mark.parametrize("nodes", [3, 8])
def test_simgrid_sees_the_same_times_on_shared_cards(project_root: Path, nodes: int) -> None:
    cards = np.random.default_rng(nodes).uniform(0.5, 2.0, nodes)
    problem = random_problem(40, nodes, Network(cards=cards), seed=nodes)
    planned = heft(problem)
    predicted = predict(problem, planned)
    assert predicted.makespan > 1.2 * planned.makespan
    np.testing.assert_allclose(predicted.finish, simgrid(project_root, problem, planned), rtol=1e-6)


@pytest.mark.needs("python3-simgrid")
def test_simgrid_confirms_a_plan_whose_transfers_have_links_of_their_own(project_root: Path) -> None:
    pairs = np.random.default_rng(1).uniform(0.5, 2.0, (4, 4))
    np.fill_diagonal(pairs, 0.0)
    problem = random_problem(30, 4, Network(pairs=pairs), seed=1)
    planned = heft(problem)
    assert max(simgrid(project_root, problem, planned)) == pytest.approx(planned.makespan, rel=1e-6)
