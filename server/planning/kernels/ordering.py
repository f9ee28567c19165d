"""Searches the order of runs: which one gets its nodes first, so that all of them together end soonest.

An order is decoded as `inserting` says. A run that comes first keeps room for its tasks that are not ready yet; beside
the order, the search looks for runs that had better push into such room now (see `Places`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.inserting import Chains, Places, Steps, Work, decode
from server.planning.problem import Floats, Ints

FARTHEST_MOVE = 8
"""A run is moved by at most so many places at a time."""

GAIN = 1e-9
"""An order must be better by more than this share to be taken."""

PUSH_EVERY = 3
"""Where any run could push in, every third round tries whether one should, or should not."""


class Lines(NamedTuple):
    """What the turnaround of runs costs, and which may be moved.

    Run k that ends at f, or at `bound[k]` if that is later, has had the turnaround x = f - `submitted[k]` and costs
    `linear[k] x + square[k] x^2 + late[k] max(0, f - deadline[k])`. `level` [k]: higher goes first, and a lower one
    never counts against it. `pinned` [k], 0 or 1: not to be moved, nor to push in.
    """

    bound: Floats
    submitted: Floats
    linear: Floats
    square: Floats
    late: Floats
    deadline: Floats
    level: Ints
    pinned: Ints


@compiled
def improve(
    work: Work, empty: Steps, steps: Steps, chains: Chains, lines: Lines, order: Ints, rounds: int, pushes: Ints
) -> float:
    """Move runs in the order, one at a time and within its level, and keep what lowers the level's cost, or at equal
    cost that of all; likewise let runs push in or not. `rounds` changes are tried, what is best is left in `order` and
    `pushes` [k]; the answer is its cost."""
    count, tasks, runs = len(order), len(work.release), len(lines.bound)
    cost, tried, trial = np.zeros(runs), np.zeros(runs), order.copy()
    none = np.full(tasks, -1, np.int32)
    places = Places(none, none.copy(), np.full(tasks, np.inf), pushes, np.zeros(runs, np.int32))
    decode(work, empty, steps, chains, order, places)
    fill(chains, lines, order, places, cost)
    known = np.zeros(runs, np.int32)
    if chains.may_push.any():
        for run in order:
            pushes[run] = 1 - lines.pinned[run]
        decode(work, empty, steps, chains, order, places)
        fill(chains, lines, order, places, tried)
        known[:] = places.could * (1 - lines.pinned)
        if is_lower(tried, cost, lines, order):
            cost[:] = tried
        else:
            pushes[:] = 0
    state = 1
    for turn in range(rounds if count > 1 else 0):
        if turn % PUSH_EVERY == 0 and known.any():
            state = following(state)
            run = pick(order, known, state >> 8)
            pushes[run] = 1 - pushes[run]
            decode(work, empty, steps, chains, order, places)
            fill(chains, lines, order, places, tried)
            if is_lower(tried, cost, lines, order):
                cost[:] = tried
            else:
                pushes[run] = 1 - pushes[run]
            continue
        state = following(state)
        a = (state >> 8) % count
        state = following(state)
        step = (state >> 8) % (2 * FARTHEST_MOVE) - FARTHEST_MOVE
        b = reachable(lines, order, a, min(max(a + step + (1 if step >= 0 else 0), 0), count - 1))
        if a == b:
            continue
        move(order, trial, a, b)
        decode(work, empty, steps, chains, trial, places)
        fill(chains, lines, trial, places, tried)
        own, total = total_of(tried, lines, trial, lines.level[order[a]])
        own_before, before = total_of(cost, lines, order, lines.level[order[a]])
        is_better = own < own_before - GAIN * abs(own_before) or (
            own <= own_before and total < before - GAIN * abs(before)
        )
        if is_better and (not pushes.any() or is_lower(tried, cost, lines, order)):
            order[:] = trial
            cost[:] = tried
            known[:] = np.maximum(known, places.could * (1 - lines.pinned))
    return total_of(cost, lines, order, 0)[1]


@part
def following(state: int) -> int:
    """The next number of a sequence that looks drawn, and is always the same."""
    return (state * 1103515245 + 12345) & 0x7FFFFFFF


@part
def fill(chains: Chains, lines: Lines, order: Ints, places: Places, cost: Floats) -> None:
    """The cost [k] of the runs that were placed."""
    for run in order:
        last = lines.bound[run]
        for i in range(chains.first[run], chains.first[run + 1]):
            task = chains.task[i]
            if places.node[task] >= 0:
                last = max(last, places.finish[task])
        x = last - lines.submitted[run]
        late = max(last - lines.deadline[run], 0.0)
        cost[run] = lines.linear[run] * x + lines.square[run] * x * x + lines.late[run] * late


@part
def pick(order: Ints, known: Ints, number: int) -> int:
    """One of the runs that are known, in their order."""
    at = number % known.sum()
    for run in order:
        at -= known[run]
        if known[run] and at < 0:
            return int(run)
    return int(order[0])


@part
def is_lower(tried: Floats, cost: Floats, lines: Lines, order: Ints) -> bool:
    """Whether the first difference is for the better, group by group: by level, and in each the pinned runs first."""
    level, pinned = lines.level, lines.pinned
    own, before, last = 0.0, 0.0, len(order) - 1
    for at in range(len(order)):
        run, other = order[at], order[min(at + 1, last)]
        own += tried[run]
        before += cost[run]
        if at == last or level[other] != level[run] or pinned[other] != pinned[run]:
            if own < before - GAIN * abs(before):
                return True
            if own > before + GAIN * abs(before):
                return False
            own, before = 0.0, 0.0
    return False


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


__all__ = ["Lines", "improve", "move", "reachable", "total_of"]
