"""Nodes that run one task at a time: the earliest start on a node, gaps included, and entering a task there.

Insertion is that of HEFT (Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002). Two bounds per node (its longest gap and
where its last gap ends) answer most questions without looking at any gap. The inner functions take plain arrays:
handing whole tuples down costs more than what they compute.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import part
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.problem import Floats, Ints


@part
def seconds_of(ground: Ground, lanes: Lanes, row: int) -> Floats:
    """[m] seconds of a row on every node: in place if node j is column j, gathered otherwise."""
    return row_seconds(ground.seconds, row, ground.is_plain, ground.column, lanes.buffer)


@part
def row_seconds(seconds: Floats, row: int, is_plain: bool, column: Ints, buffer: Floats) -> Floats:
    """As `seconds_of`, of plain arrays."""
    if is_plain:
        return seconds[row]
    values = seconds[row]
    for j in range(len(buffer)):
        buffer[j] = values[column[j]]
    return buffer


@part
def walk_gaps(
    t: int, prev: Ints, start: Floats, finish: Floats, opens: float, ready: float, takes: float, last: float
) -> float:
    """The earliest start from `ready` on before task t or in a gap before that, else `last`."""
    best = last
    while t >= 0:
        p = prev[t]
        free_from = finish[p] if p >= 0 else opens
        at = max(ready, free_from)
        if at + takes <= start[t]:
            best = at
        if free_from <= ready:
            break
        t = p
    return best


@part
def earliest_gap(ground: Ground, lanes: Lanes, plan: Plan, j: int, ready: float, takes: float) -> float:
    """The earliest start of something that takes so long on node j, from `ready` on."""
    last = max(ready, lanes.ready_at[j])
    if ready + takes > lanes.gap_end[j] or takes > lanes.gap_most[j]:
        return last
    return walk_gaps(lanes.tail[j], lanes.prev, plan.start, plan.finish, ground.opens[j], ready, takes, last)


@part
def chain(
    task: int,
    j: int,
    at: float,
    takes: float,
    tail: Ints,
    prev: Ints,
    ready_at: Floats,
    gap_end: Floats,
    gap_most: Floats,
    start: Floats,
    finish: Floats,
) -> None:
    """Enter a task into node j's chain at a start that a search of gaps gave."""
    start[task] = at
    finish[task] = at + takes
    idle_from = ready_at[j]
    if at >= idle_from:
        prev[task] = tail[j]
        tail[j] = task
        ready_at[j] = at + takes
        if at > idle_from:
            gap_end[j] = at
            gap_most[j] = max(gap_most[j], at - idle_from)
        return
    t = tail[j]
    while prev[t] >= 0 and finish[prev[t]] > at:
        t = prev[t]
    prev[task] = prev[t]
    prev[t] = task


@part
def enter_exclusive(lanes: Lanes, plan: Plan, task: int, j: int, start: float, takes: float) -> None:
    """Put a task on node j at a start that `earliest_gap` gave."""
    plan.node[task] = j
    chain(
        task,
        j,
        start,
        takes,
        lanes.tail,
        lanes.prev,
        lanes.ready_at,
        lanes.gap_end,
        lanes.gap_most,
        plan.start,
        plan.finish,
    )


@part
def best_of_all(
    takes: Floats,
    arrival: Floats,
    ready_at: Floats,
    gap_end: Floats,
    gap_most: Floats,
    tail: Ints,
    prev: Ints,
    start: Floats,
    finish: Floats,
    opens: Floats,
) -> tuple[int, float]:
    """The node with the earliest finish when data arrives at `arrival` [m]: (node or -1, start)."""
    limit = np.inf
    for j in range(len(takes)):
        limit = min(limit, max(arrival[j], ready_at[j]) + takes[j])
    where, when, best = -1, np.inf, np.inf
    for j in range(len(takes)):
        ready = arrival[j]
        at = max(ready, ready_at[j])
        if ready + takes[j] <= min(limit, gap_end[j]) and takes[j] <= gap_most[j]:
            at = walk_gaps(tail[j], prev, start, finish, opens[j], ready, takes[j], at)
        if at + takes[j] < best:
            best, where, when = at + takes[j], j, at
    return where, when


@part
def best_elsewhere(
    takes: Floats,
    ready: float,
    ready_at: Floats,
    gap_end: Floats,
    gap_most: Floats,
    tail: Ints,
    prev: Ints,
    start: Floats,
    finish: Floats,
    opens: Floats,
    known: float,
) -> tuple[int, float]:
    """As `best_of_all` with one arrival for all nodes, and only if it ends before `known`: (node or -1, start)."""
    limit, count = known, 0
    for j in range(len(takes)):
        limit = min(limit, max(ready, ready_at[j]) + takes[j])
    for j in range(len(takes)):
        count += ready + takes[j] <= min(limit, gap_end[j])
    if count == 0:
        for j in range(len(takes)):
            if limit < known and max(ready, ready_at[j]) + takes[j] <= limit:
                return j, max(ready, ready_at[j])
        return -1, np.inf
    where, when, best = -1, np.inf, known
    for j in range(len(takes)):
        at = max(ready, ready_at[j])
        if ready + takes[j] <= min(limit, gap_end[j]) and takes[j] <= gap_most[j]:
            at = walk_gaps(tail[j], prev, start, finish, opens[j], ready, takes[j], at)
        if at + takes[j] < best:
            best, where, when = at + takes[j], j, at
    return where, when


@part
def choose_exclusive(ground: Ground, lanes: Lanes, plan: Plan, task: int) -> tuple[int, float, float]:
    """The node with the earliest finish given `lanes.arrival`, the lowest number among equals: (node or -1, start,
    seconds)."""
    takes = seconds_of(ground, lanes, ground.row[task])
    where, when = best_of_all(
        takes,
        lanes.arrival,
        lanes.ready_at,
        lanes.gap_end,
        lanes.gap_most,
        lanes.tail,
        lanes.prev,
        plan.start,
        plan.finish,
        ground.opens,
    )
    return where, when, float(takes[where]) if where >= 0 else np.inf


__all__ = ["best_elsewhere", "best_of_all", "chain", "choose_exclusive", "earliest_gap", "enter_exclusive"]
__all__ += ["row_seconds", "seconds_of", "walk_gaps"]
