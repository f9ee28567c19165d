"""Builds schedules of one problem with the kernels: orders, ranks and decoding, behind plain methods."""

from __future__ import annotations

import heapq
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from server.planning.problem import Floats, Ints, Problem
from server.planning.schedule import UNPLACED, Schedule

if TYPE_CHECKING:
    from server.planning.kernels.ground import Plan

OCTETS_FROM = 100
"""Nodes from which on bounds on eight of them at a time pay."""


class Builder:
    """Everything that constructors share about one problem. Arrays are made when first asked for; the kernels (and
    with them numba) are imported here and not before."""

    def __init__(self, problem: Problem) -> None:
        from server.planning.kernels import batching, decoding, ground, listing, octets, ranks

        self.problem = problem
        self._decoding, self._ranks, self._ground = decoding, ranks, ground
        self._batching, self._listing, self._octets = batching, listing, octets
        self.ground = ground.ground(problem)
        self.lanes = ground.lanes(self.ground, problem)
        self.lows = np.zeros((0, 0), np.float32)
        self.anywhere = np.full(problem.task_count, UNPLACED, np.int32)

    @cached_property
    def topological(self) -> Ints:
        """Tasks, upstreams first. ValueError where tasks wait for each other."""
        order: Ints = self._ranks.topological(self.ground.first, self.ground.source)
        if len(order) < self.problem.task_count:
            raise ValueError(f"{self.problem.task_count - len(order)} tasks wait for each other in a circle")
        return order

    @cached_property
    def receivers(self) -> tuple[Ints, Ints]:
        """Edges by sender: the dependents of task t are `receivers[1][receivers[0][t]:receivers[0][t + 1]]`."""
        found: tuple[Ints, Ints] = self._ranks.by_sender(self.ground.first, self.ground.source)
        return found

    @cached_property
    def held(self) -> tuple[Ints, Floats, Floats]:
        """Node, demand and end of what is held, as kernels take them."""
        held = self.problem.held
        return (
            np.require(held.node, np.int32, ["C", "W"]),
            np.require(held.demand, np.float64, ["C", "W"]),
            np.require(held.until, np.float64, ["C", "W"]),
        )

    @cached_property
    def level(self) -> Ints:
        """[n] the priority of each task's run, or of what depends on it where that is higher."""
        runs = self.problem.runs
        level = runs.priority[runs.of_task].astype(np.int32)
        if len(runs.priority) > 1:
            self._ranks.highest_below(self.ground.first, self.ground.source, self.topological, level)
        return level

    def upward(self) -> tuple[Floats, Floats]:
        """[n] upward ranks and [n] mean seconds."""
        rank = np.zeros(self.problem.task_count)
        self.lows = self._room_for_lows()
        mean: Floats = self._ranks.upward(self.ground, self.topological, rank, self.lows)
        return rank, mean

    def downward(self, mean: Floats) -> Floats:
        """[n] downward ranks."""
        rank = np.zeros(self.problem.task_count)
        self._ranks.downward(self.ground, self.topological, mean, rank)
        return rank

    def optimistic_costs(self) -> Floats:
        """[n, m] PEFT's optimistic cost table."""
        table = np.zeros((self.problem.task_count, self.problem.node_count))
        self._ranks.optimistic_costs(self.ground, self.lanes, self.topological, table)
        return table

    def ordered(self, rank: Floats) -> Ints:
        """Tasks by level, then by rank, highest first. The rank of a task must not be below that of a dependent."""
        by_rank = self.topological[np.argsort(-_rounded(rank)[self.topological], kind="stable")]
        if len(self.problem.runs.priority) < 2:
            return by_rank
        return by_rank[np.argsort(-self.level[by_rank], kind="stable")]

    def ready_first(self, rank: Floats) -> Ints:
        """Tasks in the order of a queue of ready ones, by level, then by rank, highest first."""
        start, receivers = self.receivers
        waits = np.diff(self.ground.first)
        level, rank = self.level, _rounded(rank)
        queue = [(-level[task], -rank[task], task) for task in np.flatnonzero(waits == 0)]
        heapq.heapify(queue)
        order = np.empty(len(waits), np.int32)
        for at in range(len(waits)):
            order[at] = task = heapq.heappop(queue)[2]
            for receiver in receivers[start[task] : start[task + 1]]:
                waits[receiver] -= 1
                if not waits[receiver]:
                    heapq.heappush(queue, (-level[receiver], -rank[receiver], receiver))
        return order

    def critical_path(self, priority: Floats) -> Ints:
        """From the entry task of the highest priority down, always along the highest."""
        start, receivers = self.receivers
        waits, priority = np.diff(self.ground.first), _rounded(priority)
        entries = np.flatnonzero(waits == 0)
        path = [entries[np.argmax(priority[entries])]] if len(entries) else []
        while path and len(following := receivers[start[path[-1]] : start[path[-1] + 1]]):
            path.append(following[np.argmax(priority[following])])
        return np.array(path, np.int32)

    def quickest_node(self, tasks: Ints) -> int:
        """The node that runs these tasks one after another quickest; of all that can run most of them."""
        if not len(tasks):
            return UNPLACED
        takes = np.array([self._seconds(task) for task in tasks]).reshape(len(tasks), -1)
        can_run = np.isfinite(takes)
        most = can_run.sum(axis=0)
        total = np.where(can_run, takes, 0.0).sum(axis=0)
        total[most < most.max(initial=0)] = np.inf
        return int(np.argmin(total))

    def one_node(self) -> Ints:
        """[n] the node that ends all tasks first if they all ran there, for every task that it can run."""
        tasks, nodes = self.problem.task_count, self.problem.node_count
        busy = np.zeros(nodes)
        missing = np.zeros(nodes)
        for task in range(tasks):
            takes = self._seconds(task)
            can_run = np.isfinite(takes)
            busy += np.where(can_run, takes, 0.0)
            missing += ~can_run
        busy[missing > missing.min(initial=tasks)] = np.inf
        return np.full(tasks, np.argmin(busy + self.ground.opens) if nodes else UNPLACED, np.int32)

    def by_list(self, order: Ints, wanted: Ints | None = None) -> Schedule:
        """Decode an order; `wanted` [n] names a node for some tasks (-1: wherever it ends first)."""
        plan = self._begun()
        if self.ground.is_shared or self.ground.is_one_port or wanted is not None:
            self._decoding.decode(self.ground, self.lanes, plan, order, self.anywhere if wanted is None else wanted)
        elif self.ground.kind in (self._ground.FREE, self._ground.UNIFORM):
            self._listing.decode_uniform(self.ground, self.lanes, plan, order, self.lows)
        else:
            self._listing.decode_linked(self.ground, self.lanes, plan, order)
        return self.schedule(plan)

    def by_list_pushing(self, order: Ints, pushes: Ints, may_push: Ints) -> Schedule:
        """As `by_list`, but what would start now if only ready tasks were placed does start now, of tasks that `pushes`
        [n] names, in modes that `may_push` [q] names. Where nodes run one task at a time, nothing tells its modes apart
        until the end: all of them must be named."""
        plan, first_mode = self._begun(), self.problem.first_mode
        is_ready = (np.diff(self.ground.first) == 0) & (self.ground.release <= 0)
        named = np.logical_or if self.ground.is_shared else np.logical_and
        can = named.reduceat(may_push > 0, first_mode[:-1])
        ready = order[(is_ready & can)[order]]
        self._decoding.decode(self.ground, self.lanes, plan, ready, self.anywhere)
        starts = (plan.start[ready] <= 0) & (pushes[ready] > 0) & (may_push[first_mode[ready] + plan.mode[ready]] > 0)
        plan.node[ready[~starts]] = UNPLACED
        self._decoding.begin(self.ground, self.lanes, *self.held)
        is_placed = plan.node[order] != UNPLACED
        self._decoding.enter_placed(self.ground, self.lanes, plan, order[is_placed])
        self._decoding.decode(self.ground, self.lanes, plan, order[~is_placed], self.anywhere)
        return self.schedule(plan)

    def by_outlook(self, order: Ints, outlook: Floats) -> Schedule:
        """Decode an order; a task goes where its finish plus its outlook [n, m] is least."""
        plan = self._begun()
        self._decoding.decode_with_outlook(self.ground, self.lanes, plan, order, outlook)
        return self.schedule(plan)

    def by_batch(self, rule: str, *, by_wave: bool) -> Schedule:
        """`min_min`, `max_min` or `sufferage` over whatever is ready; `by_wave`: over all that was ready together,
        before any task that became ready meanwhile."""
        plan = self._begun()
        _, receivers = self.receivers
        waits = np.diff(self.ground.first)
        number = ("min_min", "max_min", "sufferage").index(rule)
        level = self.level
        if by_wave:
            depth = np.zeros_like(level)
            self._ranks.depths(self.ground.first, self.ground.source, self.topological, depth)
            level = np.unique(level, return_inverse=True)[1] * (depth.max(initial=0) + 1) - depth
        self._batching.batch(self.ground, self.lanes, plan, number, level.astype(np.int32), waits, receivers)
        return self.schedule(plan)

    def schedule(self, plan: Plan) -> Schedule:
        """The answer of a filled plan, with the modes that exclusive kernels leave aside."""
        node, mode = plan.node, plan.mode
        if not self.ground.is_shared and not self.problem.is_single_mode:
            _, quickest = self._ground.dense_seconds(self.problem)
            mode = np.where(node >= 0, quickest[np.arange(len(node)), node], 0).astype(np.int32)
        return Schedule(node, mode, plan.start, plan.finish)

    def _begun(self) -> Plan:
        self._decoding.begin(self.ground, self.lanes, *self.held)
        return self._ground.empty_plan(self.problem.task_count)

    def _room_for_lows(self) -> Floats:
        """[rows, m / 8] for the octets of problems that these make faster."""
        is_alike = self.ground.kind in (self._ground.FREE, self._ground.UNIFORM)
        rows, nodes = self.ground.seconds.shape
        if not is_alike or self.ground.is_shared or not self.ground.is_plain or nodes < OCTETS_FROM:
            return np.zeros((0, 0), np.float32)
        return np.empty((rows, -(-nodes // self._octets.OCTET)), np.float32)

    def _seconds(self, task: int) -> Floats:
        values = np.zeros(self.problem.node_count)
        self._ranks.quickest(self.ground, self.lanes, task, values)
        return values


def _rounded(rank: Floats) -> Floats:
    """Ranks to nine digits, so that ties are ties whatever order the sums were taken in."""
    scale = rank.max(initial=0.0)
    return np.rint(rank / scale * 1e9) if scale > 0 else rank


__all__ = ["Builder"]
