"""The batch rules: among all ready tasks, each with its earliest finish, which one is placed next.

Min-min and max-min are Ibarra and Kim's (J. ACM 24(2), 1977) in the form of Maheswaran et al. (Heterogeneous Computing
Workshop, 1999), whose sufferage rule is the third; here over whatever is ready, and with insertion. Placing a task
on a node only makes that node later, so a ready task is looked at again only if that node was its best or second, and
then only on nodes where it may still end early enough: what it was found to end at before is a bound.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.decoding import choose, choose_on, enter
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.transfers import arrivals
from server.planning.problem import Floats, Ints

MIN_MIN, MAX_MIN, SUFFERAGE = range(3)
MOST_BOUNDS = 4_000_000
"""Tasks times nodes up to which bounds are kept (48 MB)."""


@compiled
def batch(ground: Ground, lanes: Lanes, plan: Plan, rule: int, level: Ints, waits: Ints, receivers: Ints) -> None:
    """Place all tasks by a rule. `level` [n] goes first where higher; `waits` [n] counts upstreams and is used up;
    `receivers` [E] names the receiving task of each edge, ordered by sender, from `senders_first` positions."""
    tasks = len(plan.node)
    first = np.zeros(tasks + 1, np.int32)
    for e in range(len(ground.source)):
        first[ground.source[e] + 1] += 1
    for t in range(tasks):
        first[t + 1] += first[t]
    pool, score = np.zeros(tasks, np.int32), np.zeros(tasks)
    best, second = np.full(tasks, -1, np.int32), np.full(tasks, -1, np.int32)
    nodes = len(ground.opens)
    rows = tasks if rule == SUFFERAGE and tasks * nodes <= MOST_BOUNDS else 0
    bound, known_at, changed_at = np.zeros((rows, nodes)), np.zeros((rows, nodes), np.int32), np.ones(nodes, np.int32)
    now = 1
    count = 0
    for t in range(tasks):
        if waits[t] == 0:
            pool[count] = t
            count += 1
            rate(ground, lanes, plan, rule, t, score, best, second, bound, known_at, changed_at, now)
    while count > 0:
        at = pick(pool, count, score, level)
        task = pool[at]
        count -= 1
        pool[at] = pool[count]
        j, mode, start, takes = choose(ground, lanes, plan, task, best[task])
        enter(ground, lanes, plan, task, j, mode, start, takes)
        now += 1
        if ground.is_one_port:
            changed_at[:] = now
        elif j >= 0:
            changed_at[j] = now
        for i in range(count):
            if ground.is_one_port or (j >= 0 and (best[pool[i]] == j or second[pool[i]] == j)):
                rate(ground, lanes, plan, rule, pool[i], score, best, second, bound, known_at, changed_at, now)
        for e in range(first[task], first[task + 1]):
            waits[receivers[e]] -= 1
            if waits[receivers[e]] == 0:
                pool[count] = receivers[e]
                count += 1
                rate(ground, lanes, plan, rule, receivers[e], score, best, second, bound, known_at, changed_at, now)


@part
def rate(
    ground: Ground,
    lanes: Lanes,
    plan: Plan,
    rule: int,
    task: int,
    score: Floats,
    best: Ints,
    second: Ints,
    bound: Floats,
    known_at: Ints,
    changed_at: Ints,
    now: int,
) -> None:
    """Find a ready task's best node, and how urgent that makes it: the least score is placed next.

    `bound` [n, m] (or empty) is where the task was found to end on each node at the count `known_at` [n, m]; that holds
    still where the node has not changed since (`changed_at` [m]), and is too low otherwise.
    """
    if rule != SUFFERAGE:
        j, _, start, takes = choose(ground, lanes, plan, task, -1)
        best[task] = j
        score[task] = start + takes if rule == MIN_MIN or j < 0 else -(start + takes)
        return
    arrivals(ground, lanes, plan, task)
    has_bounds = len(bound) > 0
    least, next_least = np.inf, np.inf
    best[task], second[task] = -1, -1
    for j in range(len(ground.opens)):
        if lanes.arrival[j] >= next_least or (has_bounds and bound[task, j] >= next_least):
            continue
        if has_bounds and known_at[task, j] >= changed_at[j]:
            end = bound[task, j]
        else:
            i, _, start, takes = choose_on(ground, lanes, plan, task, j)
            end = start + takes if i >= 0 else np.inf
            if has_bounds:
                bound[task, j], known_at[task, j] = end, now
        if end >= next_least:
            continue
        if end < least:
            next_least, second[task] = least, best[task]
            least, best[task] = end, j
        else:
            next_least, second[task] = end, j
    score[task] = least - next_least if best[task] >= 0 else np.inf


@part
def pick(pool: Ints, count: int, score: Floats, level: Ints) -> int:
    """The position of the least score among the highest level."""
    at = 0
    for i in range(1, count):
        if level[pool[i]] > level[pool[at]] or (level[pool[i]] == level[pool[at]] and score[pool[i]] < score[pool[at]]):
            at = i
    return at


__all__ = ["MAX_MIN", "MIN_MIN", "SUFFERAGE", "batch"]
