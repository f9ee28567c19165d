"""Searches the order of runs: which one gets its nodes first, so that all of them together end soonest.

An order is decoded run by run, each run's tasks by rank, each task where it ends first, gaps included: a run that comes
first keeps room for its tasks that are not ready yet, and later ones fill what is left. Some hundred orders are decoded
in every cycle, so this decoder is one lean loop over flat arrays; transfers are left to the last, general decoding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.problem import Floats, Ints

FARTHEST_MOVE = 8
"""A run is moved by at most so many places at a time."""

GAIN = 1e-9
"""An order must be better by more than this share to be taken."""


class Work(NamedTuple):
    """The tasks, as in `Problem`: flat arrays of fixed types. `least` [r] is the least demand of all modes."""

    seconds: Floats
    column: Ints
    first_mode: Ints
    row: Ints
    demand: Floats
    least: Floats
    first: Ints
    source: Ints
    release: Floats
    opens: Floats


class Steps(NamedTuple):
    """Free amounts of every node as a step function: `head[j]`, then `after[b]`, chain the breakpoints of node j, and
    `free[b]` holds from `time[b]` on. `used[0]` breakpoints are in use."""

    head: Ints
    after: Ints
    time: Floats
    free: Floats
    used: Ints


class Lines(NamedTuple):
    """The runs whose order is searched, and what their turnaround costs.

    `task[first[k]:first[k + 1]]` are the tasks of run k in the order in which they are placed. Run k that ends at f, or
    at `bound[k]` if that is later, has had the turnaround x = f - `submitted[k]` and costs
    `linear[k] x + square[k] x^2 + late[k] max(0, f - deadline[k])`. `level` [k]: higher goes first, and a lower one
    never counts against it. `pinned` [k]: not to be moved.
    """

    first: Ints
    task: Ints
    bound: Floats
    submitted: Floats
    linear: Floats
    square: Floats
    late: Floats
    deadline: Floats
    level: Ints
    pinned: Ints


@compiled
def improve(work: Work, empty: Steps, steps: Steps, lines: Lines, order: Ints, rounds: int, seed: int) -> float:
    """Move runs in the order, one at a time and within its level, and keep what lowers the level's cost, or at equal
    cost that of all. `rounds` orders are tried, the best one is left in `order`; the answer is its cost."""
    count = len(order)
    cost, tried, trial = np.zeros(len(lines.bound)), np.zeros(len(lines.bound)), order.copy()
    finish = np.full(len(work.release), np.inf)
    decode(work, empty, steps, lines, order, finish, cost)
    state = seed
    for _ in range(rounds if count > 1 else 0):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        a = (state >> 8) % count
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        step = (state >> 8) % (2 * FARTHEST_MOVE) - FARTHEST_MOVE
        b = reachable(lines, order, a, min(max(a + step + (1 if step >= 0 else 0), 0), count - 1))
        if a == b:
            continue
        move(order, trial, a, b)
        decode(work, empty, steps, lines, trial, finish, tried)
        own, total = total_of(tried, lines, trial, lines.level[order[a]])
        own_before, before = total_of(cost, lines, order, lines.level[order[a]])
        if own < own_before - GAIN * abs(own_before) or (own <= own_before and total < before - GAIN * abs(before)):
            order[:] = trial
            cost[:] = tried
    return total_of(cost, lines, order, 0)[1]


@part
def decode(work: Work, empty: Steps, steps: Steps, lines: Lines, order: Ints, finish: Floats, cost: Floats) -> None:
    """Place the runs' tasks on the `empty` nodes, and fill the finish [n] of each and the cost [k] of each run."""
    seconds, column, first_mode, row, demand, least, first, source, release, opens = work
    head, after, time, free, used = steps
    used[0] = empty.used[0]
    head[:] = empty.head
    after[: used[0]] = empty.after
    time[: used[0]] = empty.time
    free[: used[0]] = empty.free
    for run in order:
        last = lines.bound[run]
        for i in range(lines.first[run], lines.first[run + 1]):
            task = lines.task[i]
            ready = release[task]
            for e in range(first[task], first[task + 1]):
                ready = max(ready, finish[source[e]])
            best, where, how, when = np.inf, -1, -1, np.inf
            for q in range(first_mode[task], first_mode[task + 1]):
                for j in range(len(column)):
                    takes = seconds[row[q], column[j]]
                    soonest = max(ready, time[head[j]], opens[j])
                    if soonest + takes < best:
                        start = window(head[j], after, time, free, demand, q, soonest, takes, best)
                        if start + takes < best:
                            best, where, how, when = start + takes, j, q, start
            finish[task] = best
            if where >= 0:
                last = max(last, best)
                if best > when:
                    take_out(head[where], after, time, free, used, demand, how, when, best)
                    head[where] = skipped(head[where], after, free, least)
        x = last - lines.submitted[run]
        late = max(last - lines.deadline[run], 0.0)
        cost[run] = lines.linear[run] * x + lines.square[run] * x * x + lines.late[run] * late


