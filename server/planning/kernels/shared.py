"""Nodes that run several tasks side by side while their demands fit: each node's free amounts as a step function of
time, the earliest window in which a demand fits, and entering a task there."""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import inlined, part
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.problem import Floats, Ints


@part
def begin_shared(ground: Ground, lanes: Lanes, held_node: Ints, held_demand: Floats, held_until: Floats) -> None:
    """Empty nodes with what is held on them, and what is promised of them."""
    nodes = len(ground.opens)
    for j in range(nodes):
        lanes.head[j] = j
        lanes.after[j] = -1
        lanes.time[j] = 0.0
        lanes.free[j] = ground.capacity[j]
    lanes.used[0] = nodes
    for k in range(len(held_node)):
        if held_until[k] > 0:
            occupy(lanes, held_node[k], 0.0, held_until[k], held_demand[k])
    for k in range(len(ground.promised_node)):
        if ground.promised_until[k] > ground.promised_since[k]:
            occupy(
                lanes,
                ground.promised_node[k],
                ground.promised_since[k],
                ground.promised_until[k],
                ground.promised_demand[k],
            )
    for j in range(nodes):
        skip_full(lanes, j)


@inlined
def fits(free: Floats, demand: Floats) -> bool:
    """Whether a demand fits what is free, rounding aside; what asks for nothing of a resource does not look at it."""
    for k in range(len(demand)):
        if demand[k] > 0 and demand[k] * (1 - 1e-12) > free[k] + 1e-10 * demand[k]:
            return False
    return True


@part
def earliest_window(lanes: Lanes, j: int, ready: float, takes: float, demand: Floats, latest: float) -> float:
    """The earliest start from `ready` on from which a demand fits for so long; infinite if there is none that ends by
    `latest`."""
    time, after = lanes.time, lanes.after
    b = lanes.head[j]
    while after[b] >= 0 and time[after[b]] <= ready:
        b = after[b]
    start = max(ready, time[b])
    while True:
        if not fits(lanes.free[b], demand):
            b = after[b]
            if b < 0:
                return np.inf
            start = time[b]
            if start + takes > latest:
                return np.inf
            continue
        if after[b] < 0 or time[after[b]] >= start + takes:
            return start
        b = after[b]


@part
def occupy(lanes: Lanes, j: int, start: float, finish: float, demand: Floats) -> None:
    """Take a demand out of node j's free amounts from start to finish."""
    b = break_at(lanes, j, start)
    end = break_at(lanes, j, finish) if finish < np.inf else -1
    while b != end and b >= 0:
        for k in range(len(demand)):
            lanes.free[b, k] -= demand[k]
        b = lanes.after[b]


@part
def break_at(lanes: Lanes, j: int, at: float) -> int:
    """The breakpoint of node j at that time, made if there is none."""
    b = lanes.head[j]
    while lanes.after[b] >= 0 and lanes.time[lanes.after[b]] <= at:
        b = lanes.after[b]
    if lanes.time[b] >= at:
        return int(b)
    new = lanes.used[0]
    lanes.used[0] = new + 1
    lanes.time[new] = at
    lanes.free[new] = lanes.free[b]
    lanes.after[new] = lanes.after[b]
    lanes.after[b] = new
    return int(new)


@part
def skip_full(lanes: Lanes, j: int) -> None:
    """Begin a node's steps where the least demand of all first fits: free amounts only shrink."""
    b = lanes.head[j]
    while lanes.after[b] >= 0 and not fits(lanes.free[b], lanes.least):
        b = lanes.after[b]
    lanes.head[j] = b
    lanes.ready_at[j] = lanes.time[b]


@part
def choose_shared(ground: Ground, lanes: Lanes, plan: Plan, task: int) -> tuple[int, int, float, float]:
    """The mode and node with the earliest finish, the first among equals: (node or -1, mode, start, seconds).
    `arrivals` goes before it."""
    best, where, how, when, long = np.inf, -1, 0, np.inf, np.inf
    bound = lanes.ends
    for q in range(ground.first_mode[task], ground.first_mode[task + 1]):
        row, demand = ground.seconds[ground.row[q]], ground.demand[q]
        likely = end_bounds(lanes.arrival, ground.opens, lanes.ready_at, row, ground.column, bound)
        for i in range(-min(len(bound), 1), len(bound)):
            j = likely if i < 0 else i
            if bound[j] > best or (bound[j] == best and (how != q or j >= where)):
                continue
            takes = float(row[ground.column[j]])
            start = earliest_window(lanes, j, max(lanes.arrival[j], ground.opens[j]), takes, demand, best)
            end = start + takes
            if end < best or (end == best and how == q and j < where):
                best, where, how, when, long = end, j, q, start, takes
    return where, how - ground.first_mode[task] if where >= 0 else 0, when, long


@part
def end_bounds(arrival: Floats, opens: Floats, ready_at: Floats, row: Floats, column: Ints, bound: Floats) -> int:
    """Fill `bound` [m] with what no end on a node is before; returns the node where that is least, which is looked at
    first: after it, few others can be better."""
    likely = 0
    for j in range(len(bound)):
        bound[j] = max(max(arrival[j], opens[j]), ready_at[j]) + row[column[j]]
    for j in range(len(bound)):
        if bound[j] < bound[likely]:
            likely = j
    return likely


@part
def choose_shared_on(ground: Ground, lanes: Lanes, plan: Plan, task: int, j: int) -> tuple[int, int, float, float]:
    """The mode with the earliest finish on node j: (node or -1, mode, start, seconds). `arrivals` goes before it."""
    best, how, when, long = np.inf, -1, np.inf, np.inf
    ready = max(lanes.arrival[j], ground.opens[j])
    for q in range(ground.first_mode[task], ground.first_mode[task + 1]):
        takes = float(ground.seconds[ground.row[q], ground.column[j]])
        if ready + takes < best:
            start = earliest_window(lanes, j, ready, takes, ground.demand[q], best)
            if start + takes < best:
                best, how, when, long = start + takes, q, start, takes
    return (j if how >= 0 else -1), (how - ground.first_mode[task] if how >= 0 else 0), when, long


@part
def enter_shared(
    ground: Ground, lanes: Lanes, plan: Plan, task: int, j: int, mode: int, start: float, takes: float
) -> None:
    """Put a task on node j from a start that `earliest_window` gave."""
    plan.node[task] = j
    plan.mode[task] = mode
    plan.start[task] = start
    plan.finish[task] = start + takes
    if takes > 0:
        occupy(lanes, j, start, start + takes, ground.demand[ground.first_mode[task] + mode])
        skip_full(lanes, j)


__all__ = ["begin_shared", "choose_shared", "choose_shared_on", "enter_shared"]
