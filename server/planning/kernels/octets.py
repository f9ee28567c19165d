"""HEFT on many nodes of a uniform network: most of the matrix of seconds is read once, for the ranks, and never again.

An octet is every m/8-th node: eight that are equally far apart, so that the least seconds of all octets come of long
plain loops. They are kept while a row is read for its mean (a sixteenth of the matrix, as float32). Later they bound
how early an octet can end the task, and only octets whose bound reaches the best node found so far are looked at:
branch and bound, one level deep.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import inlined, part
from server.planning.kernels.exclusive import first_lowest, walk_gaps
from server.planning.problem import Floats, Ints

OCTET = 8
DOWN, LARGEST = 1 - 2.0**-23, 3e38
"""What makes a float32 that is not above the float64 it stands for."""


@part
def read_row(values: Floats, lows: Floats, room: Floats) -> float:
    """The sum of a row of seconds; fills [m / 8] the least of each octet, or a little below. `room` is for [m / 8]."""
    octets = len(lows)
    total = 0.0
    for j in range(len(values)):
        total += values[j]
    for o in range(octets):
        room[o] = values[o]
    for begin in range(octets, len(values), octets):
        segment = values[begin : begin + octets]
        for o in range(len(segment)):
            room[o] = min(room[o], segment[o])
    for o in range(octets):
        lows[o] = np.float32(min(room[o] * DOWN, LARGEST))
    return total


@part
def best_by_octets(
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
    lows: Floats,
    summary: Floats,
) -> tuple[int, float]:
    """As `exclusive.best_of_alike`, given the least seconds [m / 8] of the row's octets, and what `summarise` says."""
    bounds = summary[0]
    bound(elsewhere, lows, summary)
    where, best, when = -1, np.inf, np.inf
    likely = first_lowest(bounds)
    for k in range(-2, len(bounds)):
        o = likely if k < 0 else k
        if k == likely or bounds[o] > best or (k == -2 and host < 0):
            continue
        begin, end, ready = o, len(takes), elsewhere
        if k == -2:
            begin, end, ready = host, host + 1, here
        for j in range(begin, end, len(bounds)):
            at = max(ready, ready_at[j])
            if ready + takes[j] <= min(best, gap_end[j]) and takes[j] <= gap_most[j]:
                at = walk_gaps(tail[j], prev, start, finish, opens[j], ready, takes[j], at)
            if at + takes[j] < best or (at + takes[j] == best and j < where):
                where, best, when = j, at + takes[j], at
    return where, when


@inlined
def summarise(o: int, ready_at: Floats, gap_end: Floats, gap_most: Floats, summary: Floats) -> None:
    """Keep what an octet's nodes have at best, in rows 1 to 3 of [4, m / 8]: idle from, a gap that ends at, a gap as
    long as. Row 0 is room for bounds."""
    idle_from, until, most = np.inf, 0.0, 0.0
    for j in range(o, len(ready_at), summary.shape[1]):
        idle_from = min(idle_from, ready_at[j])
        until = max(until, gap_end[j])
        most = max(most, gap_most[j])
    summary[1, o], summary[2, o], summary[3, o] = idle_from, until, most


@part
def bound(ready: float, lows: Floats, summary: Floats) -> None:
    """Fill row 0 of the summary: what no node of each octet can end before."""
    bounds, idle_from, gaps_until, gaps_most = summary[0], summary[1], summary[2], summary[3]
    for o in range(len(bounds)):
        is_gap = (ready + lows[o] <= gaps_until[o]) & (lows[o] <= gaps_most[o])
        bounds[o] = (ready if is_gap else max(ready, idle_from[o])) + lows[o]


__all__ = ["OCTET", "best_by_octets", "read_row", "summarise"]
