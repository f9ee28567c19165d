"""Decodes an order of runs into a schedule of nodes whose free amounts are step functions of time: one lean loop over
flat arrays, because some hundred orders are decoded in every cycle. Transfers are left to the last, general decoding.

Run by run, each run's tasks by rank, each task where it ends first, gaps included: a run that comes first keeps room
for its tasks that are not ready yet, and later ones fill what is left. Some runs may push in: their ready tasks that
would start now if only ready tasks were placed do so, whatever room others keep for later.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.planning.kernels.compiling import inlined, part
from server.planning.problem import Floats, Ints


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


class Chains(NamedTuple):
    """The runs: `task[first[k]:first[k + 1]]` are the tasks of run k in the order in which they are placed.
    `may_push` [q] says in which modes a task may push in."""

    first: Ints
    task: Ints
    may_push: Ints


class Places(NamedTuple):
    """What decoding gives: node (-1 = none), mode (of all) and finish [n] of each task. `pushes` [k], told: which runs
    may push in; `could` [k], filled: which runs have a task that would start now by it."""

    node: Ints
    mode: Ints
    finish: Floats
    pushes: Ints
    could: Ints


@part
def decode(work: Work, empty: Steps, steps: Steps, chains: Chains, order: Ints, places: Places) -> None:
    """Place the tasks of the runs on the `empty` nodes."""
    seconds, column, first_mode, row, demand, least, first, source, release, opens = work
    head, after, time, free, used = steps
    node, mode, finish, pushes, could = places
    node[:] = -1
    could[:] = 0
    if pushes.any():
        clear(empty, steps)
        start_now(work, steps, chains, order, places)
        clear(empty, steps)
        for task in chains.task:
            j = node[task]
            if j >= 0:
                take_out(head[j], after, time, free, used, demand, mode[task], 0.0, finish[task])
                head[j] = skipped(head[j], after, free, least)
    else:
        clear(empty, steps)
    for run in order:
        for i in range(chains.first[run], chains.first[run + 1]):
            task = chains.task[i]
            if node[task] >= 0:
                continue
            ready = release[task]
            for e in range(first[task], first[task + 1]):
                ready = max(ready, finish[source[e]])
            place(
                task,
                ready,
                seconds,
                column,
                first_mode,
                row,
                demand,
                least,
                opens,
                head,
                after,
                time,
                free,
                used,
                node,
                mode,
                finish,
            )


@part
def start_now(work: Work, steps: Steps, chains: Chains, order: Ints, places: Places) -> None:
    """Of ready tasks that have a mode to push in, placed in order, leave placed those that start now by it."""
    seconds, column, first_mode, row, demand, least, first, _, release, opens = work
    head, after, time, free, used = steps
    node, mode, finish, pushes, could = places
    for run in order:
        for i in range(chains.first[run], chains.first[run + 1]):
            task = chains.task[i]
            if first[task + 1] > first[task] or release[task] > 0:
                continue
            if not chains.may_push[first_mode[task] : first_mode[task + 1]].any():
                continue
            when = place(
                task,
                0.0,
                seconds,
                column,
                first_mode,
                row,
                demand,
                least,
                opens,
                head,
                after,
                time,
                free,
                used,
                node,
                mode,
                finish,
            )
            if node[task] >= 0 and (when > 0 or not chains.may_push[mode[task]]):
                node[task] = -1
            elif node[task] >= 0:
                could[run] = 1
                if not pushes[run]:
                    node[task] = -1


@part
def place(
    task: int,
    ready: float,
    seconds: Floats,
    column: Ints,
    first_mode: Ints,
    row: Ints,
    demand: Floats,
    least: Floats,
    opens: Floats,
    head: Ints,
    after: Ints,
    time: Floats,
    free: Floats,
    used: Ints,
    node: Ints,
    mode: Ints,
    finish: Floats,
) -> float:
    """Place one task where it ends first; the answer is when it starts."""
    best, where, how, when = np.inf, -1, -1, np.inf
    for q in range(first_mode[task], first_mode[task + 1]):
        for j in range(len(column)):
            takes = seconds[row[q], column[j]]
            soonest = max(ready, time[head[j]], opens[j])
            if soonest + takes < best:
                start = window(head[j], after, time, free, demand, q, soonest, takes, best)
                if start + takes < best:
                    best, where, how, when = start + takes, j, q, start
    finish[task], node[task], mode[task] = best, where, how
    if where >= 0 and best > when:
        take_out(head[where], after, time, free, used, demand, how, when, best)
        head[where] = skipped(head[where], after, free, least)
    return float(when)


@part
def clear(empty: Steps, steps: Steps) -> None:
    """The nodes as they are before anything is placed."""
    count = empty.used[0]
    steps.used[0] = count
    steps.head[:] = empty.head
    steps.after[:count] = empty.after
    steps.time[:count] = empty.time
    steps.free[:count] = empty.free


@inlined
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


@inlined
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


@inlined
def split(b: int, after: Ints, time: Floats, free: Floats, used: Ints, at: float) -> int:
    """A new breakpoint right after b, with the same free amounts."""
    new = used[0]
    used[0] = new + 1
    time[new], after[new], after[b] = at, after[b], new
    for k in range(free.shape[1]):
        free[new, k] = free[b, k]
    return int(new)


@inlined
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


__all__ = ["Chains", "Places", "Steps", "Work", "decode"]
