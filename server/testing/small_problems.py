"""Small placing problems of every kind, and their best schedules by trying everything: what bounds, exact answers and
checkers are held to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st

from server.planning.checking import can_run
from server.planning.links import alone_seconds
from server.planning.problem import NEVER, Edges, Held, Network, Problem, Runs
from server.planning.schedule import UNPLACED, Schedule

SECONDS = st.sampled_from([1.0, 2.0, 2.5, 4.0, 7.25])
BYTES = st.sampled_from([0.0, 1.0, 3.0, 8.0])


def edges_of(task_count: int, arrows: dict[tuple[int, int], float]) -> Edges:
    """Edges from (upstream, dependent) -> bytes."""
    ordered = sorted(arrows.items(), key=lambda item: (item[0][1], item[0][0]))
    counts = np.bincount([to for (_, to), _ in ordered], minlength=task_count)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    task = np.array([sender for (sender, _), _ in ordered], np.int32)
    return Edges(first, task, np.array([size for _, size in ordered], float))


@st.composite
def problems(draw: st.DrawFn, *, most_tasks: int = 4, most_nodes: int = 2) -> Problem:
    """Problems of up to four tasks on up to two nodes, each task able to run somewhere: exclusive and shared nodes,
    options, all networks, releases, inputs, nodes that open later, held tasks, several runs."""
    tasks, nodes = draw(st.integers(1, most_tasks)), draw(st.integers(1, most_nodes))
    modes = [draw(st.integers(1, 2)) for _ in range(tasks)]
    rows = sum(modes)
    seconds = np.array(draw(_table(rows, nodes, SECONDS)))
    is_shared = draw(st.booleans())
    demand = np.array(draw(_table(rows, 2, st.sampled_from([0.0, 1.0, 2.0])))) if is_shared else np.ones((rows, 1))
    capacity = np.full((nodes, 2), 2.0) if is_shared else np.ones((nodes, 1))
    seconds[_extra(modes)] = np.where(draw(_mask(len(_extra(modes)), nodes)), NEVER, seconds[_extra(modes)])
    pairs = [(i, j) for j in range(tasks) for i in range(j)]
    arrows = {pair: draw(BYTES) for pair in pairs if draw(st.booleans())}
    inputs = {(draw(st.integers(0, nodes - 1)), task): draw(BYTES) for task in range(tasks) if draw(st.booleans())}
    return Problem(
        seconds=seconds,
        column_of_node=np.arange(nodes, dtype=np.int32),
        first_mode=np.concatenate([[0], np.cumsum(modes)]).astype(np.int32),
        row_of_mode=np.arange(rows, dtype=np.int32),
        demand=demand,
        capacity=capacity,
        edges=edges_of(tasks, arrows),
        network=draw(networks(nodes)),
        release=np.array([draw(st.sampled_from([0.0, 0.0, 3.0])) for _ in range(tasks)]),
        inputs=edges_of(tasks, inputs),
        opens=np.array([draw(st.sampled_from([0.0, 0.0, 5.0])) for _ in range(nodes)]),
        held=draw(_held(nodes, demand.shape[1])),
        runs=draw(_runs(tasks)),
    )


@st.composite
def networks(draw: st.DrawFn, nodes: int) -> Network:
    """Contention-free networks of every form."""
    figures = st.sampled_from([0.25, 0.5, 1.0])
    latency = draw(st.sampled_from([0.0, 0.5]))
    form = draw(st.sampled_from(["none", "uniform", "pairs", "cards"]))
    if form == "uniform":
        return Network(uniform=draw(figures), latency_seconds=latency)
    if form == "cards":
        return Network(cards=np.array([draw(figures) for _ in range(nodes)]), latency_seconds=latency)
    if form == "pairs":
        matrix = np.array(draw(_table(nodes, nodes, figures)))
        np.fill_diagonal(matrix, 0.0)
        return Network(pairs=matrix, latency_seconds=latency)
    return Network()


def best_by_trying(problem: Problem, value: Callable[[Schedule], float]) -> float:
    """The least value of any schedule, for a value that no earlier finish can raise.

    Every order that respects the edges, every node and mode, each task as early as it can: one of these is optimal.
    """
    return min((value(found) for found in _all_schedules(problem)), default=float("inf"))


def _all_schedules(problem: Problem) -> Iterator[Schedule]:
    choices = [list(zip(*can_run(problem, task), strict=True)) for task in range(problem.task_count)]
    upstreams = [set(_upstreams(problem, task)) for task in range(problem.task_count)]
    for order in permutations(range(problem.task_count)):
        if all(upstreams[task] <= set(order[:place]) for place, task in enumerate(order)):
            for chosen in product(*choices):
                yield as_early_as_possible(problem, order, chosen)


def as_early_as_possible(
    problem: Problem, order: tuple[int, ...], chosen: tuple[tuple[int, int, float], ...]
) -> Schedule:
    """Each task in the order given on its (node, mode, seconds), into the first gap that takes it."""
    tasks = problem.task_count
    schedule = Schedule(
        np.full(tasks, UNPLACED, np.int32), np.zeros(tasks, np.int32), np.full(tasks, NEVER), np.full(tasks, NEVER)
    )
    for task in order:
        node, mode, takes = chosen[task]
        ready = _ready(problem, schedule, task, node)
        ends = [*schedule.finish[schedule.node == node], *problem.held.until[problem.held.node == node]]
        moments = sorted({ready, *(float(end) for end in ends if ready < end < NEVER)})
        demand = problem.demand[problem.first_mode[task] + mode]
        start = next(at for at in moments if _fits(problem, schedule, node, demand, at, at + takes))
        schedule.node[task], schedule.mode[task] = node, mode
        schedule.start[task], schedule.finish[task] = start, start + takes
    return schedule


def _ready(problem: Problem, schedule: Schedule, task: int, node: int) -> float:
    ready = max(0.0, float(problem.release[task]), float(problem.opens[node]))
    for edges, came_at in ((problem.edges, schedule.finish), (problem.inputs, None)):
        for k in range(edges.first[task], edges.first[task + 1]):
            other = edges.task[k]
            sender = other if came_at is None else schedule.node[other]
            came = 0.0 if came_at is None else float(came_at[other])
            cost = alone_seconds(problem.network, edges.bytes[k], sender, node)
            ready = max(ready, came + float(cost))
    return ready


def _fits(problem: Problem, schedule: Schedule, node: int, demand: np.ndarray, start: float, end: float) -> bool:
    here = np.flatnonzero(schedule.node == node)
    held = np.flatnonzero(problem.held.node == node)
    for at in [start, *(float(s) for s in schedule.start[here] if start < s < end)]:
        running = here[(schedule.start[here] <= at) & (at < schedule.finish[here])]
        used = demand + problem.demand[problem.first_mode[running] + schedule.mode[running]].sum(axis=0)
        used = used + problem.held.demand[held[problem.held.until[held] > at]].sum(axis=0)
        if ((used > problem.capacity[node] + 1e-9) & (demand > 0)).any():
            return False
    return True


def _upstreams(problem: Problem, task: int) -> list[int]:
    return [int(u) for u in problem.edges.task[problem.edges.first[task] : problem.edges.first[task + 1]]]


def _extra(modes: list[int]) -> list[int]:
    first = np.concatenate([[0], np.cumsum(modes)])
    return [int(first[task]) + 1 for task, count in enumerate(modes) if count > 1]


def _table(rows: int, columns: int, values: st.SearchStrategy[float]) -> st.SearchStrategy[list[list[float]]]:
    row = st.lists(values, min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows)


def _mask(rows: int, columns: int) -> st.SearchStrategy[np.ndarray]:
    row = st.lists(st.booleans(), min_size=columns, max_size=columns)
    table = st.lists(row, min_size=rows, max_size=rows)
    return table.map(lambda cells: np.array(cells, bool).reshape(rows, columns))


@st.composite
def _held(draw: st.DrawFn, nodes: int, resources: int) -> Held:
    count = draw(st.integers(0, 2))
    node = np.array([draw(st.integers(0, nodes - 1)) for _ in range(count)], np.int32)
    until = np.array([draw(st.sampled_from([1.0, 6.0])) for _ in range(count)], float)
    return Held(node, np.ones((count, resources)), until)


@st.composite
def _runs(draw: st.DrawFn, tasks: int) -> Runs:
    count = draw(st.integers(1, 2))
    zero = np.zeros(count, np.int32)
    return Runs(
        of_task=np.array([draw(st.integers(0, count - 1)) for _ in range(tasks)], np.int32),
        submitted=np.array([draw(st.sampled_from([0.0, -5.0])) for _ in range(count)]),
        weight=np.array([draw(st.sampled_from([1.0, 1.0, 3.0])) for _ in range(count)]),
        priority=zero,
        deadline=np.full(count, NEVER),
        project=zero,
        done_seconds=np.zeros(count),
    )


__all__ = ["as_early_as_possible", "best_by_trying", "edges_of", "networks", "problems"]