@part
def window(
    b: int, after: Ints, time: Floats, free: Floats, demand: Floats, q: int, start: float, takes: float, limit: float
) -> float:
    """The earliest start from `start` on, along the steps from breakpoint b, where mode q fits for so long; infinite
    where it would end no sooner than the limit."""
    while after[b] >= 0 and time[after[b]] <= start:
        b = after[b]
    while start + takes < limit:
        if fits(free, b, demand, q):
            if after[b] < 0 or time[after[b]] >= start + takes:
                return start
            b = after[b]
        else:
            b = after[b]
            if b < 0:
                return np.inf
            start = max(start, time[b])
    return np.inf


@part
def fits(free: Floats, b: int, demand: Floats, q: int) -> bool:
    """Whether row q of the demands fits what is free at breakpoint b, rounding aside; what is not asked for is not
    compared."""
    for k in range(free.shape[1]):
        if demand[q, k] > 0 and demand[q, k] > free[b, k] + 1e-9 * demand[q, k]:
            return False
    return True


@part
def take_out(
    b: int,
    after: Ints,
    time: Floats,
    free: Floats,
    used: Ints,
    demand: Floats,
    q: int,
    start: float,
    end: float,
) -> None:
    """Take mode q's demand out of the steps from start to end."""
    while after[b] >= 0 and time[after[b]] <= start:
        b = after[b]
    if time[b] < start:
        b = split(b, after, time, free, used, start)
    while True:
        if after[b] < 0 or time[after[b]] > end:
            split(b, after, time, free, used, end)
        for k in range(free.shape[1]):
            free[b, k] -= demand[q, k]
        b = after[b]
        if time[b] >= end:
            break


@part
def split(b: int, after: Ints, time: Floats, free: Floats, used: Ints, at: float) -> int:
    """A new breakpoint right after b, with the same free amounts."""
    new = used[0]
    used[0] = new + 1
    time[new], after[new], after[b] = at, after[b], new
    for k in range(free.shape[1]):
        free[new, k] = free[b, k]
    return int(new)


@part
def skipped(b: int, after: Ints, free: Floats, least: Floats) -> int:
    """The first breakpoint from b on where the least demand fits: what is full stays full."""
    while after[b] >= 0:
        for k in range(len(least)):
            if least[k] > 0 and least[k] > free[b, k] + 1e-9 * least[k]:
                break
        else:
            return b
        b = after[b]
    return b


@part
def total_of(cost: Floats, lines: Lines, order: Ints, level: int) -> tuple[float, float]:
    """The cost of the runs of one level, and of all in the order."""
    own, total = 0.0, 0.0
    for k in order:
        total += cost[k]
        if lines.level[k] == level:
            own += cost[k]
    return own, total


@part
def reachable(lines: Lines, order: Ints, a: int, b: int) -> int:
    """How far towards position b the run at position a may go: past its own level and what is not pinned only."""
    if lines.pinned[order[a]]:
        return a
    step = 1 if b > a else -1
    at = a
    while at != b:
        other = order[at + step]
        if lines.pinned[other] or lines.level[other] != lines.level[order[a]]:
            break
        at += step
    return at


@part
def move(order: Ints, trial: Ints, a: int, b: int) -> None:
    """Write into `trial` the order with the run at position a moved to position b."""
    trial[:] = order
    step = 1 if b > a else -1
    at = a
    while at != b:
        trial[at] = order[at + step]
        at += step
    trial[b] = order[a]


__all__ = ["Lines", "Steps", "Work", "decode", "improve", "move", "reachable", "total_of"]
