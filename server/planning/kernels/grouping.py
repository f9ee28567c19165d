"""Local search over webs: move a task to another node together with tasks of its own node that it exchanges data with.

Where transfers cost more than running, no task can leave its neighbours alone; a group can. All keep their places in
the order, so no circle can arise; the move is accepted as in simulated annealing.
"""

from __future__ import annotations

import math

import numpy as np

from server.planning.kernels.compiling import part
from server.planning.kernels.drawing import draw
from server.planning.kernels.moving import settle
from server.planning.kernels.web import Land, Web, renew_heads, renew_rests, unlink
from server.planning.problem import Ints


@part
def move_group(land: Land, web: Web, v: int, heat: float, state: Ints, group: Ints, was_behind: Ints) -> None:
    """Move task v and up to `len(group) - 1` connected tasks of its node to one other node, or leave all as it is."""
    tasks, own = len(web.node), web.node[v]
    goal = other_node(v, land.first, land.source, land.out_first, land.target, web.node, len(web.front), state)
    if goal == own:
        return
    most = 1 + int(draw(state) * len(group))
    count = gather(v, most, land.first, land.source, land.out_first, land.target, web.node, group, state)
    sort_by_place(group, count, web.place)
    for i in range(count):
        if land.seconds[group[i], goal] == np.inf:
            return
    before = web.peak[tasks]
    begin, end = web.place[group[0]], web.place[group[count - 1]]
    for i in range(count):
        was_behind[i] = web.before[group[i]]
        unlink(group[i], own, web.before, web.behind, web.front)
    for i in range(count):
        p = last_before(web.place[group[i]], goal, web.order, web.node)
        settle(land, web, group[i], goal, p)
    renew(land, web, begin, end)
    if web.peak[tasks] <= before - heat * math.log(1.0 - draw(state)):
        return
    for i in range(count):
        unlink(group[i], goal, web.before, web.behind, web.front)
    for i in range(count - 1, -1, -1):
        settle(land, web, group[i], own, was_behind[i])
    renew(land, web, begin, end)


@part
def other_node(
    v: int, first: Ints, source: Ints, out_first: Ints, target: Ints, node: Ints, nodes: int, state: Ints
) -> int:
    """The node of a random neighbour of v in the graph, or now and then any node."""
    inward = first[v + 1] - first[v]
    both = inward + out_first[v + 1] - out_first[v]
    if both == 0 or draw(state) < 0.3:
        return int(draw(state) * nodes)
    at = int(draw(state) * both)
    return node[source[first[v] + at]] if at < inward else node[target[out_first[v] + at - inward]]


@part
def gather(
    v: int, most: int, first: Ints, source: Ints, out_first: Ints, target: Ints, node: Ints, group: Ints, state: Ints
) -> int:
    """Grow a group around v along edges within its node; its size."""
    group[0] = v
    count, at = 1, 0
    while at < count and count < most:
        t = group[at]
        at += 1
        inward = first[t + 1] - first[t]
        both = inward + out_first[t + 1] - out_first[t]
        for i in range(both):
            s = source[first[t] + i] if i < inward else target[out_first[t] + i - inward]
            if node[s] == node[v] and count < most and draw(state) < 0.7:
                is_new = True
                for k in range(count):
                    is_new = is_new and group[k] != s
                if is_new:
                    group[count] = s
                    count += 1
    return count


@part
def sort_by_place(group: Ints, count: int, place: Ints) -> None:
    """Insertion sort of a few tasks."""
    for i in range(1, count):
        t, k = group[i], i
        while k > 0 and place[group[k - 1]] > place[t]:
            group[k] = group[k - 1]
            k -= 1
        group[k] = t


@part
def last_before(position: int, j: int, order: Ints, node: Ints) -> int:
    """The last task on node j before a position of the order, or -1."""
    for i in range(position - 1, -1, -1):
        if node[order[i]] == j:
            return order[i]
    return -1


@part
def renew(land: Land, web: Web, begin: int, end: int) -> None:
    """Longest paths after changes between two positions of the order."""
    renew_heads(
        begin, land.first, land.source, web.order, web.before, web.takes, web.base, web.cost, web.head, web.peak
    )
    renew_rests(end, land.out_first, land.out_edge, land.target, web.order, web.behind, web.takes, web.cost, web.rest)


__all__ = ["move_group"]
