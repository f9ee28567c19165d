"""HEFT on many nodes of a uniform network: most of the matrix of seconds is read once, for the ranks, and never again.

An octet is eight nodes next to each other, whose seconds share a cache line. While a row is read for its mean, the
least seconds of each octet are kept (a sixteenth of the matrix, as float32). Later they bound how early an octet can
end the task, and only octets whose bound reaches the best node found so far are looked at: branch and bound, one level
deep.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.exclusive import chain, first_lowest, walk_gaps
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.listing import last_data
from server.planning.problem import Floats, Ints

OCTET = 8
DOWN, LARGEST = 1 - 2.0**-23, 3e38
"""What makes a float32 that is not above the float64 it stands for."""


@part
def read_row(values: Floats, lows: Floats) -> float:
    """The sum of a row of seconds; fills [m / 8] the least of each octet, or a little below."""
    total = 0.0
    whole = len(values) // OCTET
    for o in range(whole):
        a, b, c, d, e, f, g, h = values[OCTET * o : OCTET * o + OCTET]
        least = min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)))
        lows[o] = np.float32(min(least * DOWN, LARGEST))
        total += ((a + b) + (c + d)) + ((e + f) + (g + h))
    if whole < len(lows):
        lows[whole] = LARGEST
    for j in range(OCTET * whole, len(values)):
        lows[whole] = min(lows[whole], np.float32(values[j] * DOWN))
        total += values[j]
    return total


@compiled
def decode_by_octets(ground: Ground, lanes: Lanes, plan: Plan, order: Ints, lows: Floats) -> None:
    """As `listing.decode_uniform`, given the least seconds of each row's octets; node j must be column j."""
    per_byte, latency, release, opens = ground.rate[0, 0], ground.latency * ground.kind, ground.release, ground.opens
    first, source, size, row, seconds = ground.first, ground.source, ground.bytes, ground.row, ground.seconds
    input_first, input_node, input_size = ground.input_first, ground.input_node, ground.input_bytes
    node, start, finish = plan.node, plan.start, plan.finish
    ready_at, gap_end, gap_most, tail, prev = lanes.ready_at, lanes.gap_end, lanes.gap_most, lanes.tail, lanes.prev
    octets = lows.shape[1]
    bounds, idle_from, gaps_until, gaps_most = np.zeros(octets), np.zeros(octets), np.zeros(octets), np.zeros(octets)
    for o in range(octets):
        summarise(o, ready_at, gap_end, gap_most, idle_from, gaps_until, gaps_most)
    for i in range(len(order)):
        task = order[i]
        takes = seconds[row[task]]
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
        bound(elsewhere, lows[row[task]], idle_from, gaps_until, gaps_most, bounds)
        where, best, when = -1, np.inf, np.inf
        if host >= 0:
            where, best, when = better_of(
                host,
                host + 1,
                takes,
                here,
                ready_at,
                gap_end,
                gap_most,
                tail,
                prev,
                start,
                finish,
                opens,
                -1,
                best,
                when,
            )
        likely = first_lowest(bounds)
        for k in range(-1, octets):
            o = likely if k < 0 else k
            if bounds[o] <= best and k != likely:
                j = OCTET * o
                where, best, when = better_of(
                    j,
                    min(j + OCTET, len(takes)),
                    takes,
                    elsewhere,
                    ready_at,
                    gap_end,
                    gap_most,
                    tail,
                    prev,
                    start,
                    finish,
                    opens,
                    where,
                    best,
                    when,
                )
        node[task] = where
        if where >= 0:
            chain(task, where, when, takes[where], tail, prev, ready_at, gap_end, gap_most, start, finish)
            summarise(where // OCTET, ready_at, gap_end, gap_most, idle_from, gaps_until, gaps_most)


@part
def summarise(
    o: int,
    ready_at: Floats,
    gap_end: Floats,
    gap_most: Floats,
    idle_from: Floats,
    gaps_until: Floats,
    gaps_most: Floats,
) -> None:
    """What an octet's nodes have at best: idle from, a gap that ends at, a gap as long as."""
    idle_from[o], gaps_until[o], gaps_most[o] = np.inf, 0.0, 0.0
    for j in range(OCTET * o, min(OCTET * o + OCTET, len(ready_at))):
        idle_from[o] = min(idle_from[o], ready_at[j])
        gaps_until[o] = max(gaps_until[o], gap_end[j])
        gaps_most[o] = max(gaps_most[o], gap_most[j])


@part
def bound(ready: float, lows: Floats, idle_from: Floats, gaps_until: Floats, gaps_most: Floats, bounds: Floats) -> None:
    """Fill for each octet what no node of it can end before."""
    for o in range(len(bounds)):
        is_gap = (ready + lows[o] <= gaps_until[o]) & (lows[o] <= gaps_most[o])
        bounds[o] = (ready if is_gap else max(ready, idle_from[o])) + lows[o]


@part
def better_of(
    begin: int,
    end: int,
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
    where: int,
    best: float,
    when: float,
) -> tuple[int, float, float]:
    """The node that ends the task first, of those from `begin` to `end` and the best known, the lowest number among
    equals: (node, its finish, its start)."""
    for j in range(begin, end):
        at = max(ready, ready_at[j])
        if ready + takes[j] <= min(best, gap_end[j]) and takes[j] <= gap_most[j]:
            at = walk_gaps(tail[j], prev, start, finish, opens[j], ready, takes[j], at)
        if at + takes[j] < best or (at + takes[j] == best and j < where):
            where, best, when = j, at + takes[j], at
    return where, best, when


__all__ = ["OCTET", "decode_by_octets", "read_row"]
