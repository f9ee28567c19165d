"""Problems that the planning tests share: the two published examples, and strategies for drawing random ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from server.planning.problem import NEVER, Edges, Held, Network, Problem, Runs, Sharing, exclusive_problem, no_edges

Rows = list[tuple[int, int, float]]


def edges_of(task_count: int, rows: Rows) -> Edges:
    """Edges by receiver, of (upstream, task, bytes)."""
    ordered = sorted(rows, key=lambda row: (row[1], row[0]))
    first = np.zeros(task_count + 1, np.int32)
    np.cumsum(np.bincount([row[1] for row in ordered], minlength=task_count), out=first[1:])
    senders = np.array([row[0] for row in ordered], np.int32)
    return Edges(first, senders, np.array([row[2] for row in ordered], float))


def topcuoglu() -> Problem:
    """The example of Topcuoglu, Hariri and Wu, 2002, figure 2."""
    seconds = [
        [14, 16, 9], [13, 19, 18], [11, 13, 19], [13, 8, 17], [12, 13, 10],
        [13, 16, 9], [7, 15, 11], [5, 11, 14], [18, 12, 20], [21, 7, 16],
    ]  # fmt: skip
    rows: Rows = [
        (0, 1, 18), (0, 2, 12), (0, 3, 9), (0, 4, 11), (0, 5, 14), (1, 7, 19), (1, 8, 16), (2, 6, 23),
        (3, 7, 27), (3, 8, 23), (4, 8, 13), (5, 7, 15), (6, 9, 17), (7, 9, 11), (8, 9, 13),
    ]  # fmt: skip
    return exclusive_problem(np.array(seconds, float), edges_of(10, rows), Network(uniform=1.0))


def arabnejad() -> Problem:
    """The example of Arabnejad and Barbosa, 2014, figure 3."""
    seconds = [
        [22, 21, 36], [22, 18, 18], [32, 27, 43], [7, 10, 4], [29, 27, 35],
        [26, 17, 24], [14, 25, 30], [29, 23, 36], [15, 21, 8], [13, 16, 33],
    ]  # fmt: skip
    rows: Rows = [
        (0, 1, 17), (0, 2, 31), (0, 3, 29), (0, 4, 13), (0, 5, 7), (1, 7, 3), (1, 8, 30), (2, 6, 16),
        (3, 7, 11), (3, 8, 7), (4, 8, 57), (5, 7, 5), (6, 9, 9), (7, 9, 42), (8, 9, 7),
    ]  # fmt: skip
    return exclusive_problem(np.array(seconds, float), edges_of(10, rows), Network(uniform=1.0))


def random_problem(seed: int, *, tasks: int, nodes: int, shared: bool = False, several_runs: bool = False) -> Problem:
    """Anything that the contract allows: any network, some pairs that cannot run, releases, nodes that open late, held
    work, data of finished tasks; with `shared` also two resources, classes of nodes, and tasks with two modes."""
    draw = np.random.default_rng(seed)
    run = np.sort(draw.integers(0, 3, tasks)) if several_runs else np.zeros(tasks, int)
    rows: Rows = [
        (a, b, float(draw.integers(0, 40)))
        for b in range(tasks)
        for a in range(b)
        if run[a] == run[b] and draw.random() < 2.5 / max(b, 1)
    ]
    seconds = draw.integers(1, 30, (tasks, nodes)).astype(float)
    seconds[draw.random(seconds.shape) < 0.1] = NEVER
    seconds[np.isinf(seconds).all(axis=1), 0] = 7.0
    problem = exclusive_problem(seconds, edges_of(tasks, rows), _network(draw, nodes))
    problem = replace(
        problem,
        release=draw.integers(0, 20, tasks) * (draw.random(tasks) < 0.3).astype(float),
        opens=draw.integers(0, 30, nodes) * (draw.random(nodes) < 0.3).astype(float),
        inputs=_inputs(draw, tasks, nodes),
        held=Held(np.zeros(1, np.int32), np.ones((1, 1)), np.array([12.0])),
        runs=_runs(run),
    )
    return _shared(draw, problem) if shared else problem


def problems(*, shared: bool | None = None, several_runs: bool = False) -> st.SearchStrategy[Problem]:
    """Random problems of up to 14 tasks on up to 5 nodes."""
    return st.builds(
        lambda seed, tasks, nodes, is_shared: random_problem(
            seed, tasks=tasks, nodes=nodes, shared=is_shared, several_runs=several_runs
        ),
        st.integers(0, 10**6),
        st.integers(1, 14),
        st.integers(1, 5),
        st.booleans() if shared is None else st.just(shared),
    )


def _network(draw: np.random.Generator, nodes: int) -> Network:
    pairs = draw.uniform(0.2, 2, (nodes, nodes))
    np.fill_diagonal(pairs, 0)
    latency = float(draw.integers(0, 2))
    sharing = Sharing.ONE_PORT if draw.random() < 0.3 else Sharing.CONTENTION_FREE
    return [
        Network(),
        Network(uniform=0.7, latency_seconds=latency, sharing=sharing),
        Network(pairs=pairs, latency_seconds=latency, sharing=sharing),
        Network(cards=draw.uniform(0.2, 2, nodes), latency_seconds=latency, sharing=sharing),
    ][int(draw.integers(0, 4))]


def _inputs(draw: np.random.Generator, tasks: int, nodes: int) -> Edges:
    count = draw.integers(0, 2, tasks)
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
    total = int(count.sum())
    return Edges(first, draw.integers(0, nodes, total).astype(np.int32), draw.integers(1, 20, total).astype(float))


def _runs(of_task: np.ndarray) -> Runs:
    count = int(of_task.max(initial=0)) + 1
    numbers = np.arange(count, dtype=np.int32)
    return Runs(
        of_task.astype(np.int32),
        -numbers * 3.0,
        1.0 + numbers,
        numbers % 2,
        np.full(count, NEVER),
        numbers,
        numbers * 0.0,
    )


def _shared(draw: np.random.Generator, problem: Problem) -> Problem:
    tasks, nodes = problem.task_count, problem.node_count
    modes = draw.integers(1, 3, tasks)
    count = int(modes.sum())
    classes = max(1, nodes - 1)
    seconds = draw.integers(1, 30, (count, classes)).astype(float)
    seconds[draw.random(seconds.shape) < 0.1] = NEVER
    seconds[np.concatenate([[0], np.cumsum(modes)[:-1]]), 0] = 9.0
    return replace(
        problem,
        seconds=seconds,
        column_of_node=np.minimum(np.arange(nodes), classes - 1).astype(np.int32),
        first_mode=np.concatenate([[0], np.cumsum(modes)]).astype(np.int32),
        row_of_mode=np.arange(count, dtype=np.int32),
        demand=draw.integers(0, 4, (count, 2)).astype(float),
        capacity=draw.integers(4, 8, (nodes, 2)).astype(float),
        held=Held(np.zeros(1, np.int32), np.ones((1, 2)), np.array([12.0])),
    )


__all__ = ["arabnejad", "edges_of", "no_edges", "problems", "random_problem", "topcuoglu"]
