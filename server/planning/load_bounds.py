"""The load bound: prices of node time under which even the cheapest way of running each task is expensive in all.

Put a price on each unit of capacity of each node (and on the run time of tasks along paths) that sums to one per
second. However the tasks are split over nodes, the sum over tasks of their *cheapest* alternative is then at most the
makespan: this is the dual of the linear relaxation, so any prices give a valid bound and the best give that of the
relaxation. Good prices are found by exponentiated subgradient ascent (Kivinen and Warmuth, Information and Computation
132, 1997): where the cheapest alternatives pile up, prices rise. No solver is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.planning.checking import TOLERANCE
from server.planning.problem import Edges, Floats, Ints, Problem

WORK_LIMIT = 1.5e8
"""About how many numbers an ascent looks at; large problems get fewer iterations."""
MOST_PATHS = 64
STEP = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """Attributes: `seconds` [q, m] of each mode on each node, infinite where it does not fit; `demand` [q, r];
    `capacity` [m, r] beside what is held for ever; `first_mode` [n + 1]; `able` [n] whether anything can run it and all
    that it waits for."""

    seconds: Floats
    demand: Floats
    capacity: Floats
    first_mode: Ints
    able: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, problem: Problem) -> Alternatives:
        """What can run where, at all."""
        capacity = np.array(problem.capacity, float)
        for_ever = np.isinf(problem.held.until)
        np.subtract.at(capacity, problem.held.node[for_ever], np.asarray(problem.held.demand, float)[for_ever])
        seconds = np.asarray(problem.seconds, float)[problem.row_of_mode][:, problem.column_of_node]
        demand = np.asarray(problem.demand, float)
        if not _all_fit(demand, capacity):
            for resource in range(demand.shape[1]):
                asks, room = demand[:, resource], capacity[:, resource] * (1 + TOLERANCE)
                seconds[(asks[:, None] > room[None, :]) & (asks[:, None] > 0)] = np.inf
        seconds[:, np.isinf(problem.opens)] = np.inf
        able = np.logical_or.reduceat(np.isfinite(seconds).any(axis=1), problem.first_mode[:-1])
        able = _without_dependents(able & np.isfinite(problem.release), problem.edges)
        return cls(seconds, demand, np.maximum(capacity, 0.0), problem.first_mode, able)

    def best_seconds(self) -> Floats:
        """[n, m] the least seconds of each task on each node; infinite where it can never run."""
        found = self.seconds
        if len(found) > len(self.first_mode) - 1:
            found = np.minimum.reduceat(found, self.first_mode[:-1], axis=0)
        return found if self.able.all() else np.where(self.able[:, None], found, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Attributes: `bound` the makespan that these prices prove; `work` [n] what the cheapest alternative of each task
    costs under them; `node` [m, r] the prices of node capacity."""

    bound: float
    work: Floats
    node: Floats


def best_weights(
    problem: Problem,
    alternatives: Alternatives,
    least_seconds: float,
    *,
    iterations: int | None = None,
    is_load_only: bool = False,
) -> Weights:
    """Prices that prove much. `least_seconds` is a bound known before: what is held until then is lost to all."""
    return _Ascent(problem, alternatives, least_seconds, is_load_only).run(iterations)


class _Ascent:
    def __init__(self, problem: Problem, alternatives: Alternatives, least: float, is_load_only: bool) -> None:
        able = np.flatnonzero(alternatives.able).astype(np.int32)
        modes = [np.arange(alternatives.first_mode[t], alternatives.first_mode[t + 1]) for t in able]
        self.modes = np.concatenate(modes) if modes else np.zeros(0, int)
        self.first = np.cumsum([0, *map(len, modes)])
        self.able, self.task_count = able, problem.task_count
        self.seconds, self.demand = alternatives.seconds[self.modes], alternatives.demand[self.modes]
        self.owner = np.repeat(np.arange(len(able)), np.diff(self.first))
        self.capacity = alternatives.capacity
        self.is_priced = self.capacity > 0
        self.lost = _lost(problem, alternatives.capacity, least)
        self.levels = None if is_load_only else _Levels(problem.edges, able)
        self.paths: Floats = np.zeros((0, len(able)))

    def run(self, iterations: int | None) -> Weights:
        shape = self.capacity.shape
        if not len(self.able) or not self.is_priced.any():
            return Weights(0.0, np.zeros(self.task_count), np.zeros(shape))
        count = iterations or int(np.clip(WORK_LIMIT / (self.seconds.size * shape[1]), 8, 300))
        logits: Floats = np.where(self.is_priced, 0.0, -np.inf)
        logit_of_path: Floats = np.zeros(0)
        best, mean = Weights(-1.0, np.zeros(self.task_count), np.zeros(shape)), (np.zeros(shape), np.zeros(0))
        for k in range(count):
            node, path = self._prices(logits, logit_of_path)
            found, loads, lengths, chosen = self._respond(node, path)
            best = found if found.bound > best.bound else best
            mean = (mean[0] + node, np.pad(mean[1], (0, len(path) - len(mean[1]))) + path)
            scale = STEP / np.sqrt(1 + k / 4) / max(float(loads.max()), float(lengths.max(initial=0.0)), 1e-300)
            logits, logit_of_path = logits + scale * loads, logit_of_path + scale * lengths
            logit_of_path = self._with_longest(logit_of_path, float(logits.max()), chosen)
        averaged = self._respond(mean[0] / count, np.pad(mean[1], (0, len(self.paths) - len(mean[1]))) / count)[0]
        return averaged if averaged.bound > best.bound else best

    def _prices(self, logits: Floats, logit_of_path: Floats) -> tuple[Floats, Floats]:
        """Prices per unit of capacity and per second of each path; together they cost one per second."""
        top = max(float(logits.max()), float(logit_of_path.max(initial=-np.inf)))
        node, path = np.exp(logits - top), np.exp(logit_of_path - top)
        total = node.sum() + path.sum()
        return np.divide(node, self.capacity * total, out=np.zeros_like(node), where=self.is_priced), path / total

    def _respond(self, node: Floats, path: Floats) -> tuple[Weights, Floats, Floats, Floats]:
        """The cheapest alternative of each task: what it proves, each node's share of a second's capacity that it
        takes, each path's length, each task's seconds."""
        per_second = self.demand @ node.T
        if len(path):
            per_second = per_second + (path @ self.paths)[self.owner, None]
        cost = np.where(np.isfinite(self.seconds), self.seconds, 0.0) * per_second
        cost[np.isinf(self.seconds)] = np.inf
        on = cost.argmin(axis=1)
        modes = np.arange(len(on))
        of_mode = cost[modes, on]
        cheapest = np.minimum.reduceat(of_mode, self.first[:-1])
        mode = _first_equal(of_mode, cheapest[self.owner], self.first)
        taken, seconds = on[mode], self.seconds[mode, on[mode]]
        loads = self.lost.copy()
        np.add.at(loads, taken, self.demand[mode] * seconds[:, None])
        shares = np.divide(loads, self.capacity, out=np.zeros_like(loads), where=self.is_priced)
        work = np.zeros(self.task_count)
        work[self.able] = cheapest
        bound = float(cheapest.sum() + (node * self.lost).sum())
        return Weights(bound, work, node), shares, self.paths @ seconds, seconds

    def _with_longest(self, logit_of_path: Floats, start: float, seconds: Floats) -> Floats:
        if self.levels is None or len(self.paths) >= MOST_PATHS:
            return logit_of_path
        longest = self.levels.longest(seconds)
        if len(self.paths) and (self.paths == longest).all(axis=1).any():
            return logit_of_path
        self.paths = np.vstack([self.paths, longest])
        return np.append(logit_of_path, start)


