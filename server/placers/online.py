"""The default: plans the whole queue anew in every cycle, and keeps what the plan says for now.

Steps: (1) runs in order of remaining work with aging; runs that have waited long enough stand first for good (the bound
below); (2) that order and a few others are decoded into schedules of the whole queue: each run's tasks by rank, each
where it ends first, waiting for a faster node where that pays, keeping room for tasks that are not ready yet, and
filling gaps; (3) the best is improved by moving runs, by the predicted objective of all of them, and by starting ready
tasks now in room that a run before them keeps for later (only on accelerators with which no run begins, see
`planning.announcing`: elsewhere such room also serves short runs that come unannounced); (4) tasks that start now are
bound, everything else is planned again at the next event.

Uncertainty: run times enter as the means of their bands, not the medians, and those of wide bands are drawn towards
what others take (`planning.believing`); what runs is expected to end given that it has not ended yet. Stability:
nothing is drawn from the cycle's seed, so the same queue gives the same plan.

The effort is counted in decoded tasks times nodes, never in time, so that the same request always gives the same plan:
many orders of a short queue, fewer of a long one; of a very long one the first runs are searched and the rest follows
in order. After shortest remaining processing time (Schrage, Operations Research 16(3), 1968), over insertion-based
earliest finish (Topcuoglu et al., IEEE TPDS 13(3), 2002); rolling the plan forward at every event as in "rollout"
(Bertsekas and Castanon, Journal of Heuristics 5, 1999).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.announcing import announced_modes
from server.planning.objectives import run_costs
from server.planning.problem import Floats, Ints, Problem
from server.planning.queue import Order, Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement

AGING = 0.2
"""A run that waited ten seconds goes before one with two seconds less work."""

PATIENCE = 20.0
"""A run that has waited this many times what is left of it (on the quickest nodes, one task after the other) goes
before every run of its priority that was submitted after it."""

LEAST_PATIENCE_SECONDS = 600.0
"""And no sooner than after this long."""

DONE_SHARE = 1 / 3
"""How much of what a run's tasks took so far counts as time it would have taken alone: they ran side by side, and not
all on the quickest node."""

EFFORT = 4_000_000
"""Tasks times nodes looked at in one cycle with a limit of `FULL_LIMIT_SECONDS` or more."""

FULL_LIMIT_SECONDS = 1.0
MOST_ROUNDS = 100
MOST_TASKS_SEARCHED = 500


class Online(WholeQueuePlacer):
    """Remaining work first, then whatever order of runs the whole queue is predicted to finish soonest in."""

    name: ClassVar[str] = "online"
    summary: ClassVar[str] = (
        "Plans the whole queue in every cycle, waits for a faster node when that pays, and searches the order of runs."
    )
    source: ClassVar[str] = "SRPT (Schrage 1968) over HEFT's insertion (Topcuoglu et al. 2002), rolled out every cycle"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Order, decode, improve."""
        expecting = Queue(expected(statement), statement.finish_of_bound)
        return expecting.by_runs(best_order(expecting, statement))


def expected(statement: Statement) -> Problem:
    """The problem with mean instead of median seconds, uncertain ones drawn towards what others take.

    Of two equal medians the surer one is the shorter run; of two uncertain ones none is as short or long as it looks.
    """
    problem = statement.problem
    if statement.belief is None or problem.spread is None:
        return problem
    factors = statement.belief.means_over_medians(problem.seconds, problem.spread)
    return replace(problem, seconds=(problem.seconds * factors[:, None]).astype(np.float32))


def best_order(queue: Queue, statement: Statement) -> Order:
    """The order that the search ends with, and who pushes in."""
    problem, outline, request = queue.problem, queue.outline, statement.request
    runs = problem.runs
    waited = -runs.submitted
    rest = np.maximum(queue.bound, 0.0)
    due = waited > np.maximum(PATIENCE * outline.work, LEAST_PATIENCE_SECONDS)
    key = outline.work + rest - AGING * waited
    order = _ordered(problem, due, key)
    alone = outline.path + rest + DONE_SHARE * runs.done_seconds
    head = _searched(problem, order)
    may_push = announced_modes(statement)
    rounds = _rounds(problem, head, may_push, request.time_limit_seconds)
    if not rounds:
        none = np.zeros(0, np.int32)
        return Order(order, none, none)
    lines = queue.lines(run_costs(problem, request.objective, alone), due)
    found, _ = queue.improved(lines, head, rounds, may_push)
    return replace(found, runs=np.concatenate([found.runs, order[len(head) :]]))


def _ordered(problem: Problem, due: Ints, key: Floats) -> Ints:
    """By priority, due runs first and in order of submission, the others by key."""
    runs = problem.runs
    second = np.where(due, runs.submitted, key)
    return np.lexsort((np.arange(len(key)), second, ~due, -runs.priority)).astype(np.int32)


def _searched(problem: Problem, order: Ints) -> Ints:
    """The first runs of the order, so many that their tasks can be decoded often."""
    tasks = np.bincount(problem.runs.of_task, minlength=len(order))[order]
    return order[: max(int(np.searchsorted(np.cumsum(tasks), MOST_TASKS_SEARCHED, side="right")), 1)]


def _rounds(problem: Problem, runs: Ints, may_push: Ints, limit_seconds: float) -> int:
    """How many orders can be tried: by work counted, never by time. Ready tasks that may push in are placed twice."""
    if len(runs) < 2:
        return 0
    is_searched = np.isin(problem.runs.of_task, runs)
    tasks = int(is_searched.sum())
    if may_push.any():
        is_twice = np.logical_or.reduceat(may_push > 0, problem.first_mode[:-1]) & (np.diff(problem.edges.first) == 0)
        tasks += int((is_searched & is_twice & (problem.release <= 0)).sum())
    depth = tasks // max(problem.node_count, 1)
    work = tasks * (problem.node_count * (1 + depth // 4) + 20)
    share = min(limit_seconds / FULL_LIMIT_SECONDS, 1.0)
    return int(min(EFFORT * share / work, MOST_ROUNDS))


__all__ = ["AGING", "LEAST_PATIENCE_SECONDS", "PATIENCE", "Online", "best_order", "expected"]
