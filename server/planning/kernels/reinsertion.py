"""Local search over webs: take one task out, look at every place on every node where it could go, put it back.

With the task out, the longest paths of what is left give for *every* place the exact makespan after putting it there,
at the price of two loops over the tasks (Mastrolilli and Gambardella, Journal of Scheduling 3, 2000, for flexible job
shops; here with transfers). The place is drawn as in simulated annealing: the least of makespan plus a random
surcharge of mean `heat`.
"""

from __future__ import annotations

import math

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.drawing import draw
from server.planning.kernels.grouping import charge, move_group
from server.planning.kernels.web import Land, Web, lay, link, renew_heads, renew_rests, reorder, unlink
from server.planning.problem import Floats, Ints

TIGHT = 1e-9
GROUP = 8


@compiled
def start_web(land: Land, web: Web, order: Ints, node: Ints) -> float:
    """Lay a schedule out; its makespan."""
    lay(land, web, order, node)
    return web.peak[len(order)]


@compiled
def anneal(
    land: Land,
    web: Web,
    steps: int,
    heat: float,
    pull: float,
    critical: float,
    grouped: float,
    state: Ints,
    best: float,
    best_order: Ints,
    best_node: Ints,
) -> float:
    """Move so many tasks, and keep the best web in `best_order` and `best_node`; its makespan.

    `pull` is how much the length of the path through the moved task counts beside the makespan; `critical` and
    `grouped` are the shares of steps that move a task of a longest path rather than any, and that move a group.
    """
    tasks = len(web.node)
    group, was_behind = np.zeros(GROUP, np.int32), np.zeros(GROUP, np.int32)
    for _ in range(steps):
        v = pick(web.head, web.takes, web.rest, web.spare, web.peak[tasks], critical, state)
        if grouped > 0 and draw(state) < grouped:
            move_group(land, web, v, heat, state, group, was_behind)
        else:
            move(land, web, v, heat, pull, state)
        if web.peak[tasks] < best * (1 - 1e-12):
            best = web.peak[tasks]
            best_order[:] = web.order
            best_node[:] = web.node
    return best


@part
def pick(head: Floats, takes: Floats, rest: Floats, found: Ints, makespan: float, critical: float, state: Ints) -> int:
    """Any task, or one of those on a longest path."""
    tasks = len(head)
    if draw(state) >= critical:
        return int(draw(state) * tasks)
    count = 0
    least = makespan * (1 - TIGHT)
    for t in range(tasks):
        if head[t] + takes[t] + rest[t] >= least:
            found[count] = t
            count += 1
    return found[int(draw(state) * count)]


@part
def move(land: Land, web: Web, v: int, heat: float, pull: float, state: Ints) -> None:
    """Take task v out and put it where the draw says."""
    first, source, out_first, out_edge, target = land.first, land.source, land.out_first, land.out_edge, land.target
    node, before, behind, front, order, place = web.node, web.before, web.behind, web.front, web.order, web.place
    takes, base, cost, head, rest, peak = web.takes, web.base, web.cost, web.head, web.rest, web.peak
    tasks, own, old_node, old_before = len(node), place[v], node[v], before[v]
    was_head, was_rest, was_peak = web.was_head, web.was_rest, web.was_peak
    was_head[:] = head
    was_rest[:] = rest
    was_peak[:] = peak
    unlink(v, old_node, before, behind, front)
    before[v] = behind[v] = -1
    takes[v] = base[v] = 0.0
    for e in range(first[v], first[v + 1]):
        cost[e] = 0.0
    for k in range(out_first[v], out_first[v + 1]):
        cost[out_edge[k]] = 0.0
    renew_heads(own, first, source, order, before, takes, base, cost, head, peak)
    renew_rests(own, out_first, out_edge, target, order, behind, takes, cost, rest)
    data_ready(
        v, land.floor, first, source, land.bytes, land.kind, land.rate, land.latency, node, head, takes, web.ready
    )
    data_after(
        v,
        out_first,
        out_edge,
        target,
        land.bytes,
        land.kind,
        land.rate_back,
        land.latency,
        node,
        rest,
        takes,
        web.after,
    )
    j, p = best_spot(
        land.seconds[v],
        web.ready,
        web.after,
        front,
        behind,
        head,
        takes,
        rest,
        head[v],
        rest[v],
        peak[tasks],
        heat,
        pull,
        state,
    )
    since = -1
    if j >= 0 and not (j == old_node and p == old_before):
        link(v, j, p, before, behind, front)
        since = reorder(v, first, source, out_first, target, before, behind, order, place, web.mark, web.spare)
        if since < 0:
            unlink(v, j, before, behind, front)
    if since < 0:
        j = old_node
        link(v, j, old_before, before, behind, front)
    takes[v] = land.seconds[v, j]
    base[v] = land.floor[v if len(land.floor) > 1 else 0, j]
    charge(v, j, first, source, out_first, out_edge, target, land.bytes, land.kind, land.rate, land.latency, node, cost)
    if since < 0:
        head[:] = was_head
        rest[:] = was_rest
        peak[:] = was_peak
        return
    renew_heads(min(own, since), first, source, order, before, takes, base, cost, head, peak)
    renew_rests(place[v], out_first, out_edge, target, order, behind, takes, cost, rest)


