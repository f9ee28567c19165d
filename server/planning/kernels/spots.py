"""Where a task that is out of a web could go: for every place, the exact makespan after putting it there."""

from __future__ import annotations

import math

import numpy as np

from server.planning.kernels.compiling import inlined, part
from server.planning.kernels.drawing import draw
from server.planning.problem import Floats, Ints


@inlined
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


@inlined
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


@inlined
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
    begin: int,
    end: int,
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
    for j in range(begin, end):
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


__all__ = ["best_spot", "data_after", "data_ready"]
