"""Nodes that run one task at a time: the earliest start on a node, gaps included, and entering a task there.

Insertion is that of HEFT (Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002). Two bounds per node (its longest gap and
where its last gap ends) answer most questions without looking at any gap.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import part
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.transfers import arrivals, seconds_between
from server.planning.problem import Floats


@part
def seconds_of(ground: Ground, lanes: Lanes, row: int) -> Floats:
    """[m] seconds of a row on every node: in place if node j is column j, gathered otherwise."""
    if ground.is_plain:
        return ground.seconds[row]
    values, buffer = ground.seconds[row], lanes.buffer
    for j in range(len(buffer)):
        buffer[j] = values[ground.column[j]]
    return buffer


@part
def earliest_gap(ground: Ground, lanes: Lanes, plan: Plan, j: int, ready: float, takes: float) -> float:
    """The earliest start of something that takes so long on node j, from `ready` on."""
    best = max(ready, lanes.ready_at[j])
    if ready + takes > lanes.gap_end[j] or takes > lanes.gap_most[j]:
        return best
    t = lanes.tail[j]
    while t >= 0:
        p = lanes.prev[t]
        free_from = plan.finish[p] if p >= 0 else ground.opens[j]
        start = max(ready, free_from)
        if start + takes <= plan.start[t]:
            best = start
        if free_from <= ready:
            break
        t = p
    return best


@part
def enter_exclusive(lanes: Lanes, plan: Plan, task: int, j: int, start: float, takes: float) -> None:
    """Put a task on node j at a start that `earliest_gap` gave."""
    plan.node[task] = j
    plan.start[task] = start
    plan.finish[task] = start + takes
    idle_from = lanes.ready_at[j]
    if start >= idle_from:
        lanes.prev[task] = lanes.tail[j]
        lanes.tail[j] = task
        lanes.ready_at[j] = start + takes
        if start > idle_from:
            lanes.gap_end[j] = start
            lanes.gap_most[j] = max(lanes.gap_most[j], start - idle_from)
        return
    t = lanes.tail[j]
    while lanes.prev[t] >= 0 and plan.finish[lanes.prev[t]] > start:
        t = lanes.prev[t]
    lanes.prev[task] = lanes.prev[t]
    lanes.prev[t] = task


@part
def choose_exclusive(ground: Ground, lanes: Lanes, plan: Plan, task: int) -> tuple[int, float, float]:
    """The node with the earliest finish, the lowest number among equals: (node or -1, start, seconds)."""
    if ground.kind <= 1 and not ground.is_one_port:
        return _choose_uniform(ground, lanes, plan, task)
    arrivals(ground, lanes, plan, task)
    takes = seconds_of(ground, lanes, ground.row[task])
    arrival, ready_at, gap_end = lanes.arrival, lanes.ready_at, lanes.gap_end
    limit = np.inf
    for j in range(len(arrival)):
        limit = min(limit, max(arrival[j], ready_at[j]) + takes[j])
    best, where, when = np.inf, -1, np.inf
    for j in range(len(arrival)):
        earliest = arrival[j] + takes[j]
        if earliest <= limit and (earliest <= gap_end[j] or max(arrival[j], ready_at[j]) + takes[j] <= limit):
            start = earliest_gap(ground, lanes, plan, j, arrival[j], takes[j])
            if start + takes[j] < best:
                best, where, when = start + takes[j], j, start
                limit = min(limit, best)
    if where < 0:
        return -1, np.inf, np.inf
    return where, when, float(takes[where])


@part
def _choose_uniform(ground: Ground, lanes: Lanes, plan: Plan, task: int) -> tuple[int, float, float]:
    """On a uniform network data is everywhere at one time, save on nodes that hold some of it: those are looked at
    one by one, all others in two plain loops over the row of seconds."""
    elsewhere = ground.release[task]
    for e in range(ground.first[task], ground.first[task + 1]):
        cost = seconds_between(ground, -1, -2, ground.bytes[e])
        elsewhere = max(elsewhere, plan.finish[ground.source[e]] + cost)
    for e in range(ground.input_first[task], ground.input_first[task + 1]):
        elsewhere = max(elsewhere, seconds_between(ground, -1, -2, ground.input_bytes[e]))
    if elsewhere == np.inf:
        return -1, np.inf, np.inf
    takes = seconds_of(ground, lanes, ground.row[task])
    best, where, when = _best_host(ground, lanes, plan, task, takes)
    limit = best
    ready_at, gap_end = lanes.ready_at, lanes.gap_end
    for j in range(len(takes)):
        limit = min(limit, max(elsewhere, ready_at[j]) + takes[j])
    for j in range(len(takes)):
        earliest = elsewhere + takes[j]
        if earliest <= limit and (earliest <= gap_end[j] or max(elsewhere, ready_at[j]) + takes[j] <= limit):
            start = earliest_gap(ground, lanes, plan, j, elsewhere, takes[j])
            if start + takes[j] < best:
                best, where, when = start + takes[j], j, start
                limit = min(limit, best)
    if where < 0:
        return -1, np.inf, np.inf
    return where, when, float(takes[where])


@part
def _best_host(ground: Ground, lanes: Lanes, plan: Plan, task: int, takes: Floats) -> tuple[float, int, float]:
    """The earliest finish among the nodes that hold some of the task's data."""
    best, where, when = np.inf, -1, np.inf
    begin, middle = ground.first[task], ground.first[task + 1]
    inputs = ground.input_first[task + 1] - ground.input_first[task]
    for e in range(begin, middle + inputs):
        j = plan.node[ground.source[e]] if e < middle else ground.input_node[ground.input_first[task] + e - middle]
        ready = arrival_on(ground, plan, task, j)
        if ready + takes[j] < best:
            start = earliest_gap(ground, lanes, plan, j, ready, takes[j])
            if start + takes[j] < best:
                best, where, when = start + takes[j], j, start
    return best, where, when


@part
def arrival_on(ground: Ground, plan: Plan, task: int, j: int) -> float:
    """When a task is released and its data is on node j; transfers have the network for themselves."""
    there = ground.release[task]
    for e in range(ground.first[task], ground.first[task + 1]):
        sender = ground.source[e]
        cost = seconds_between(ground, plan.node[sender], j, ground.bytes[e])
        there = max(there, plan.finish[sender] + cost)
    for e in range(ground.input_first[task], ground.input_first[task + 1]):
        there = max(there, seconds_between(ground, ground.input_node[e], j, ground.input_bytes[e]))
    return there


__all__ = ["arrival_on", "choose_exclusive", "earliest_gap", "enter_exclusive", "seconds_of"]
