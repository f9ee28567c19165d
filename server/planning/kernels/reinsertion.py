"""Local search over webs: take one task out, look at every place on every node where it could go, put it back.

With the task out, the longest paths of what is left give for *every* place the exact makespan after putting it there,
at the price of two loops over the tasks (Mastrolilli and Gambardella, Journal of Scheduling 3, 2000, for flexible job
shops; here with transfers). The place is drawn as in simulated annealing: the least of makespan plus a random
surcharge of mean `heat`.
"""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.drawing import draw
from server.planning.kernels.exchanging import exchange, partner
from server.planning.kernels.grouping import move_group
from server.planning.kernels.moving import put, settle, take_out
from server.planning.kernels.web import Land, Web, lay, renew_heads, renew_rests
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
    exchanged: float,
    state: Ints,
    best: float,
    best_order: Ints,
    best_node: Ints,
) -> float:
    """Move so many tasks, and keep the best web in `best_order` and `best_node`; its makespan.

    `pull` is how much the length of the path through the moved task counts beside the makespan; `critical`,
    `grouped` and `exchanged` are the shares of steps that move a task of a longest path rather than any, that move a
    group, and that exchange two tasks.
    """
    tasks = len(web.node)
    group, was_behind = np.zeros(GROUP, np.int32), np.zeros(GROUP, np.int32)
    for _ in range(steps):
        v = pick(web.head, web.takes, web.rest, web.spare, web.peak[tasks], critical, state)
        chance = draw(state)
        if chance < grouped:
            move_group(land, web, v, heat, state, group, was_behind)
        elif chance < grouped + exchanged:
            u = partner(v, web.node, web.order, web.place, state)
            if u >= 0:
                exchange(land, web, v, u, heat, pull, state)
            else:
                move(land, web, v, heat, pull, state)
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
    own, old_node, old_before = web.place[v], web.node[v], web.before[v]
    web.was_head[:] = web.head
    web.was_rest[:] = web.rest
    web.was_peak[:] = web.peak
    take_out(land, web, v)
    renew_heads(own, land.first, land.source, web.order, web.before, web.takes, web.base, web.cost, web.head, web.peak)
    renew_rests(own, land.out_first, land.out_edge, land.target, web.order, web.behind, web.takes, web.cost, web.rest)
    if put(land, web, v, 0, len(web.front), old_node, old_before, heat, pull, state):
        return
    settle(land, web, v, old_node, old_before)
    web.head[:] = web.was_head
    web.rest[:] = web.was_rest
    web.peak[:] = web.was_peak


__all__ = ["anneal", "start_web"]
