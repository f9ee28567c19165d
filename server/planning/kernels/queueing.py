"""The whole queue at once: what is left of it, and its tasks in turn as they become ready."""

from __future__ import annotations

import heapq

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.decoding import choose, choose_on, enter
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.transfers import arrivals
from server.planning.problem import Floats, Ints


@compiled
def outline(ground: Ground, order: Ints, best: Floats, path: Floats) -> None:
    """Fill each task's seconds in its quickest way on its quickest node (0 where nothing can run it), and the longest
    chain of them from its start to the end of what depends on it."""
    path[:] = 0.0
    for t in range(len(best)):
        least = np.inf
        if ground.is_shared:
            for q in range(ground.first_mode[t], ground.first_mode[t + 1]):
                least = min(least, float(ground.seconds[ground.row[q]].min()))
        else:
            least = float(ground.seconds[ground.row[t]].min())
        best[t] = least if least < np.inf else 0.0
    for i in range(len(order) - 1, -1, -1):
        t = order[i]
        path[t] += best[t]
        for e in range(ground.first[t], ground.first[t + 1]):
            path[ground.source[e]] = max(path[ground.source[e]], path[t])


@compiled
def in_turn(
    ground: Ground,
    lanes: Lanes,
    plan: Plan,
    rank: Floats,
    level: Ints,
    senders_first: Ints,
    receivers: Ints,
    latest: Floats,
    price: Floats,
) -> None:
    """Place tasks in order of when they are ready, then of `level` (higher first), then of `rank` (lower first), each
    where it ends first. Where `price` [m] is not empty: where it is cheapest among what ends by `latest` [n]."""
    count = len(rank)
    waits = np.zeros(count, np.int32)
    heap = [(0.0, 0.0, 0.0, 0.0)]
    heap.pop()
    for t in range(count):
        waits[t] = ground.first[t + 1] - ground.first[t]
        if waits[t] == 0:
            heapq.heappush(heap, (ground.release[t], -float(level[t]), rank[t], float(t)))
    while len(heap) > 0:
        _, _, _, number = heapq.heappop(heap)
        t = int(number)
        if len(price) > 0:
            j, mode, start, takes = cheapest(ground, lanes, plan, t, latest[t], price)
        else:
            j, mode, start, takes = choose(ground, lanes, plan, t, -1)
        enter(ground, lanes, plan, t, j, mode, start, takes)
        if j < 0:
            continue
        for e in range(senders_first[t], senders_first[t + 1]):
            r = receivers[e]
            waits[r] -= 1
            if waits[r] == 0:
                at = ground.release[r]
                for i in range(ground.first[r], ground.first[r + 1]):
                    at = max(at, plan.finish[ground.source[i]])
                heapq.heappush(heap, (at, -float(level[r]), rank[r], float(r)))


@part
def cheapest(
    ground: Ground, lanes: Lanes, plan: Plan, task: int, latest: float, price: Floats
) -> tuple[int, int, float, float]:
    """Where a task costs least among the nodes on which it ends in time, the soonest of equals; where it ends first if
    it cannot end in time: (node or -1, mode, start, seconds)."""
    arrivals(ground, lanes, plan, task)
    best, least, soonest = -1, np.inf, np.inf
    how, when, long = 0, np.inf, np.inf
    is_in_time = False
    for j in range(len(ground.opens)):
        i, mode, start, takes = choose_on(ground, lanes, plan, task, j)
        if i < 0:
            continue
        finish, cost = start + takes, price[j] * takes
        can = finish <= latest
        if can and not is_in_time:
            better = True
        elif can != is_in_time:
            better = False
        elif can:
            better = cost < least or (cost == least and finish < soonest)
        else:
            better = finish < soonest
        if better:
            best, least, soonest, is_in_time = j, cost, finish, can
            how, when, long = mode, start, takes
    return best, how, when, long


__all__ = ["cheapest", "in_turn", "outline"]
