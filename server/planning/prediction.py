"""What really happens to a plan when transfers share network cards: every card is full duplex and shared fairly.

A plan keeps its nodes, its modes and the order of tasks on each node; its times are found anew. A transfer starts when
its sender's task ends. A task starts when its data is there and it has its turn: it waits for tasks that were planned
before it on the same node, unless there is room beside all of them. Transfers that flow at the same time get max-min
fair rates (see `server.planning.kernels.fluid`), which is what SimGrid's fluid network model computes too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from server.planning.bounds import topological
from server.planning.links import cards_of
from server.planning.problem import NEVER, Floats, Ints, Problem
from server.planning.schedule import UNPLACED, Schedule

if TYPE_CHECKING:
    from server.planning.kernels.fluid import Moving, Replayed

FASTEST = 1e18
"""Bytes per second of a card or link without a cost."""


def predict(problem: Problem, schedule: Schedule) -> Schedule:
    """The plan with the times that shared cards give it. What is unplaced stays so.

    The network's own `sharing` does not matter; where data is free, or nothing is sent at the same time, the times are
    those of the contention-free model. With `pairs`, no transfer goes faster than its own link, and a node's card is
    its fastest link.

    Raises:
        ValueError: a task is placed that waits for one that is not, or where it cannot run.
    """
    from server.planning.kernels.fluid import replay

    ground = _ground(problem, schedule)
    _require(problem, (ground.node == UNPLACED) | np.isfinite(ground.seconds), "cannot run where it is placed")
    state = _state(problem, schedule, ground)
    held = problem.held
    replay(
        ground,
        state,
        np.ascontiguousarray(held.node, np.int32),
        np.ascontiguousarray(held.demand, np.float64),
        np.ascontiguousarray(held.until, np.float64),
    )
    _require(problem, (ground.node == UNPLACED) | np.isfinite(state.finish), "never starts")
    return Schedule(schedule.node, schedule.mode, state.start, state.finish)


def replayable(problem: Problem, schedule: Schedule) -> tuple[Replayed, Moving]:
    """A plan as the replay kernel takes it, at second 0: for a search that changes it and replays it again."""
    ground = _ground(problem, schedule)
    return ground, _state(problem, schedule, ground)


def link_caps(problem: Problem) -> Floats:
    """[m, m] the most bytes per second of each link; empty where links are no slower than their cards."""
    if problem.network.pairs is None:
        return np.zeros((0, 0))
    nodes = np.arange(problem.node_count, dtype=np.int32)
    with np.errstate(divide="ignore"):
        return _caps(problem, nodes[:, None], nodes[None, :])


def _require(problem: Problem, is_fine: npt.NDArray[np.bool_], said: str) -> None:
    for task in np.flatnonzero(~is_fine):
        name = problem.task_names[task] if problem.task_names else task
        raise ValueError(f"the plan cannot be carried out: task {name} {said}")


def _ground(problem: Problem, schedule: Schedule) -> Replayed:
    from server.planning.kernels.fluid import Replayed

    node = np.ascontiguousarray(schedule.node, np.int32)
    placed = node != UNPLACED
    mode = np.asarray(problem.first_mode)[:-1] + np.where(placed, schedule.mode, 0)
    seconds = np.where(placed, problem.seconds[problem.row_of_mode[mode], problem.column_of_node[node]], NEVER)
    first_on, on_node = planned_order(problem, schedule)
    sender, receiver, size, target, source = _transfers(problem, node)
    out = np.argsort(source, kind="stable").astype(np.int32)
    first_out = np.zeros(problem.task_count + 2, np.int32)
    np.cumsum(np.bincount(source, minlength=problem.task_count + 1), out=first_out[1:])
    with np.errstate(divide="ignore"):
        card = np.minimum(1.0 / cards_of(problem.network, problem.node_count), FASTEST)
        cap = _caps(problem, sender, receiver)
    return Replayed(
        node=node,
        seconds=seconds.astype(np.float64),
        demand=np.asarray(problem.demand, np.float64)[mode],
        release=np.ascontiguousarray(problem.release, np.float64),
        capacity=np.ascontiguousarray(problem.capacity, np.float64),
        opens=np.ascontiguousarray(problem.opens, np.float64),
        first_on=first_on,
        on_node=on_node,
        sender=sender,
        receiver=receiver,
        size=size,
        cap=cap,
        target=target,
        first_out=first_out,
        out=out,
        card=np.concatenate([card, card]),
        latency=float(problem.network.latency_seconds),
    )


def _state(problem: Problem, schedule: Schedule, ground: Replayed) -> Moving:
    from server.planning.kernels.fluid import Moving

    tasks, nodes = problem.task_count, problem.node_count
    flows = len(problem.edges.task) + len(problem.inputs.task)
    events = tasks * 2 + nodes + len(problem.held.node) + flows + 1
    return Moving(
        missing=(np.diff(problem.edges.first) + np.diff(problem.inputs.first)).astype(np.int32),
        free=np.array(problem.capacity, np.float64),
        start=np.full(tasks, NEVER),
        finish=np.full(tasks, NEVER),
        begun=ground.first_on[:-1].copy(),
        left=np.concatenate([problem.edges.bytes, problem.inputs.bytes]).astype(np.float64),
        rate=np.zeros(flows),
        active=np.zeros(flows, np.int32),
        chain=np.full(2 * nodes + 2 * flows, -1, np.int32),
        room=np.zeros(2 * nodes),
        users=np.zeros(2 * nodes, np.int32),
        when=np.zeros(events),
        kind=np.zeros(events, np.int32),
        what=np.zeros(events, np.int32),
        pending=np.zeros(1, np.int32),
    )


def planned_order(problem: Problem, schedule: Schedule) -> tuple[Ints, Ints]:
    """Placed tasks by node, then by planned start, upstreams first where two start together: those of node j are
    `order[first[j]:first[j + 1]]`."""
    place = np.empty(problem.task_count, np.int32)
    place[topological(problem.edges)] = np.arange(problem.task_count, dtype=np.int32)
    order = np.lexsort((place, schedule.start, schedule.node))
    first = np.searchsorted(schedule.node[order], np.arange(problem.node_count + 1)).astype(np.int32)
    return first, order.astype(np.int32)


def _transfers(problem: Problem, node: Ints) -> tuple[Ints, Ints, Floats, Ints, Ints]:
    """Sender, receiver, bytes, task and starting task of each; those that start at once are started by task n.

    Where data is free, all are within a node.
    """
    edges, inputs, count = problem.edges, problem.inputs, problem.task_count
    numbers = np.arange(count, dtype=np.int32)
    target = np.concatenate([np.repeat(numbers, np.diff(edges.first)), np.repeat(numbers, np.diff(inputs.first))])
    source = np.concatenate([edges.task, np.full(len(inputs.task), count, np.int32)])
    receiver = node[target]
    sender = np.concatenate([node[edges.task], inputs.task]).astype(np.int32)
    sender = receiver.copy() if problem.network.is_free else sender
    size = np.concatenate([edges.bytes, inputs.bytes]).astype(np.float64)
    return sender, receiver, size, target.astype(np.int32), source.astype(np.int32)


def _caps(problem: Problem, sender: Ints, receiver: Ints) -> Floats:
    if problem.network.pairs is None:
        return np.full(len(sender), NEVER)
    return np.minimum(1.0 / np.asarray(problem.network.pairs, np.float64)[sender, receiver], FASTEST)


__all__ = ["link_caps", "planned_order", "predict", "replayable"]
