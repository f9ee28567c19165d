"""The fast path of decoding a list: exclusive nodes, transfers with the network for themselves.

Same answers as `decoding.decode`. On a uniform network data is everywhere at one time, save on the node from which the
last of it comes: one figure for all nodes instead of one each, so that ten thousand tasks on a thousand nodes cost
little more than reading their matrix.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.exclusive import best_of_alike, best_of_all, chain, row_seconds
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.octets import best_by_octets, summarise
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
    tail, prev, ends = lanes.tail, lanes.prev, lanes.ends
    seconds, is_plain, column, buffer = ground.seconds, ground.is_plain, ground.column, lanes.buffer
    for i in range(len(order)):
        task = order[i]
        arrival[:] = release[task]
        for e in range(first[task], first[task + 1]):
            raise_arrival(kind, rate, latency, node[source[e]], finish[source[e]], size[e], arrival)
        for e in range(input_first[task], input_first[task + 1]):
            raise_arrival(kind, rate, latency, input_node[e], 0.0, input_size[e], arrival)
        takes = row_seconds(seconds, row[task], is_plain, column, buffer)
        j, at = best_of_all(takes, arrival, ready_at, gap_end, gap_most, tail, prev, start, finish, opens, ends)
        node[task] = j
        if j >= 0:
            chain(task, j, at, takes[j], tail, prev, ready_at, gap_end, gap_most, start, finish)


@compiled
def decode_uniform(ground: Ground, lanes: Lanes, plan: Plan, order: Ints, lows: Floats) -> None:
    """Place the tasks in order where each ends earliest; all links are alike, or data is free.

    `lows`, where it has any columns, are the least seconds of each row's octets; node j must be column j then.
    """
    per_byte, latency, release, opens = ground.rate[0, 0], ground.latency * ground.kind, ground.release, ground.opens
    first, source, size, row = ground.first, ground.source, ground.bytes, ground.row
    input_first, input_node, input_size = ground.input_first, ground.input_node, ground.input_bytes
    node, start, finish = plan.node, plan.start, plan.finish
    ready_at, gap_end, gap_most, tail, prev = lanes.ready_at, lanes.gap_end, lanes.gap_most, lanes.tail, lanes.prev
    seconds, is_plain, column, buffer, ends = ground.seconds, ground.is_plain, ground.column, lanes.buffer, lanes.ends
    octets = lows.shape[1]
    summary = np.zeros((4, octets))
    for o in range(octets):
        summarise(o, ready_at, gap_end, gap_most, summary)
    for i in range(len(order)):
        task = order[i]
        begin, end, input_begin, input_end = first[task], first[task + 1], input_first[task], input_first[task + 1]
        elsewhere, host, here = last_data(
            source[begin:end],
            size[begin:end],
            input_node[input_begin:input_end],
            input_size[input_begin:input_end],
            node,
            finish,
            per_byte,
            latency,
        )
        here, elsewhere = max(here, release[task]), max(elsewhere, release[task])
        takes = row_seconds(seconds, row[task], is_plain, column, buffer)
        if octets > 0:
            j, at = best_by_octets(
                takes,
                elsewhere,
                host,
                here,
                ready_at,
                gap_end,
                gap_most,
                tail,
                prev,
                start,
                finish,
                opens,
                lows[row[task]],
                summary,
            )
        else:
            j, at = best_of_alike(
                takes, elsewhere, host, here, ready_at, gap_end, gap_most, tail, prev, start, finish, opens, ends
            )
        node[task] = j
        if j >= 0:
            chain(task, j, at, takes[j], tail, prev, ready_at, gap_end, gap_most, start, finish)
            if octets > 0:
                summarise(j % octets, ready_at, gap_end, gap_most, summary)


@part
def last_data(
    source: Ints,
    size: Floats,
    input_node: Ints,
    input_size: Floats,
    node: Ints,
    finish: Floats,
    per_byte: float,
    latency: float,
) -> tuple[float, int, float]:
    """When all data of a task is on any node but one, that one, and when it is there: (seconds, node or -1, seconds).

    The one is the node whose data would arrive last elsewhere. What lies on any other node gets there only with it.
    Never, if an upstream is unplaced.
    """
    last, host, second, own = 0.0, -1, 0.0, 0.0
    for e in range(len(source) + len(input_node)):
        if e < len(source):
            on, since, arrives = node[source[e]], finish[source[e]], latency + size[e] * per_byte
        else:
            i = e - len(source)
            on, since, arrives = input_node[i], 0.0, latency + input_size[i] * per_byte
        if on < 0:
            return np.inf, -1, np.inf
        arrives += since
        if on == host:
            last, own = max(last, arrives), max(own, since)
        elif host < 0 or arrives > last:
            second, last, host, own = last, arrives, on, since
        else:
            second = max(second, arrives)
    return last, host, max(second, own)


__all__ = ["decode_linked", "decode_uniform"]
