"""Nodes that run one task at a time: the earliest start on a node, gaps included, and entering a task there.

Insertion is that of HEFT (Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002). Two bounds per node (its longest gap and
where its last gap ends) answer most questions without looking at any gap. The inner functions take plain arrays:
handing whole tuples down costs more than what they compute.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import inlined, part
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.problem import Floats, Ints

BLOCK = 64
INFINITE_BITS = np.float64(np.inf).view(np.int64)


@part
def seconds_of(ground: Ground, lanes: Lanes, row: int) -> Floats:
    """[m] seconds of a row on every node: in place if node j is column j, gathered otherwise."""
    return row_seconds(ground.seconds, row, ground.is_plain, ground.column, lanes.buffer)


@inlined
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


@inlined
def earliest_gap(ground: Ground, lanes: Lanes, plan: Plan, j: int, ready: float, takes: float) -> float:
    """The earliest start of something that takes so long on node j, from `ready` on."""
    last = max(ready, lanes.ready_at[j])
    if ready + takes > lanes.gap_end[j] or takes > lanes.gap_most[j]:
        return last
    return walk_gaps(lanes.tail[j], lanes.prev, plan.start, plan.finish, ground.opens[j], ready, takes, last)


@inlined
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
def first_lowest(values: Floats) -> int:
    """The first place of the lowest of some float64 that are not negative (they may be infinite).

    Looked up among their bits, which sort as they do: compilers take four or eight integers at once here, but floats
    one by one. Blocks of one fixed length, so that a lowest block is found before the place in it.
    """
    bits = values.view(np.int64)
    blocks = len(bits) // BLOCK
    lowest, begin = INFINITE_BITS, blocks * BLOCK
    for j in range(begin, len(bits)):
        lowest = min(lowest, bits[j])
    for b in range(blocks - 1, -1, -1):
        block = bits[b * BLOCK : (b + 1) * BLOCK]
        low = INFINITE_BITS
        for j in range(BLOCK):
            low = min(low, block[j])
        if low <= lowest:
            lowest, begin = low, b * BLOCK
    for j in range(begin, len(bits)):
        if bits[j] == lowest:
            return j
    return 0


@inlined
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
    ends: Floats,
) -> tuple[int, float]:
    """The node with the earliest finish when data arrives at `arrival` [m], the lowest number among equals: (node or
    -1, start). `ends` [m] is room to compute in."""
    for j in range(len(takes)):
        ends[j] = max(arrival[j], ready_at[j]) + takes[j]
    where = first_lowest(ends)
    best, when = ends[where], max(arrival[where], ready_at[where])
    for j in range(len(takes)):
        if arrival[j] + takes[j] <= min(best, gap_end[j]) and takes[j] <= gap_most[j]:
            at = walk_gaps(tail[j], prev, start, finish, opens[j], arrival[j], takes[j], np.inf)
            if at + takes[j] < best or (at + takes[j] == best and j < where):
                best, where, when = at + takes[j], j, at
    return (where, when) if best < np.inf else (-1, np.inf)


@part
def best_of_alike(
    takes: Floats,
    elsewhere: float,
    host: int,
    here: float,
    ready_at: Floats,
    gap_end: Floats,
    gap_most: Floats,
    tail: Ints,
    prev: Ints,
    start: Floats,
    finish: Floats,
    opens: Floats,
    ends: Floats,
) -> tuple[int, float]:
    """As `best_of_all` where data arrives at `here` on node `host` (-1: none) and at `elsewhere`, never before that,
    on all others."""
    for j in range(len(takes)):
        ends[j] = max(elsewhere, ready_at[j]) + takes[j]
    if host >= 0:
        ends[host] = max(here, ready_at[host]) + takes[host]
    where = first_lowest(ends)
    best, when = ends[where], max(here if where == host else elsewhere, ready_at[where])
    if host >= 0 and here + takes[host] <= min(best, gap_end[host]) and takes[host] <= gap_most[host]:
        at = walk_gaps(tail[host], prev, start, finish, opens[host], here, takes[host], np.inf)
        if at + takes[host] < best or (at + takes[host] == best and host < where):
            best, where, when = at + takes[host], host, at
    for begin in range(0, len(takes), BLOCK):
        if has_gaps(takes, elsewhere, gap_end, gap_most, best, begin):
            for j in range(begin, min(begin + BLOCK, len(takes))):
                if elsewhere + takes[j] <= min(best, gap_end[j]) and takes[j] <= gap_most[j]:
                    at = walk_gaps(tail[j], prev, start, finish, opens[j], elsewhere, takes[j], np.inf)
                    if at + takes[j] < best or (at + takes[j] == best and j < where):
                        best, where, when = at + takes[j], j, at
    return (where, when) if best < np.inf else (-1, np.inf)


@part
def has_gaps(takes: Floats, ready: float, gap_end: Floats, gap_most: Floats, best: float, begin: int) -> bool:
    """Whether any node of the block from `begin` on may have a gap that ends a task by `best`."""
    if begin + BLOCK > len(takes):
        return True
    takes, gap_end, gap_most = (
        takes[begin : begin + BLOCK],
        gap_end[begin : begin + BLOCK],
        gap_most[begin : begin + BLOCK],
    )
    count = 0
    for j in range(BLOCK):
        count += (ready + takes[j] <= min(best, gap_end[j])) & (takes[j] <= gap_most[j])
    return count > 0


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
        lanes.ends,
    )
    return where, when, float(takes[where]) if where >= 0 else np.inf


__all__ = ["best_of_alike", "best_of_all", "chain", "choose_exclusive", "earliest_gap", "enter_exclusive"]
__all__ += ["row_seconds", "seconds_of", "walk_gaps"]
