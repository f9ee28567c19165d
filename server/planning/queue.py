"""The waiting queue as the kernels of `kernels.queueing` take it, behind plain methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from server.planning.objectives import RunCosts
from server.planning.problem import NEVER, Floats, Ints, Problem
from server.planning.schedule import Schedule


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """What is left of every run, on the quickest nodes: `work` [k] seconds in all, `path` [k] on the longest chain;
    `task_best` and `task_path` [n] the same per task, the chain from its start to the end of the run."""

    work: Floats
    path: Floats
    task_best: Floats
    task_path: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Runs in the order in which they get their nodes; `pushes` [k] names those whose ready tasks may start now, in the
    modes `may_push` [q], in room that others keep for later."""

    runs: Ints
    pushes: Ints
    may_push: Ints


class Queue:
    """Schedules of one problem whose tasks belong to many runs. `bound` [k]: seconds until what runs of run k ends."""

    def __init__(self, problem: Problem, bound: Floats | None = None) -> None:
        from server.planning.building import Builder
        from server.planning.kernels import decoding, ground, inserting, ordering, queueing, ranks

        self.problem = problem
        self.bound = np.zeros(len(problem.runs.submitted)) if bound is None else np.asarray(bound, np.float64)
        self._kernels, self._ordering, self._inserting = queueing, ordering, inserting
        self._ranks, self._ground, self._decoding = ranks, ground, decoding
        self.build = Builder(problem)
        held = problem.held
        self._held = (
            np.require(held.node, np.int32, ["C", "W"]),
            np.require(held.demand, np.float64, ["C", "W"]),
            np.require(held.until, np.float64, ["C", "W"]),
        )

    @cached_property
    def outline(self) -> Outline:
        """What is left of the runs."""
        count, runs = self.problem.task_count, self.problem.runs
        best, path = np.zeros(count), np.zeros(count)
        if count and self.problem.node_count:
            self._kernels.outline(self.build.ground, self.build.topological, best, path)
        longest = np.zeros(len(runs.submitted))
        np.maximum.at(longest, runs.of_task, path)
        work = np.bincount(runs.of_task, best, len(longest)).astype(np.float64)
        return Outline(work, longest, best, path)

    def in_turn(self, rank: Floats, *, latest: Floats | None = None, price: Floats | None = None) -> Schedule:
        """List scheduling: tasks as they become ready, by priority, then by `rank` [n] (lower first), each where it
        ends first; with `latest` [n] and `price` [m], where it is cheapest among what ends in time."""
        plan = self._ground.empty_plan(self.problem.task_count)
        first, receivers = self._ranks.by_sender(self.build.ground.first, self.build.ground.source)
        self._decoding.begin(self.build.ground, self.build.lanes, *self._held)
        self._kernels.in_turn(
            self.build.ground,
            self.build.lanes,
            plan,
            np.ascontiguousarray(rank, np.float64),
            self.build.level,
            first,
            receivers,
            np.zeros(0) if latest is None else np.ascontiguousarray(latest, np.float64),
            np.zeros(0) if price is None else np.ascontiguousarray(price, np.float64),
        )
        return self.build.schedule(plan)

    def lines(self, costs: RunCosts, pinned: Ints) -> Any:
        """The runs as the search takes them; `pinned` [k] names those that keep their place."""
        runs = self.problem.runs
        return self._ordering.Lines(
            bound=_floats(self.bound),
            submitted=_floats(runs.submitted),
            linear=_floats(costs.linear),
            square=_floats(costs.square),
            late=_floats(costs.late),
            deadline=np.where(runs.deadline < NEVER, runs.deadline, 0.0).astype(np.float64),
            level=np.ascontiguousarray(runs.priority, np.int32),
            pinned=np.ascontiguousarray(pinned, np.int32),
        )

    def improved(self, lines: Any, order: Ints, rounds: int, may_push: Ints | None = None) -> tuple[Order, float]:
        """The best of `rounds` changes to the given order of runs, and its cost. `may_push` [q] names the modes in
        which ready tasks may start now in room that is kept for later ones; without it none does."""
        found = np.array(order, np.int32)
        work, empty, chains = self._work, self._empty, self._chains
        if may_push is not None:
            chains = chains._replace(may_push=np.ascontiguousarray(may_push, np.int32))
        sizes = np.diff(chains.first)[found]
        room = int(empty.used[0]) + 2 * int(sizes.sum())
        steps = self._inserting.Steps(
            head=empty.head.copy(),
            after=np.full(room, -1, np.int32),
            time=np.zeros(room),
            free=np.zeros((room, work.demand.shape[1])),
            used=np.zeros(1, np.int32),
        )
        pushes = np.zeros(len(lines.bound), np.int32)
        cost = self._ordering.improve(work, empty, steps, chains, lines, found, int(rounds), pushes)
        return Order(found, pushes, chains.may_push), float(cost)

    def by_runs(self, order: Order) -> Schedule:
        """Run after run in the given order, each run's tasks by rank, with insertion; those that push in first."""
        first, tasks = self._chains.first, self._chains.task
        chosen = [tasks[first[k] : first[k + 1]] for k in order.runs]
        listed = np.concatenate(chosen) if chosen else np.zeros(0, np.int32)
        if not order.pushes.any():
            return self.build.by_list(listed)
        return self.build.by_list_pushing(listed, order.pushes[self.problem.runs.of_task], order.may_push)

    @cached_property
    def _chains(self) -> Any:
        """The tasks of every run in the order in which they are placed; none pushes in."""
        runs = self.problem.runs
        rank, _ = self.build.upward()
        order = self.build.topological[np.argsort(-rank[self.build.topological], kind="stable")]
        tasks = order[np.argsort(runs.of_task[order], kind="stable")].astype(np.int32)
        first = np.zeros(len(runs.submitted) + 1, np.int32)
        np.cumsum(np.bincount(runs.of_task, minlength=len(runs.submitted)), out=first[1:])
        return self._inserting.Chains(first, tasks, np.zeros(len(self.problem.row_of_mode), np.int32))

    @cached_property
    def _work(self) -> Any:
        """The tasks for the search; nodes that run one task at a time are told by a single amount."""
        problem = self.problem
        demand = self._amounts[0]
        return self._inserting.Work(
            seconds=_floats(problem.seconds),
            column=np.ascontiguousarray(problem.column_of_node, np.int32),
            first_mode=np.ascontiguousarray(problem.first_mode, np.int32),
            row=np.ascontiguousarray(problem.row_of_mode, np.int32),
            demand=demand,
            least=demand.min(axis=0) if len(demand) else np.zeros(demand.shape[1]),
            first=np.ascontiguousarray(problem.edges.first, np.int32),
            source=np.ascontiguousarray(problem.edges.task, np.int32),
            release=_floats(problem.release),
            opens=_floats(problem.opens),
        )

    @cached_property
    def _resources(self) -> slice | Ints:
        """Which resources the search looks at: one is enough if every task needs more than half of any node's."""
        problem = self.problem
        least, most = problem.demand.min(axis=0, initial=np.inf), problem.demand.max(axis=0, initial=0)
        capacity = problem.capacity
        fills = (2 * least > capacity.max(axis=0, initial=0)) & (most <= capacity.min(axis=0, initial=np.inf))
        return np.flatnonzero(fills)[:1].astype(np.int32) if fills.any() else slice(None)

    @cached_property
    def _amounts(self) -> tuple[Floats, Floats, Floats]:
        """Demands, capacities and held amounts of those resources."""
        problem, chosen = self.problem, self._resources
        parts = (problem.demand, problem.capacity, problem.held.demand)
        demand, capacity, held = (_floats(part[:, chosen]) for part in parts)
        return demand, capacity, held

    @cached_property
    def _empty(self) -> Any:
        """The nodes with what is held on them, which never comes back if it is held for ever, and what is promised."""
        demand, capacity, amounts = self._amounts
        held = self.problem.held
        comes_back = np.isfinite(held.until) & (held.until > 0)
        node, until, returns = held.node[comes_back], held.until[comes_back], amounts[comes_back]
        if (promised := self.problem.promised) is not None:
            taken = _floats(promised.demand[:, self._resources])
            node = np.concatenate([node, promised.node, promised.node])
            until = np.concatenate([until, promised.since, promised.until])
            returns = np.concatenate([returns, -taken, taken])
        in_order = np.lexsort((until, node))
        node, until, returns = node[in_order], until[in_order], returns[in_order]
        nodes, count = len(capacity), len(node)
        base = np.array(capacity)
        is_held = held.until > 0
        np.subtract.at(base, held.node[is_held], amounts[is_held])
        returned = np.concatenate([np.zeros((1, demand.shape[1])), np.cumsum(returns, axis=0)])
        begins = np.searchsorted(node, np.arange(nodes))
        after = np.full(nodes + count, -1, np.int32)
        is_last = np.append(node[1:] != node[:-1], True) if count else np.zeros(0, bool)
        after[nodes:] = np.where(is_last, -1, nodes + 1 + np.arange(count))
        has_any = np.bincount(node, minlength=nodes) > 0
        after[:nodes][has_any] = nodes + begins[has_any]
        free = np.concatenate([base, base[node] + returned[1:] - returned[begins[node]]])
        return self._inserting.Steps(
            head=np.arange(nodes, dtype=np.int32),
            after=after,
            time=np.concatenate([np.zeros(nodes), until]).astype(np.float64),
            free=np.ascontiguousarray(free),
            used=np.array([nodes + count], np.int32),
        )


def _floats(values: Floats) -> Floats:
    return np.ascontiguousarray(values, np.float64)


__all__ = ["Order", "Outline", "Queue"]
