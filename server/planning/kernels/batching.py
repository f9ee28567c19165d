"""The batch rules: among all ready tasks, each with its earliest finish, which one is placed next.

Min-min and max-min are Ibarra and Kim's (J. ACM 24(2), 1977) in the form of Maheswaran et al. (Heterogeneous Computing
Workshop, 1999), whose sufferage rule is the third; here over whatever is ready, and with insertion. Placing a task
on a node only makes that node later, so a ready task is looked at again only if that node was its best or second.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.decoding import choose, choose_on, enter
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.transfers import arrivals
from server.planning.problem import Floats, Ints

MIN_MIN, MAX_MIN, SUFFERAGE = range(3)


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
    count = 0
    for t in range(tasks):
        if waits[t] == 0:
            count = join(ground, lanes, plan, rule, t, pool, count, score, best, second)
    while count > 0:
        at = pick(pool, count, score, level)
        task = pool[at]
        count -= 1
        pool[at] = pool[count]
        j, mode, start, takes = choose(ground, lanes, plan, task, best[task])
        enter(ground, lanes, plan, task, j, mode, start, takes)
        for i in range(count):
            if ground.is_one_port or (j >= 0 and (best[pool[i]] == j or second[pool[i]] == j)):
                rate(ground, lanes, plan, rule, pool[i], score, best, second)
        for e in range(first[task], first[task + 1]):
            waits[receivers[e]] -= 1
            if waits[receivers[e]] == 0:
                count = join(ground, lanes, plan, rule, receivers[e], pool, count, score, best, second)


@part
def join(
    ground: Ground,
    lanes: Lanes,
    plan: Plan,
    rule: int,
    task: int,
    pool: Ints,
    count: int,
    score: Floats,
    best: Ints,
    second: Ints,
) -> int:
    """A task has become ready; the new size of the pool."""
    pool[count] = task
    rate(ground, lanes, plan, rule, task, score, best, second)
    return count + 1


@part
def rate(
    ground: Ground, lanes: Lanes, plan: Plan, rule: int, task: int, score: Floats, best: Ints, second: Ints
) -> None:
    """Find a ready task's best node, and how urgent that makes it: the least score is placed next."""
    if rule != SUFFERAGE:
        j, _, start, takes = choose(ground, lanes, plan, task, -1)
        best[task] = j
        score[task] = start + takes if rule == MIN_MIN or j < 0 else -(start + takes)
        return
    arrivals(ground, lanes, plan, task)
    least, next_least = np.inf, np.inf
    best[task], second[task] = -1, -1
    for j in range(len(ground.opens)):
        if lanes.arrival[j] >= next_least:
            continue
        i, _, start, takes = choose_on(ground, lanes, plan, task, j)
        if i < 0 or start + takes >= next_least:
            continue
        if start + takes < least:
            next_least, second[task] = least, best[task]
            least, best[task] = start + takes, j
        else:
            next_least, second[task] = start + takes, j
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