@part
def data_ready(
    v: int,
    floor: Floats,
    first: Ints,
    source: Ints,
    size: Floats,
    kind: int,
    rate: Floats,
    latency: float,
    node: Ints,
    head: Floats,
    takes: Floats,
    ready: Floats,
) -> None:
    """[m] when all data of task v is on each node."""
    ready[:] = floor[v if len(floor) > 1 else 0]
    for e in range(first[v], first[v + 1]):
        s = source[e]
        raise_by(kind, rate, latency, node[s], head[s] + takes[s], size[e], ready)


@part
def data_after(
    v: int,
    out_first: Ints,
    out_edge: Ints,
    target: Ints,
    size: Floats,
    kind: int,
    rate_back: Floats,
    latency: float,
    node: Ints,
    rest: Floats,
    takes: Floats,
    after: Floats,
) -> None:
    """[m] the longest path from the end of task v through a dependent if v runs on each node."""
    after[:] = 0.0
    for k in range(out_first[v], out_first[v + 1]):
        s = target[k]
        raise_by(kind, rate_back, latency, node[s], rest[s] + takes[s], size[out_edge[k]], after)


@part
def raise_by(kind: int, rate: Floats, latency: float, other: int, since: float, size: float, values: Floats) -> None:
    """Raise each node's value to `since` plus what a transfer between it and node `other` costs."""
    own = max(values[other], since)
    if kind == 2:
        row, late = rate[other], since + latency
        for j in range(len(values)):
            values[j] = max(values[j], late + size * row[j])
    else:
        late = since if kind == 0 else since + latency + size * rate[0, 0]
        for j in range(len(values)):
            values[j] = max(values[j], late)
    values[other] = own


@part
def best_spot(
    seconds: Floats,
    ready: Floats,
    after: Floats,
    front: Ints,
    behind: Ints,
    head: Floats,
    takes: Floats,
    rest: Floats,
    least_head: float,
    least_rest: float,
    others: float,
    heat: float,
    pull: float,
    state: Ints,
) -> tuple[int, int]:
    """The node, and the task there to go behind (-1: first), drawn for a task that is out.

    Between tasks p and x nothing can wait in a circle if all up to p cannot follow the task and all from x on cannot go
    before it; `least_head` and `least_rest` tell. `others` is the makespan of everything else.
    """
    best, where, behind_what = np.inf, -1, -1
    for j in range(len(seconds)):
        shortest = ready[j] + seconds[j] + after[j]
        if max(others, shortest) + pull * shortest >= best:
            continue
        p, x = -1, front[j]
        p_late, p_long, p_end = False, True, 0.0
        while True:
            x_late, x_long, x_rest = True, False, 0.0
            if x >= 0:
                x_late = head[x] + takes[x] > least_head
                x_rest = takes[x] + rest[x]
                x_long = x_rest > least_rest
            if (p_long and x_late) or (not p_late and not x_long):
                path = max(ready[j], p_end) + seconds[j] + max(after[j], x_rest)
                score = max(others, path) + pull * path
                if score < best:
                    score -= heat * math.log(1.0 - draw(state))
                    if score < best:
                        best, where, behind_what = score, j, p
            if x < 0 or (x_late and not x_long):
                break
            p, p_late, p_long, p_end = x, x_late, x_long, head[x] + takes[x]
            x = behind[x]
    return where, behind_what


__all__ = ["anneal", "start_web"]
