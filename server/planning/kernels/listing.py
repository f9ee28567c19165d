"""The fast path of decoding a list: exclusive nodes, transfers with the network for themselves.

Same answers as `decoding.decode`. On a uniform network data is everywhere at one time, save on the nodes that hold some
of it: those are looked at one by one, all others in plain loops over the row of seconds, so that ten thousand
tasks on a thousand nodes cost little more than reading their matrix.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.exclusive import best_elsewhere, best_of_all, chain, row_seconds, walk_gaps
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.transfers import raise_arrival
from server.planning.problem import Floats, Ints


@compiled
def decode_linked(ground: Ground, lanes: Lanes, plan: Plan, order: Ints) -> None:
    """Place the tasks in order where each ends earliest; links differ."""
    kind, rate, latency, release, opens = ground.kind, ground.rate, ground.latency, ground.release, ground.opens
    first, source, size, row = ground.first, ground.source, ground.bytes, ground.row
    input_first, input_node, input_size = ground.input_first, ground.input_node, ground.input_bytes
    node, start, finish = plan.node, plan.start, plan.finish
    arrival, ready_at, gap_end, gap_most = lanes.arrival, lanes.ready_at, lanes.gap_end, lanes.gap_most
    tail, prev = lanes.tail, lanes.prev
    seconds, is_plain, column, buffer = ground.seconds, ground.is_plain, ground.column, lanes.buffer
    for i in range(len(order)):
        task = order[i]
        arrival[:] = release[task]
        for e in range(first[task], first[task + 1]):
            raise_arrival(kind, rate, latency, node[source[e]], finish[source[e]], size[e], arrival)
        for e in range(input_first[task], input_first[task + 1]):
            raise_arrival(kind, rate, latency, input_node[e], 0.0, input_size[e], arrival)
        takes = row_seconds(seconds, row[task], is_plain, column, buffer)
        j, at = best_of_all(takes, arrival, ready_at, gap_end, gap_most, tail, prev, start, finish, opens)
        node[task] = j
        if j >= 0:
            chain(task, j, at, takes[j], tail, prev, ready_at, gap_end, gap_most, start, finish)


@compiled
def decode_uniform(ground: Ground, lanes: Lanes, plan: Plan, order: Ints) -> None:
    """Place the tasks in order where each ends earliest; all links are alike, or data is free."""
    per_byte, latency, release, opens = ground.rate[0, 0], ground.latency * ground.kind, ground.release, ground.opens
    first, source, size, row = ground.first, ground.source, ground.bytes, ground.row
    input_first, input_node, input_size = ground.input_first, ground.input_node, ground.input_bytes
    node, start, finish = plan.node, plan.start, plan.finish
    ready_at, gap_end, gap_most, tail, prev = lanes.ready_at, lanes.gap_end, lanes.gap_most, lanes.tail, lanes.prev
    seconds, is_plain, column, buffer = ground.seconds, ground.is_plain, ground.column, lanes.buffer
    for i in range(len(order)):
        task = order[i]
        takes = row_seconds(seconds, row[task], is_plain, column, buffer)
        elsewhere = release[task]
        for e in range(first[task], first[task + 1]):
            elsewhere = max(elsewhere, finish[source[e]] + latency + size[e] * per_byte)
        for e in range(input_first[task], input_first[task + 1]):
            elsewhere = max(elsewhere, latency + input_size[e] * per_byte)
        where, when, best = -1, np.inf, np.inf
        hosts = first[task + 1] - first[task] + input_first[task + 1] - input_first[task]
        for e in range(hosts if elsewhere < np.inf else 0):
            f = first[task] + e
            j = node[source[f]] if f < first[task + 1] else input_node[input_first[task] + f - first[task + 1]]
            ready = ready_on(
                task, j, per_byte, latency, first, source, size, input_first, input_node, input_size, node, finish
            )
            ready = max(ready, release[task])
            at = max(ready, ready_at[j])
            if ready + takes[j] <= gap_end[j] and takes[j] <= gap_most[j]:
                at = walk_gaps(tail[j], prev, start, finish, opens[j], ready, takes[j], at)
            if at + takes[j] < best:
                where, when, best = j, at, at + takes[j]
        if elsewhere < np.inf:
            j, at = best_elsewhere(
                takes, elsewhere, ready_at, gap_end, gap_most, tail, prev, start, finish, opens, best
            )
            if j >= 0:
                where, when = j, at
        node[task] = where
        if where >= 0:
            chain(task, where, when, takes[where], tail, prev, ready_at, gap_end, gap_most, start, finish)


@part
def ready_on(
    task: int,
    j: int,
    per_byte: float,
    latency: float,
    first: Ints,
    source: Ints,
    size: Floats,
    input_first: Ints,
    input_node: Ints,
    input_size: Floats,
    node: Ints,
    finish: Floats,
) -> float:
    """When all data of a task is on a node that holds some of it."""
    ready = 0.0
    for e in range(first[task], first[task + 1]):
        cost = 0.0 if node[source[e]] == j else latency + size[e] * per_byte
        ready = max(ready, finish[source[e]] + cost)
    for e in range(input_first[task], input_first[task + 1]):
        ready = max(ready, 0.0 if input_node[e] == j else latency + input_size[e] * per_byte)
    return ready


__all__ = ["decode_linked", "decode_uniform"]
