"""Taking a task out of a web and putting it back somewhere."""

from __future__ import annotations

from server.planning.kernels.compiling import inlined, part
from server.planning.kernels.spots import best_spot, data_after, data_ready
from server.planning.kernels.web import Land, Web, edge_cost, link, renew_heads, renew_rests, reorder, unlink
from server.planning.problem import Floats, Ints


@part
def take_out(land: Land, web: Web, v: int) -> None:
    """Leave v without a node, a time or transfers; longest paths are not renewed."""
    unlink(v, web.node[v], web.before, web.behind, web.front)
    web.before[v] = web.behind[v] = -1
    web.takes[v] = web.base[v] = 0.0
    for e in range(land.first[v], land.first[v + 1]):
        web.cost[e] = 0.0
    for k in range(land.out_first[v], land.out_first[v + 1]):
        web.cost[land.out_edge[k]] = 0.0


@part
def put(
    land: Land,
    web: Web,
    v: int,
    begin: int,
    end: int,
    stay_node: int,
    stay_before: int,
    heat: float,
    pull: float,
    state: Ints,
) -> bool:
    """Put v, which is out, to the place drawn among those on nodes `begin` up to `end`, and renew the longest paths.
    False, and v still out, where the draw is to stay (on `stay_node` behind `stay_before`) or there is no place."""
    tasks = len(web.node)
    data_ready(
        v,
        land.floor,
        land.first,
        land.source,
        land.bytes,
        land.kind,
        land.rate,
        land.latency,
        web.node,
        web.head,
        web.takes,
        web.ready,
    )
    data_after(
        v,
        land.out_first,
        land.out_edge,
        land.target,
        land.bytes,
        land.kind,
        land.rate_back,
        land.latency,
        web.node,
        web.rest,
        web.takes,
        web.after,
    )
    j, p = best_spot(
        begin,
        end,
        land.seconds[v],
        web.ready,
        web.after,
        web.front,
        web.behind,
        web.head,
        web.takes,
        web.rest,
        web.head[v],
        web.rest[v],
        web.peak[tasks],
        heat,
        pull,
        state,
    )
    if j < 0 or (j == stay_node and p == stay_before):
        return False
    own = web.place[v]
    link(v, j, p, web.before, web.behind, web.front)
    since = reorder(
        v,
        land.first,
        land.source,
        land.out_first,
        land.target,
        web.before,
        web.behind,
        web.order,
        web.place,
        web.mark,
        web.spare,
    )
    if since < 0:
        unlink(v, j, web.before, web.behind, web.front)
        web.before[v] = web.behind[v] = -1
        return False
    occupy(land, web, v, j)
    renew_heads(
        min(own, since),
        land.first,
        land.source,
        web.order,
        web.before,
        web.takes,
        web.base,
        web.cost,
        web.head,
        web.peak,
    )
    renew_rests(
        web.place[v],
        land.out_first,
        land.out_edge,
        land.target,
        web.order,
        web.behind,
        web.takes,
        web.cost,
        web.rest,
    )
    return True


@inlined
def settle(land: Land, web: Web, t: int, j: int, p: int) -> None:
    """Put a task that is out on node j behind p, with all that this costs."""
    link(t, j, p, web.before, web.behind, web.front)
    occupy(land, web, t, j)


@part
def occupy(land: Land, web: Web, t: int, j: int) -> None:
    """Task t is linked on node j: what it takes there, and what its transfers cost."""
    web.takes[t] = land.seconds[t, j]
    web.base[t] = land.floor[t if len(land.floor) > 1 else 0, j]
    charge(
        t,
        j,
        land.first,
        land.source,
        land.out_first,
        land.out_edge,
        land.target,
        land.bytes,
        land.kind,
        land.rate,
        land.latency,
        web.node,
        web.cost,
    )


@part
def charge(
    t: int,
    j: int,
    first: Ints,
    source: Ints,
    out_first: Ints,
    out_edge: Ints,
    target: Ints,
    size: Floats,
    kind: int,
    rate: Floats,
    latency: float,
    node: Ints,
    cost: Floats,
) -> None:
    """Task t is on node j: what its transfers cost."""
    node[t] = j
    for e in range(first[t], first[t + 1]):
        cost[e] = edge_cost(kind, rate, latency, node[source[e]], j, size[e])
    for k in range(out_first[t], out_first[t + 1]):
        e = out_edge[k]
        cost[e] = edge_cost(kind, rate, latency, j, node[target[k]], size[e])


__all__ = ["put", "settle", "take_out"]
