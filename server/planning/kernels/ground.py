"""A problem as the kernels read it: arrays of fixed types in one tuple, and the state that decoding fills."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.planning.problem import Edges, Floats, Ints, Network, Problem, Promised, Sharing

DENSE_LIMIT = 4_000_000
"""Entries up to which a matrix of tasks x nodes may be made for a problem that is not one already."""
FREE, UNIFORM, PAIRS, CARDS = range(4)


class Ground(NamedTuple):
    """What does not change while schedules are built.

    `is_shared` says whether nodes run tasks side by side; where not, a task is one row of `seconds`, `row[t]`, its
    modes are folded into it (the quickest wins: nothing else tells them apart), and `demand` is not looked at.
    `is_plain` says that node j is column j. Edges are by receiver (`first`, `source`, `bytes`).
    """

    seconds: Floats
    row: Ints
    column: Ints
    is_plain: bool
    is_shared: bool
    first_mode: Ints
    demand: Floats
    capacity: Floats
    first: Ints
    source: Ints
    bytes: Floats
    kind: int
    is_one_port: bool
    rate: Floats
    latency: float
    mean_rate: float
    release: Floats
    opens: Floats
    input_first: Ints
    input_node: Ints
    input_bytes: Floats
    promised_node: Ints
    promised_demand: Floats
    promised_since: Floats
    promised_until: Floats


class Lanes(NamedTuple):
    """The state of the nodes while a schedule grows.

    Exclusive nodes: tasks of a node are chained backwards in time (`tail[j]`, then `prev[t]`); `ready_at` is when the
    last one ends; a gap fits only what is no longer than `gap_most` and ends by `gap_end` (both are bounds).
    Shared nodes: `head[j]`, then `after[b]`, chain the breakpoints of a step function: `free[b]` from `time[b]` on.
    One-port networks: `up` and `down` say when a node's card is free again to send and to receive.
    """

    tail: Ints
    prev: Ints
    ready_at: Floats
    gap_end: Floats
    gap_most: Floats
    head: Ints
    after: Ints
    time: Floats
    free: Floats
    used: Ints
    least: Floats
    up: Floats
    down: Floats
    arrival: Floats
    buffer: Floats
    ends: Floats


class Plan(NamedTuple):
    """The schedule that grows: node (-1 = unplaced), mode within the task, start and finish of each task."""

    node: Ints
    mode: Ints
    start: Floats
    finish: Floats


def ground(problem: Problem) -> Ground:
    """The arrays of a problem; its matrix of seconds is used in place where it can be."""
    is_shared, seconds, row, is_plain = _seconds(problem)
    edges, inputs, network = problem.edges, problem.inputs, problem.network
    kind, rate = _rates(network)
    promised = problem.promised or _nothing_promised(problem)
    return Ground(
        seconds=seconds,
        row=row,
        column=np.arange(problem.node_count, dtype=np.int32) if is_plain else _ints(problem.column_of_node),
        is_plain=is_plain,
        is_shared=is_shared,
        first_mode=_ints(problem.first_mode),
        demand=_floats(problem.demand),
        capacity=_floats(problem.capacity),
        first=_ints(edges.first),
        source=_ints(edges.task),
        bytes=_floats(edges.bytes),
        kind=kind,
        is_one_port=network.sharing is not Sharing.CONTENTION_FREE and kind != FREE,
        rate=rate,
        latency=float(network.latency_seconds),
        mean_rate=_mean_rate(kind, rate),
        release=_floats(problem.release),
        opens=_floats(problem.opens) if is_shared else _free_from(problem),
        input_first=_ints(inputs.first),
        input_node=_ints(inputs.task),
        input_bytes=_floats(inputs.bytes),
        promised_node=_ints(promised.node),
        promised_demand=_floats(promised.demand),
        promised_since=_floats(promised.since),
        promised_until=_floats(promised.until),
    )


def lanes(ground: Ground, problem: Problem) -> Lanes:
    """Empty nodes; what is held is entered by the kernel `begin`."""
    tasks, nodes = len(ground.release), len(ground.opens)
    held = len(problem.held.node) + len(ground.promised_node)
    room = nodes + 2 * (tasks + held) if ground.is_shared else 0
    resources = ground.capacity.shape[1]
    least = ground.demand.min(axis=0) if ground.is_shared and ground.demand.size else np.zeros(resources)
    return Lanes(
        tail=np.empty(nodes, np.int32),
        prev=np.empty(tasks, np.int32),
        ready_at=np.zeros(nodes),
        gap_end=np.zeros(nodes),
        gap_most=np.zeros(nodes),
        head=np.zeros(nodes, np.int32),
        after=np.full(room, -1, np.int32),
        time=np.zeros(room),
        free=np.zeros((room, resources)),
        used=np.zeros(1, np.int32),
        least=least,
        up=np.zeros(nodes),
        down=np.zeros(nodes),
        arrival=np.zeros(nodes),
        buffer=np.zeros(nodes, ground.seconds.dtype),
        ends=np.zeros(nodes),
    )


def empty_plan(task_count: int) -> Plan:
    """Nothing is placed."""
    return Plan(
        np.full(task_count, -1, np.int32),
        np.zeros(task_count, np.int32),
        np.full(task_count, np.inf),
        np.full(task_count, np.inf),
    )


def dense_seconds(problem: Problem) -> tuple[Floats, Ints]:
    """[n, m] seconds of each task's quickest mode on each node, infinite where none fits, and that mode's number."""
    tasks = np.repeat(np.arange(problem.task_count), np.diff(problem.first_mode))
    seconds = np.array(problem.seconds[problem.row_of_mode], np.float64)[:, problem.column_of_node]
    fits = (problem.demand[:, None, :] <= problem.capacity[None] * (1 + 1e-9)) | (problem.demand[:, None, :] == 0)
    seconds[~fits.all(axis=2)] = np.inf
    best = np.full((problem.task_count, problem.node_count), np.inf)
    mode = np.zeros(best.shape, np.int32)
    for at in range(len(tasks)):
        task = tasks[at]
        is_quicker = seconds[at] < best[task]
        best[task, is_quicker] = seconds[at, is_quicker]
        mode[task, is_quicker] = at - problem.first_mode[task]
    return best, mode


def _seconds(problem: Problem) -> tuple[bool, Floats, Ints, bool]:
    tasks, nodes = problem.task_count, problem.node_count
    is_plain = problem.seconds.shape[1] == nodes and bool((problem.column_of_node == np.arange(nodes)).all())
    is_shared = not problem.is_exclusive or not _held_fills(problem) or problem.promised is not None
    fits_everywhere = bool(
        (problem.demand.max(axis=0, initial=0) <= problem.capacity.min(axis=0, initial=np.inf)).all()
    )
    if is_shared or (problem.is_single_mode and fits_everywhere):
        return is_shared, _seconds_as_given(problem.seconds), _ints(problem.row_of_mode), is_plain
    if tasks * nodes > DENSE_LIMIT:
        return True, _seconds_as_given(problem.seconds), _ints(problem.row_of_mode), is_plain
    return False, dense_seconds(problem)[0], np.arange(tasks, dtype=np.int32), True


def _nothing_promised(problem: Problem) -> Promised:
    return Promised(np.zeros(0, np.int32), np.zeros((0, problem.capacity.shape[1])), np.zeros(0), np.zeros(0))


def _held_fills(problem: Problem) -> bool:
    """Whether nothing fits beside anything held, so that a node is simply free from a certain time on."""
    held = problem.held
    if not len(held.node) or not problem.demand.size:
        return True
    left = problem.capacity[held.node] - held.demand
    return bool((problem.demand.min(axis=0) > left).any(axis=1).all())


def _free_from(problem: Problem) -> Floats:
    free = np.array(problem.opens, np.float64)
    np.maximum.at(free, problem.held.node, problem.held.until)
    return free


def _rates(network: Network) -> tuple[int, Floats]:
    if network.pairs is not None:
        return PAIRS, _floats(network.pairs)
    if network.cards is not None:
        return CARDS, _floats(network.cards).reshape(1, -1)
    if network.uniform is not None:
        return UNIFORM, np.full((1, 1), float(network.uniform))
    return FREE, np.zeros((1, 1))


def _mean_rate(kind: int, rate: Floats) -> float:
    """Seconds per byte between two different nodes, averaged over all ordered pairs of them."""
    nodes = rate.shape[1]
    if kind == CARDS and nodes > 1:  # of two cards the slower counts: the k-th smallest is it in k pairs
        slower = np.sort(rate[0])
        return float((slower * np.arange(nodes)).sum() / (nodes * (nodes - 1) / 2))
    if kind == PAIRS and nodes > 1:
        return float((rate.sum() - np.trace(rate)) / (nodes * (nodes - 1)))
    return float(rate[0, 0])


def _seconds_as_given(seconds: Floats) -> Floats:
    """float64, unless it is a large matrix of float32: what is large is not copied if it need not be."""
    if seconds.dtype == np.float32 and seconds.size > DENSE_LIMIT and seconds.flags.carray:
        return seconds
    return _floats(seconds)


def _floats(values: Floats) -> Floats:
    """As float64 that a kernel takes: contiguous and writable; the same array where it is that already."""
    if values.dtype == np.float64 and values.flags.carray:
        return values
    return np.require(values, np.float64, ["C", "W"])


def _ints(values: Ints) -> Ints:
    if values.dtype == np.int32 and values.flags.carray:
        return values
    return np.require(values, np.int32, ["C", "W"])


__all__ = ["CARDS", "FREE", "PAIRS", "UNIFORM", "Edges", "Ground", "Lanes", "Plan"]
__all__ += ["dense_seconds", "empty_plan", "ground", "lanes"]
