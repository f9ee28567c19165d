"""A schedule as a web of arcs: each task on a node between two neighbours, and the longest paths through every task.

On exclusive nodes and a contention-free network a schedule is the longest paths of a graph: edges between tasks, and an
arc from each task to the next one on its node (the disjunctive graph of job shops). `head[t]` is the longest path up
to task t (its start), `rest[t]` the longest from its end to the end of everything. `order` lists tasks so that every
arc points forward, so one plain loop renews either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.planning.kernels.compiling import inlined, part
from server.planning.problem import Floats, Ints


class Land(NamedTuple):
    """What does not change: seconds [n, m], edges by receiver and by sender, rates both ways, and the earliest start of
    each task on each node that is due to neither edges nor neighbours (`floor`, [n, m] or [1, m] where it is the same
    for all)."""

    seconds: Floats
    first: Ints
    source: Ints
    bytes: Floats
    out_first: Ints
    out_edge: Ints
    target: Ints
    kind: int
    rate: Floats
    rate_back: Floats
    latency: float
    floor: Floats


class Web(NamedTuple):
    """A schedule: node, neighbours on the node (`before`, `behind`, -1 at the ends; `front` [m]), seconds there, cost
    of each edge as placed, order and each task's place in it, longest paths, and the latest end among the first i
    of the order (`peak`). The rest is scratch."""

    node: Ints
    before: Ints
    behind: Ints
    front: Ints
    takes: Floats
    base: Floats
    cost: Floats
    order: Ints
    place: Ints
    head: Floats
    rest: Floats
    peak: Floats
    ready: Floats
    after: Floats
    mark: Ints
    spare: Ints
    was_head: Floats
    was_rest: Floats
    was_peak: Floats
    was_order: Ints


def empty_web(tasks: int, nodes: int, edges: int) -> Web:
    """Room for a schedule."""
    ints, floats = np.int32, np.float64
    return Web(
        node=np.full(tasks, -1, ints),
        before=np.full(tasks, -1, ints),
        behind=np.full(tasks, -1, ints),
        front=np.full(nodes, -1, ints),
        takes=np.zeros(tasks, floats),
        base=np.zeros(tasks, floats),
        cost=np.zeros(edges, floats),
        order=np.zeros(tasks, ints),
        place=np.zeros(tasks, ints),
        head=np.zeros(tasks, floats),
        rest=np.zeros(tasks, floats),
        peak=np.zeros(tasks + 1, floats),
        ready=np.zeros(nodes, floats),
        after=np.zeros(nodes, floats),
        mark=np.zeros(tasks, ints),
        spare=np.zeros(tasks, ints),
        was_head=np.zeros(tasks, floats),
        was_rest=np.zeros(tasks, floats),
        was_peak=np.zeros(tasks + 1, floats),
        was_order=np.zeros(tasks, ints),
    )


@part
def lay(land: Land, web: Web, order: Ints, node: Ints) -> None:
    """Set the web to the given nodes, with the tasks of each node in the given order."""
    web.front[:] = -1
    last = np.full(len(web.front), -1, np.int32)
    for i in range(len(order)):
        t = order[i]
        j = node[t]
        web.order[i] = t
        web.place[t] = i
        web.node[t] = j
        web.takes[t] = land.seconds[t, j]
        web.base[t] = land.floor[t if len(land.floor) > 1 else 0, j]
        web.before[t] = last[j]
        web.behind[t] = -1
        if last[j] >= 0:
            web.behind[last[j]] = t
        else:
            web.front[j] = t
        last[j] = t
    for t in range(len(order)):
        for e in range(land.first[t], land.first[t + 1]):
            web.cost[e] = edge_cost(land.kind, land.rate, land.latency, node[land.source[e]], node[t], land.bytes[e])
    renew_heads(0, land.first, land.source, web.order, web.before, web.takes, web.base, web.cost, web.head, web.peak)
    renew_rests(
        len(order) - 1,
        land.out_first,
        land.out_edge,
        land.target,
        web.order,
        web.behind,
        web.takes,
        web.cost,
        web.rest,
    )


@inlined
def edge_cost(kind: int, rate: Floats, latency: float, sender: int, receiver: int, size: float) -> float:
    """Seconds of a transfer alone; `rate` is [m, m], or [1, 1] where all links are alike."""
    if sender == receiver or kind == 0:
        return 0.0
    if kind == 1:
        return latency + size * rate[0, 0]
    return latency + size * rate[sender, receiver]


@part
def renew_heads(
    since: int,
    first: Ints,
    source: Ints,
    order: Ints,
    before: Ints,
    takes: Floats,
    base: Floats,
    cost: Floats,
    head: Floats,
    peak: Floats,
) -> None:
    """Start times from position `since` of the order on."""
    high = peak[since]
    for i in range(since, len(order)):
        t = order[i]
        at = base[t]
        b = before[t]
        if b >= 0:
            at = max(at, head[b] + takes[b])
        for e in range(first[t], first[t + 1]):
            s = source[e]
            at = max(at, head[s] + takes[s] + cost[e])
        head[t] = at
        high = max(high, at + takes[t])
        peak[i + 1] = high


@part
def renew_rests(
    since: int,
    out_first: Ints,
    out_edge: Ints,
    target: Ints,
    order: Ints,
    behind: Ints,
    takes: Floats,
    cost: Floats,
    rest: Floats,
) -> None:
    """Longest paths to the end from position `since` of the order back to the first."""
    for i in range(since, -1, -1):
        t = order[i]
        long = 0.0
        b = behind[t]
        if b >= 0:
            long = takes[b] + rest[b]
        for k in range(out_first[t], out_first[t + 1]):
            s = target[k]
            long = max(long, cost[out_edge[k]] + takes[s] + rest[s])
        rest[t] = long


@inlined
def unlink(t: int, j: int, before: Ints, behind: Ints, front: Ints) -> None:
    """Take a task out of its node's chain."""
    p, s = before[t], behind[t]
    if p >= 0:
        behind[p] = s
    else:
        front[j] = s
    if s >= 0:
        before[s] = p


