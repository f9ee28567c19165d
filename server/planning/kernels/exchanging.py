"""Local search over webs: two tasks change places.

Where all nodes are full, no single task can leave its own without making another one end much later; two can go past
each other. Both are taken out, one goes to the best place on the other's node, the other to the best place anywhere,
and what comes of it is accepted as in simulated annealing.
"""

from __future__ import annotations

import math

from server.planning.kernels.compiling import part
from server.planning.kernels.drawing import draw
from server.planning.kernels.moving import put, settle, take_out
from server.planning.kernels.web import Land, Web, renew_heads, renew_rests, unlink
from server.planning.problem import Ints

TRIES = 4
"""Draws of a partner before a task goes without."""


@part
def partner(v: int, node: Ints, order: Ints, place: Ints, state: Ints) -> int:
    """A task of another node, more often one near v in the order; -1 if chance finds none."""
    tasks, own = len(order), place[v]
    for _ in range(TRIES):
        far = draw(state)
        room = -own if draw(state) < 0.5 else tasks - 1 - own
        at = own + int(far * far * room) + (1 if room > 0 else -1)
        if 0 <= at < tasks and node[order[at]] != node[v]:
            return order[at]
    return -1


@part
def exchange(land: Land, web: Web, v: int, u: int, heat: float, pull: float, state: Ints) -> None:
    """Move v to the node of u, and u to wherever is best then; or leave all as it is."""
    tasks = len(web.node)
    v_node, u_node, v_before, u_before = web.node[v], web.node[u], web.before[v], web.before[u]
    if land.seconds[v, u_node] == math.inf:
        return
    web.was_head[:] = web.head
    web.was_rest[:] = web.rest
    web.was_peak[:] = web.peak
    web.was_order[:] = web.order
    take_out(land, web, v)
    take_out(land, web, u)
    begin, end = min(web.place[v], web.place[u]), max(web.place[v], web.place[u])
    renew_heads(
        begin, land.first, land.source, web.order, web.before, web.takes, web.base, web.cost, web.head, web.peak
    )
    renew_rests(end, land.out_first, land.out_edge, land.target, web.order, web.behind, web.takes, web.cost, web.rest)
    placed, t = 0, v
    low, high = u_node, u_node + 1
    while placed < 2 and put(land, web, t, low, high, -1, -1, 0.0, pull, state):  # one call: it is compiled in place
        placed += 1
        t, low, high = u, 0, len(web.front)
    if placed == 2 and web.peak[tasks] <= web.was_peak[tasks] - heat * math.log(1.0 - draw(state)):
        return
    if placed > 0:
        unlink(v, web.node[v], web.before, web.behind, web.front)
    if placed > 1:
        unlink(u, web.node[u], web.before, web.behind, web.front)
    settle(land, web, v, v_node, v_before)
    settle(land, web, u, u_node, u_before)
    web.head[:] = web.was_head
    web.rest[:] = web.was_rest
    web.peak[:] = web.was_peak
    web.order[:] = web.was_order
    for i in range(tasks):
        web.place[web.order[i]] = i


__all__ = ["exchange", "partner"]
