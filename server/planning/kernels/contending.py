"""Local search judged by the real thing: move tasks between nodes, or in the order, and replay the plan on cards that
transfers share fairly (`fluid`). Right for shared networks of any kind; a step costs a whole replay."""

from __future__ import annotations

import math

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.drawing import draw
from server.planning.kernels.fluid import Moving, Replayed, replay
from server.planning.kernels.grouping import gather, other_node
from server.planning.kernels.shuffling import compare, displace, new_place, value_list
from server.planning.problem import Floats, Ints

GROUP = 8


@compiled
def contend(
    ground: Replayed,
    state: Moving,
    held_node: Ints,
    held_demand: Floats,
    held_until: Floats,
    seconds: Floats,
    first: Ints,
    source: Ints,
    out_first: Ints,
    target: Ints,
    sizes: Floats,
    link_cap: Floats,
    level: Ints,
    run: Ints,
    run_level: Ints,
    weight: Floats,
    is_makespan: bool,
    order: Ints,
    value: Floats,
    steps: int,
    heat: float,
    chance: Ints,
    best_order: Ints,
    best_node: Ints,
    best_value: Floats,
) -> None:
    """Try so many moves from (order, ground.node, value), which go on to the next call; keep the best.

    `seconds` is [n, m], infinite where a task cannot go; `sizes` what every transfer has to carry; `link_cap` [m, m]
    the most bytes per second of each pair of nodes (empty: no link is slower than its cards). Without steps the plan
    is only valued as it is.
    """
    tasks, nodes = len(order), len(ground.opens)
    node, place = ground.node, np.zeros(tasks, np.int32)
    group, was = np.zeros(GROUP, np.int32), np.zeros(GROUP, np.int32)
    for i in range(tasks):
        place[order[i]] = i
    new = np.zeros(len(value))
    for _ in range(max(1, steps)):
        count, was_place, t = 0, -1, int(draw(chance) * tasks)
        if steps > 0 and draw(chance) < 0.7:
            goal = other_node(t, first, source, out_first, target, node, nodes, chance)
            most = 1 + int(draw(chance) * draw(chance) * GROUP)
            count = gather(t, most, first, source, out_first, target, node, group, chance)
            if goal == node[t] or not can_go(seconds, group, count, goal):
                continue
            for i in range(count):
                was[i] = node[group[i]]
                node[group[i]] = goal
        elif steps > 0:
            was_place = place[t]
            goal = new_place(t, first, source, out_first, target, level, order, place, chance)
            if goal == was_place:
                continue
            displace(was_place, goal, order, place)
        rewind(ground, state, order, seconds, first, source, sizes, link_cap)
        replay(ground, state, held_node, held_demand, held_until)
        value_list(state.finish, run, run_level, weight, is_makespan, new)
        if steps == 0 or compare(new, value) <= -heat * math.log(1.0 - draw(chance)):
            value[:] = new
            if compare(new, best_value) < 0:
                best_value[:] = new
                best_order[:] = order
                best_node[:] = node
            continue
        for i in range(count):
            node[group[i]] = was[i]
        if was_place >= 0:
            displace(place[t], was_place, order, place)


@part
def can_go(seconds: Floats, group: Ints, count: int, goal: int) -> bool:
    """Whether a node can run every task of a group."""
    missing = 0
    for i in range(count):
        missing += seconds[group[i], goal] == np.inf
    return missing == 0


@part
def rewind(
    ground: Replayed,
    state: Moving,
    order: Ints,
    seconds: Floats,
    first: Ints,
    source: Ints,
    sizes: Floats,
    link_cap: Floats,
) -> None:
    """Bring all that hangs on nodes and order up to date, and everything that moves back to second 0."""
    tasks, edges = len(order), len(source)
    fill = state.begun
    ground.first_on[:] = 0
    for t in range(tasks):
        ground.first_on[ground.node[t] + 1] += 1
        ground.seconds[t] = seconds[t, ground.node[t]]
        for e in range(first[t], first[t + 1]):
            ground.sender[e] = ground.node[source[e]]
            ground.receiver[e] = ground.node[t]
    for j in range(len(ground.opens)):
        ground.first_on[j + 1] += ground.first_on[j]
        fill[j] = ground.first_on[j]
    for i in range(tasks):
        j = ground.node[order[i]]
        ground.on_node[fill[j]] = order[i]
        fill[j] += 1
    for f in range(edges, len(ground.receiver)):
        ground.receiver[f] = ground.node[ground.target[f]]
    if len(link_cap) > 0:
        for f in range(len(ground.receiver)):
            ground.cap[f] = link_cap[ground.sender[f], ground.receiver[f]]
    state.missing[:] = 0
    for f in range(len(ground.target)):
        state.missing[ground.target[f]] += 1
    state.begun[:] = ground.first_on[:-1]
    state.free[:] = ground.capacity
    state.start[:] = np.inf
    state.finish[:] = np.inf
    state.left[:] = sizes
    state.pending[0] = 0


__all__ = ["contend"]
