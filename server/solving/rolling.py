"""What a strategy that answers requests makes of a problem file.

It is asked once at second 0. If it plans everything, that plan is carried out: its nodes and options, in its order,
each task as early as that allows. If it holds tasks (as `kubernetes` does, which knows a pod only when it is due), the
problem is rolled out: what it binds now starts, and it is asked again at every end, release and arrival of a node.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from server.components.decision_unit import ask
from server.components.decisions.binding import bind_ready
from server.components.placer_workers.process import PlacerFailure
from server.domain.placement import Placement, PlacementPlan, PlacementRequest
from server.exchange.errors import UnreadableError
from server.placers.interface import PlacerInterface
from server.planning.bounds import topological
from server.planning.building import Builder
from server.planning.links import alone_seconds
from server.planning.needs import NeedsTable
from server.planning.problem import Ints, Problem, Sharing
from server.planning.schedule import UNPLACED, Schedule
from server.solving.stating import START, Asking, Progress, Wishes


def rolled_out(asking: Asking, placer: PlacerInterface, name: str, wishes: Wishes) -> Schedule:
    """The schedule that the strategy makes. Raises UnreadableError where it fails or leaves a task for good."""
    problem, progress = asking.problem, asking.begin()
    plan = progress.plan
    while (plan.node == UNPLACED).any():
        is_due = any(asking.is_ready(task, progress) for task in np.flatnonzero(plan.node == UNPLACED).tolist())
        answer = None
        if is_due or progress.cycle == 0:
            request = asking.request(progress, wishes)
            answer = _ask(placer, name, request)
            if progress.cycle == 1 and len(answer.placements) == problem.task_count:
                return _carried_out(asking, answer)
            if _start(asking, progress, request, answer):
                continue
        if (plan.node == UNPLACED).any():
            _wait(asking, progress, name, answer)
    is_alone = problem.network.sharing is Sharing.CONTENTION_FREE or problem.network.is_free
    return plan if is_alone else in_order(problem, plan, _by_start(problem, plan))


def in_order(problem: Problem, plan: Schedule, order: Ints) -> Schedule:
    """The plan's nodes and options, tasks placed in the order given (upstreams first), each as early as it can be."""
    modes = problem.first_mode[:-1] + plan.mode
    count = problem.task_count
    alike = replace(
        problem,
        first_mode=np.arange(count + 1, dtype=np.int32),
        row_of_mode=np.ascontiguousarray(problem.row_of_mode[modes]),
        demand=np.ascontiguousarray(problem.demand[modes]),
    )
    found = Builder(alike).by_list(order.astype(np.int32), np.ascontiguousarray(plan.node, np.int32))
    return Schedule(found.node, plan.mode, found.start, found.finish)


def completed(problem: Problem, plan: Schedule) -> Schedule:
    """The plan with a place for what it left out: strategies that take run after run leave out a task that waits for a
    later run, of which requests know nothing."""
    if (plan.node != UNPLACED).all():
        return plan
    modes = np.where(plan.node == UNPLACED, 0, plan.mode).astype(np.int32)
    if problem.is_single_mode:
        return in_order(problem, Schedule(plan.node, modes, plan.start, plan.finish), _by_start(problem, plan))
    return Builder(problem).by_list(_by_start(problem, plan), np.ascontiguousarray(plan.node, np.int32))


def _ask(placer: PlacerInterface, name: str, request: PlacementRequest) -> PlacementPlan:
    try:
        return ask(placer, request)
    except PlacerFailure as failure:
        raise UnreadableError(f"the placer {name!r} failed: {failure.message}") from failure


def _carried_out(asking: Asking, answer: PlacementPlan) -> Schedule:
    problem = asking.problem
    found = asking.begin().plan
    for place, placement in enumerate(answer.placements):
        task = _enter(asking, found, placement)
        at = placement.planned_start_at
        found.start[task] = place if at is None else (at - START).total_seconds()
    return in_order(problem, found, _by_start(problem, found))


def _enter(asking: Asking, plan: Schedule, placement: Placement) -> int:
    task = asking.number[placement.key]
    plan.node[task] = asking.problem.node_names.index(placement.node)
    plan.mode[task] = asking.question.options[task].index(placement.option)
    return task


def _by_start(problem: Problem, plan: Schedule) -> Ints:
    """Tasks by planned start, upstreams first in any case."""
    order = topological(problem.edges)
    place = np.empty(problem.task_count)
    place[order] = np.arange(len(order))
    start = np.array(plan.start, float)
    edges = problem.edges
    for task in order:
        upstreams = edges.task[edges.first[task] : edges.first[task + 1]]
        start[task] = max(start[task], start[upstreams].max(initial=start[task]))
    return np.lexsort((place, start)).astype(np.int32)


def _start(asking: Asking, progress: Progress, request: PlacementRequest, answer: PlacementPlan) -> bool:
    """Start what can be bound now: its transfers began when their senders ended. True if something has ended at once,
    for it takes no time."""
    problem, plan, edges = asking.problem, progress.plan, asking.problem.edges
    has_ended = False
    for placement in bind_ready(request, answer, NeedsTable(request.snapshot.nodes)).bind_now:
        task = _enter(asking, plan, placement)
        node = int(plan.node[task])
        upstreams = edges.task[edges.first[task] : edges.first[task + 1]]
        sizes = edges.bytes[edges.first[task] : edges.first[task + 1]]
        came = plan.finish[upstreams] + alone_seconds(problem.network, sizes, plan.node[upstreams], node)
        inputs = slice(problem.inputs.first[task], problem.inputs.first[task + 1])
        lay = alone_seconds(problem.network, problem.inputs.bytes[inputs], problem.inputs.task[inputs], node)
        start = max(progress.seconds, came.max(initial=0.0), lay.max(initial=0.0))
        row = problem.row_of_mode[problem.first_mode[task] + plan.mode[task]]
        plan.start[task] = start
        plan.finish[task] = start + float(problem.seconds[row, problem.column_of_node[node]])
        has_ended |= bool(plan.finish[task] <= progress.seconds)
        progress.history[placement.node] = progress.history.get(placement.node, 0) + 1
    return has_ended


def _wait(asking: Asking, progress: Progress, name: str, answer: PlacementPlan | None) -> None:
    """On to the next instant at which something changes."""
    problem, plan = asking.problem, progress.plan
    instants = np.concatenate([plan.finish, problem.release, problem.opens, problem.held.until])
    later = instants[np.isfinite(instants) & (instants > progress.seconds)]
    if not len(later):
        holds = answer.holds if answer is not None else ()
        said = f": {holds[0].key}: {holds[0].reason}" if holds else ""
        left = int((plan.node == UNPLACED).sum())
        raise UnreadableError(f"the placer {name!r} leaves {left} tasks without a node for good{said}")
    progress.seconds = float(later.min())


__all__ = ["completed", "in_order", "rolled_out"]