class _Levels:
    """The graph of the tasks that can run, level by level, for longest paths."""

    def __init__(self, edges: Edges, able: Ints) -> None:
        number = np.full(len(edges.first) - 1, -1)
        number[able] = np.arange(len(able))
        receivers = np.repeat(np.arange(len(edges.first) - 1), np.diff(edges.first))
        pairs = list(zip(number[edges.task].tolist(), number[receivers].tolist(), strict=True))
        self.upstreams: list[list[int]] = [[] for _ in able]
        for sender, receiver in pairs:
            if sender >= 0 and receiver >= 0:
                self.upstreams[receiver].append(sender)
        self.order = _in_order(self.upstreams)

    def longest(self, seconds: Floats) -> Floats:
        """1.0 for each task of a longest path."""
        takes = seconds.tolist()
        length, before = list(takes), [-1] * len(takes)
        for task in self.order:
            for upstream in self.upstreams[task]:
                if length[upstream] + takes[task] > length[task]:
                    length[task], before[task] = length[upstream] + takes[task], upstream
        found, task = np.zeros(len(takes)), int(np.argmax(length))
        while task >= 0:
            found[task] = 1.0
            task = before[task]
        return found


def _without_dependents(able: npt.NDArray[np.bool_], edges: Edges) -> npt.NDArray[np.bool_]:
    """Those of the able tasks that wait for able ones only."""
    if able.all():
        return able
    rev, found = edges.reversed(), able.copy()
    stuck = np.flatnonzero(~able).tolist()
    while stuck:
        task = stuck.pop()
        for dependent in rev.task[rev.first[task] : rev.first[task + 1]].tolist():
            if found[dependent]:
                found[dependent] = False
                stuck.append(dependent)
    return found


def _in_order(upstreams: list[list[int]]) -> list[int]:
    state, order = [0] * len(upstreams), list[int]()
    for root in range(len(upstreams)):
        stack = [root]
        while stack:
            task = stack[-1]
            if state[task] == 0:
                state[task] = 1
                stack.extend(upstream for upstream in upstreams[task] if state[upstream] == 0)
            else:
                stack.pop()
                if state[task] == 1:
                    state[task] = 2
                    order.append(task)
    return order


def _lost(problem: Problem, capacity: Floats, least: float) -> Floats:
    """[m, r] capacity seconds that nothing can use before `least`; an overfull node loses no more than it has."""
    lost = capacity * np.minimum(np.asarray(problem.opens, float), least)[:, None]
    until, demand = np.asarray(problem.held.until, float), np.asarray(problem.held.demand, float)
    ends = np.isfinite(until)
    for node in np.unique(problem.held.node[ends]):
        here = np.flatnonzero(ends & (problem.held.node == node))
        here = here[np.argsort(until[here])]
        begins = np.concatenate([[0.0], until[here[:-1]]])
        spans = np.minimum(until[here], least) - np.minimum(begins, least)
        in_use = np.minimum(np.cumsum(demand[here][::-1], axis=0)[::-1], capacity[node])
        lost[node] = np.maximum(lost[node], (in_use * spans[:, None]).sum(axis=0))
    return np.asarray(lost, float)


def _first_equal(values: Floats, wanted: Floats, first: Ints) -> Ints:
    """The first position of each group whose value is the wanted one."""
    places = np.where(values == wanted, np.arange(len(values)), len(values))
    return np.asarray(np.minimum.reduceat(places, first[:-1]), np.int32)


def _all_fit(demand: Floats, capacity: Floats) -> bool:
    return bool((demand.max(axis=0, initial=0.0) <= capacity.min(axis=0, initial=np.inf)).all())


__all__ = ["Alternatives", "Weights", "best_weights"]
