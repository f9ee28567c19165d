"""Local search over lists: shift a task in the order, or tell it a node, and decode the whole list again.

Slower than webs by far, and right for everything: shared nodes, one-port networks, any objective. Levels of priority
are compared from the highest down; a move within one level leaves those above as they are, for lists are decoded level
by level.
"""

from __future__ import annotations

import math

import numpy as np

from server.planning.kernels.compiling import compiled, part
from server.planning.kernels.decoding import begin, decode
from server.planning.kernels.drawing import draw
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.problem import Floats, Ints


@compiled
def value_list(finish: Floats, run: Ints, run_level: Ints, weight: Floats, is_makespan: bool, value: Floats) -> None:
    """[levels] what each level of runs costs: its last finish, or the weighted sum of its runs' last finishes. Tasks
    that nothing can run do not count."""
    value[:] = 0.0
    last = np.zeros(len(weight))
    for t in range(len(finish)):
        if finish[t] < np.inf:
            last[run[t]] = max(last[run[t]], finish[t])
    for k in range(len(weight)):
        if is_makespan:
            value[run_level[k]] = max(value[run_level[k]], last[k])
        else:
            value[run_level[k]] += weight[k] * last[k]


@compiled
def shuffle(
    ground: Ground,
    lanes: Lanes,
    plan: Plan,
    held_node: Ints,
    held_demand: Floats,
    held_until: Floats,
    receivers_first: Ints,
    receivers: Ints,
    level: Ints,
    run: Ints,
    run_level: Ints,
    weight: Floats,
    is_makespan: bool,
    order: Ints,
    wanted: Ints,
    value: Floats,
    steps: int,
    heat: float,
    state: Ints,
    best_order: Ints,
    best_wanted: Ints,
    best_value: Floats,
) -> None:
    """Try so many moves from (order, wanted, value), which go on to the next call; keep the best."""
    tasks = len(order)
    place = np.zeros(tasks, np.int32)
    for i in range(tasks):
        place[order[i]] = i
    new = np.zeros(len(value))
    for _ in range(steps):
        t = int(draw(state) * tasks)
        was_place, was_wanted = place[t], wanted[t]
        if draw(state) < 0.5:
            wanted[t] = suggest(ground, plan, t, receivers_first, receivers, state)
        if draw(state) < 0.6 or wanted[t] == was_wanted:
            goal = new_place(t, ground.first, ground.source, receivers_first, receivers, level, order, place, state)
            displace(was_place, goal, order, place)
        begin(ground, lanes, held_node, held_demand, held_until)
        decode(ground, lanes, plan, order, wanted)
        value_list(plan.finish, run, run_level, weight, is_makespan, new)
        if compare(new, value) <= -heat * math.log(1.0 - draw(state)):
            value[:] = new
            if compare(new, best_value) < 0:
                best_value[:] = new
                best_order[:] = order
                best_wanted[:] = wanted
        else:
            displace(place[t], was_place, order, place)
            wanted[t] = was_wanted


@part
def compare(one: Floats, other: Floats) -> float:
    """How much one costs more than the other, as a share, on the highest level where they differ."""
    for k in range(len(one)):
        difference = one[k] - other[k]
        if abs(difference) > 1e-12 * abs(other[k]):
            return difference / max(abs(other[k]), 1e-300)
    return 0.0


@part
def suggest(ground: Ground, plan: Plan, t: int, receivers_first: Ints, receivers: Ints, state: Ints) -> int:
    """A node for a task: a neighbour's, a random one, or -1 for wherever it ends first."""
    chance = draw(state)
    inward = ground.first[t + 1] - ground.first[t]
    both = inward + receivers_first[t + 1] - receivers_first[t]
    if chance < 0.3:
        return -1
    if chance < 0.7 and both > 0:
        at = int(draw(state) * both)
        s = ground.source[ground.first[t] + at] if at < inward else receivers[receivers_first[t] + at - inward]
        return int(plan.node[s])
    return int(draw(state) * len(ground.opens))


@part
def new_place(
    t: int,
    first: Ints,
    source: Ints,
    receivers_first: Ints,
    receivers: Ints,
    level: Ints,
    order: Ints,
    place: Ints,
    state: Ints,
) -> int:
    """A random position between a task's last upstream and first dependent, within its level; near ones more often."""
    low, high = -1, len(order)
    for e in range(first[t], first[t + 1]):
        low = max(low, place[source[e]])
    for k in range(receivers_first[t], receivers_first[t + 1]):
        high = min(high, place[receivers[k]])
    chance = draw(state)
    goal = place[t]
    if draw(state) < 0.5:
        goal -= int(chance * chance * (goal - low - 1) + 0.999)
    else:
        goal += int(chance * chance * (high - goal - 1) + 0.999)
    goal = min(max(goal, low + 1), high - 1)
    while level[order[goal]] != level[t]:
        goal += 1 if goal < place[t] else -1
    return goal


@part
def displace(own: int, goal: int, order: Ints, place: Ints) -> None:
    """Move the task at one position to another."""
    t = order[own]
    step = 1 if goal > own else -1
    i = own
    while i != goal:
        order[i] = order[i + step]
        place[order[i]] = i
        i += step
    order[goal] = t
    place[t] = goal


__all__ = ["shuffle", "value_list"]
