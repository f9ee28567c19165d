"""Lists into schedules: a priority list by earliest finish, and the batch rules over whatever is ready."""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, inlined, part
from server.planning.kernels.exclusive import (
    choose_exclusive,
    earliest_gap,
    enter_exclusive,
)
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.kernels.shared import begin_shared, choose_shared, choose_shared_on, enter_shared
from server.planning.kernels.transfers import arrivals, through_ports
from server.planning.problem import Floats, Ints


@compiled
def begin(ground: Ground, lanes: Lanes, held_node: Ints, held_demand: Floats, held_until: Floats) -> None:
    """Set the nodes to their state before anything is placed."""
    lanes.up[:] = 0.0
    lanes.down[:] = 0.0
    if ground.is_shared:
        begin_shared(ground, lanes, held_node, held_demand, held_until)
        return
    lanes.tail[:] = -1
    lanes.ready_at[:] = ground.opens
    lanes.gap_end[:] = 0.0
    lanes.gap_most[:] = 0.0


@part
def choose(ground: Ground, lanes: Lanes, plan: Plan, task: int, wanted: int) -> tuple[int, int, float, float]:
    """Where a task ends earliest, or the best that node `wanted` has if that is not -1: (node, mode, start, seconds).
    The node is -1 where nothing can run it."""
    arrivals(ground, lanes, plan, task)
    if wanted >= 0:
        return choose_on(ground, lanes, plan, task, wanted)
    if ground.is_shared:
        return choose_shared(ground, lanes, plan, task)
    j, start, takes = choose_exclusive(ground, lanes, plan, task)
    return j, 0, start, takes


@inlined
def choose_on(ground: Ground, lanes: Lanes, plan: Plan, task: int, wanted: int) -> tuple[int, int, float, float]:
    """The best that one node has, as `choose`; `arrivals` goes before it."""
    if ground.is_shared:
        return choose_shared_on(ground, lanes, plan, task, wanted)
    takes = float(ground.seconds[ground.row[task], ground.column[wanted] if not ground.is_plain else wanted])
    start = earliest_gap(ground, lanes, plan, wanted, lanes.arrival[wanted], takes)
    if start + takes == np.inf:
        return -1, 0, np.inf, np.inf
    return wanted, 0, start, takes


@part
def enter(ground: Ground, lanes: Lanes, plan: Plan, task: int, j: int, mode: int, start: float, takes: float) -> None:
    """Place a task as `choose` said; with -1 for a node it stays unplaced."""
    if j < 0:
        plan.node[task] = -1
        plan.start[task] = np.inf
        plan.finish[task] = np.inf
        return
    if ground.is_one_port:
        through_ports(ground, lanes, plan, task, j, True)
    if ground.is_shared:
        enter_shared(ground, lanes, plan, task, j, mode, start, takes)
    else:
        enter_exclusive(lanes, plan, task, j, start, takes)


@compiled
def decode(ground: Ground, lanes: Lanes, plan: Plan, order: Ints, wanted: Ints) -> None:
    """Place the tasks in the given order (upstreams first), each where it ends earliest, or on its wanted node if it
    can run there."""
    for task in order:
        j, mode, start, takes = choose(ground, lanes, plan, task, wanted[task])
        if j < 0 and wanted[task] >= 0:
            j, mode, start, takes = choose(ground, lanes, plan, task, -1)
        enter(ground, lanes, plan, task, j, mode, start, takes)


@compiled
def enter_placed(ground: Ground, lanes: Lanes, plan: Plan, order: Ints) -> None:
    """Enter tasks that have their node, mode and finish already, and start at 0."""
    for task in order:
        enter(ground, lanes, plan, task, plan.node[task], plan.mode[task], 0.0, plan.finish[task])


@compiled
def decode_with_outlook(ground: Ground, lanes: Lanes, plan: Plan, order: Ints, outlook: Floats) -> None:
    """Place the tasks in order where finish plus `outlook[task, node]` is least (Arabnejad and Barbosa, 2014)."""
    for task in order:
        arrivals(ground, lanes, plan, task)
        best, where, how, when, long = np.inf, -1, 0, np.inf, np.inf
        for j in range(len(ground.opens)):
            if lanes.arrival[j] + outlook[task, j] < best:
                i, mode, start, takes = choose_on(ground, lanes, plan, task, j)
                if i >= 0 and start + takes + outlook[task, j] < best:
                    best, where, how, when, long = start + takes + outlook[task, j], j, mode, start, takes
        enter(ground, lanes, plan, task, where, how, when, long)


__all__ = ["begin", "choose", "choose_on", "decode", "decode_with_outlook", "enter", "enter_placed"]