@inlined
def link(t: int, j: int, p: int, before: Ints, behind: Ints, front: Ints) -> None:
    """Put a task into node j's chain behind p (-1: first)."""
    s = front[j] if p < 0 else behind[p]
    before[t] = p
    behind[t] = s
    if p >= 0:
        behind[p] = t
    else:
        front[j] = t
    if s >= 0:
        before[s] = t


@part
def reorder(
    v: int,
    first: Ints,
    source: Ints,
    out_first: Ints,
    target: Ints,
    before: Ints,
    behind: Ints,
    order: Ints,
    place: Ints,
    mark: Ints,
    spare: Ints,
) -> int:
    """Move task v, whose neighbours have changed, to a place in the order where all arcs point forward, with as few
    others as need be (after Pearce and Kelly, ACM JEA 11, 2006). The first position that changed, or -1 if there is a
    circle; then nothing has."""
    low, high = -1, len(order)
    if before[v] >= 0:
        low = place[before[v]]
    if behind[v] >= 0:
        high = place[behind[v]]
    for e in range(first[v], first[v + 1]):
        low = max(low, place[source[e]])
    for k in range(out_first[v], out_first[v + 1]):
        high = min(high, place[target[k]])
    own = place[v]
    if low < own < high:
        return own
    if low < high:
        goal = low if own < low else high
        shift(own, goal, order, place)
        return min(own, goal)
    return regroup(
        v,
        min(high, own),
        max(low, own),
        first,
        source,
        out_first,
        target,
        before,
        behind,
        order,
        place,
        mark,
        spare,
    )


@inlined
def shift(own: int, goal: int, order: Ints, place: Ints) -> None:
    """Move the task at one position to another; those between move up by one."""
    v = order[own]
    step = 1 if goal > own else -1
    i = own
    while i != goal:
        order[i] = order[i + step]
        place[order[i]] = i
        i += step
    order[goal] = v
    place[v] = goal


@part
def regroup(
    v: int,
    begin: int,
    end: int,
    first: Ints,
    source: Ints,
    out_first: Ints,
    target: Ints,
    before: Ints,
    behind: Ints,
    order: Ints,
    place: Ints,
    mark: Ints,
    spare: Ints,
) -> int:
    """Within positions `begin` to `end`: what does not follow v, then v, then what does. As `reorder`."""
    for i in range(begin, end + 1):
        mark[order[i]] = 0
    if behind[v] >= 0:
        mark[behind[v]] = 1
    for k in range(out_first[v], out_first[v + 1]):
        mark[target[k]] = 1
    count = 0
    for i in range(begin, end + 1):
        t = order[i]
        if t == v:
            continue
        if follows(t, v, begin, end, first, source, before, place, mark):
            mark[t] = 1
            spare[count] = t
            count += 1
    is_circle = before[v] >= 0 and place[before[v]] >= begin and mark[before[v]] == 1
    for e in range(first[v], first[v + 1]):
        is_circle = is_circle or (place[source[e]] >= begin and mark[source[e]] == 1)
    if is_circle:
        return -1
    to = begin
    for i in range(begin, end + 1):
        t = order[i]
        if t != v and mark[t] == 0:
            order[to] = t
            place[t] = to
            to += 1
    order[to] = v
    place[v] = to
    for i in range(count):
        order[to + 1 + i] = spare[i]
        place[spare[i]] = to + 1 + i
    return begin


@inlined
def follows(
    t: int, v: int, begin: int, end: int, first: Ints, source: Ints, before: Ints, place: Ints, mark: Ints
) -> bool:
    """Whether a task of the window follows v: marked already, or directly behind something in it that is."""
    if mark[t] == 1:
        return True
    b = before[t]
    if b >= 0 and b != v and begin <= place[b] <= end and mark[b] == 1:
        return True
    for e in range(first[t], first[t + 1]):
        s = source[e]
        if s != v and begin <= place[s] <= end and mark[s] == 1:
            return True
    return False


__all__ = ["Land", "Web", "edge_cost", "empty_web", "lay", "link", "renew_heads", "renew_rests", "reorder", "unlink"]
