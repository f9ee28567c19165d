"""Lower bounds: what no schedule can beat, whatever a search has found.

* `makespan_bound`: the longest path, each task on its best node, data moved where that is cheaper than staying; and the
  load, spread over unrelated nodes as well as any split of tasks could (the linear relaxation of Lenstra, Shmoys and
  Tardos, Mathematical Programming 46, 1990), both at once: see `server.planning.load_bounds`.
* `turnaround_bound`: each run alone, and all runs through one machine that does the work of all nodes (where
  shortest remaining work first is optimal: Schrage, Operations Research 16, 1968; with weights Smith's rule, Naval
  Research Logistics Quarterly 3, 1956).

All are bounds for the contention-free network, and so for shared links too. Nothing here trusts a decoder.
"""

from __future__ import annotations

import heapq

import numpy as np

from server.planning.links import alone_seconds
from server.planning.load_bounds import Alternatives, Weights, best_weights
from server.planning.problem import Edges, Floats, Ints, Network, Problem
from server.planning.schedule import UNPLACED, Schedule

PAIR_LIMIT = 2e8
"""Up to so many pairs of nodes over all edges, each is looked at; above, the cheapest link of each node."""
SHAVED = 1e-12
"""Relative, taken off every bound so that rounding can never lift it above the optimum."""


def makespan_bound(problem: Problem, *, iterations: int | None = None) -> float:
    """Seconds that no schedule of all tasks that can run ends before; 0 without such tasks."""
    alternatives = Alternatives.of(problem)
    path = _ending(path_finishes(problem, alternatives))
    return max(path, best_weights(problem, alternatives, path, iterations=iterations).bound) * (1 - SHAVED)


def turnaround_bound(problem: Problem, *, iterations: int | None = None) -> float:
    """Seconds that the weighted mean turnaround of runs cannot be below. Only runs with tasks that can run count."""
    alternatives = Alternatives.of(problem)
    finishes, of_task = path_finishes(problem, alternatives), problem.runs.of_task
    can_end = np.isfinite(finishes)
    runs = np.unique(of_task[can_end])
    if not len(runs):
        return 0.0
    alone = np.zeros(len(problem.runs.submitted))
    np.maximum.at(alone, of_task[can_end], finishes[can_end])
    weights = best_weights(problem, alternatives, 0.0, iterations=iterations, is_load_only=True)
    total = _completion_bound(problem, alone, weights, can_end, runs)
    weight, submitted = problem.runs.weight[runs], problem.runs.submitted[runs]
    shaved = total - SHAVED * abs(total)
    return float((shaved - (weight * submitted).sum()) / weight.sum())


def mean_turnaround(problem: Problem, schedule: Schedule) -> float:
    """The weighted mean turnaround of the runs that have placed tasks, seconds; 0 of none."""
    runs, is_placed = problem.runs, schedule.node != UNPLACED
    last = np.full(len(runs.submitted), -np.inf)
    np.maximum.at(last, runs.of_task[is_placed], schedule.finish[is_placed])
    ended = np.isfinite(last)
    return float(np.average((last - runs.submitted)[ended], weights=runs.weight[ended])) if ended.any() else 0.0


def path_finishes(problem: Problem, alternatives: Alternatives | None = None) -> Floats:
    """[n] the earliest second at which each task can have finished with all nodes for itself; infinite if never."""
    best = (alternatives or Alternatives.of(problem)).best_seconds()
    finishes: Floats = (heads(problem, best) + best).min(axis=1)
    return finishes


def heads(problem: Problem, best: Floats) -> Floats:
    """[n, m] the earliest start of each task on each node, were there no other tasks but its upstreams.

    `best` [n, m] holds the least seconds of each task on each node, infinite where it cannot run.
    """
    edges, ports = problem.edges, _Ports(problem)
    found: Floats = np.maximum(np.asarray(problem.release, float)[:, None], np.asarray(problem.opens, float)[None, :])
    nodes = np.arange(problem.node_count, dtype=np.int32)
    for k, task in enumerate(_receivers(problem.inputs)):
        came = alone_seconds(problem.network, problem.inputs.bytes[k], problem.inputs.task[k], nodes)
        found[task] = np.maximum(found[task], came)
    for task in topological(edges):
        for k in range(edges.first[task], edges.first[task + 1]):
            upstream = edges.task[k]
            came = ports.arrivals(found[upstream] + best[upstream], float(edges.bytes[k]))
            found[task] = np.maximum(found[task], came)
    return found


def tails(problem: Problem, best: Floats, *, is_within_run: bool = False) -> Floats:
    """[n, m] the least seconds between the end of each task on each node and the end of all that waits for it;
    `is_within_run` counts only dependents in the task's own run. Dependents that can never run do not count."""
    rev, ports, of_task = problem.edges.reversed(), _Ports(problem, is_reversed=True), problem.runs.of_task
    found = np.zeros((problem.task_count, problem.node_count))
    for task in topological(problem.edges)[::-1]:
        for k in range(rev.first[task], rev.first[task + 1]):
            dependent = rev.task[k]
            is_counted = not is_within_run or of_task[dependent] == of_task[task]
            if is_counted and np.isfinite(best[dependent]).any():
                after = ports.arrivals(found[dependent] + best[dependent], float(rev.bytes[k]))
                found[task] = np.maximum(found[task], after)
    return found


def topological(edges: Edges) -> Ints:
    """Tasks so that upstreams come first, the lowest number first among those that may come next."""
    waiting = np.diff(edges.first).tolist()
    rev = edges.reversed()
    first, dependents = rev.first.tolist(), rev.task.tolist()
    ready = [task for task, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        task = heapq.heappop(ready)
        order.append(task)
        for dependent in dependents[first[task] : first[task + 1]]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heapq.heappush(ready, dependent)
    if len(order) < len(waiting):
        raise ValueError(
            f"the tasks wait for each other in a circle: {len(waiting) - len(order)} of them can never run"
        )
    return np.array(order, np.int32)


class _Ports:
    """When data that is ready at given seconds on each node can be on each other node (or the reverse: what must
    follow), from below."""

    def __init__(self, problem: Problem, *, is_reversed: bool = False) -> None:
        self.network, self.is_reversed, count = problem.network, is_reversed, problem.node_count
        nodes = np.arange(count, dtype=np.int32)
        self.is_flat = self.network.is_free or self.network.uniform is not None
        self.is_exact = count * count * len(problem.edges.task) <= PAIR_LIMIT and not self.is_flat
        self.pairs = (
            alone_seconds(_without_latency(self.network), 1.0, nodes[:, None], nodes) if self.is_exact else None
        )
        self.out, self.into = _cheapest(self.network, count)
        if is_reversed:
            self.out, self.into = self.into, self.out

    def arrivals(self, ends: Floats, size: float) -> Floats:
        """[m] from [m] ends on each node."""
        if self.network.is_free:
            return np.full(len(ends), ends.min())
        latency = self.network.latency_seconds
        if self.pairs is not None:
            pairs = self.pairs.T if self.is_reversed else self.pairs
            moved: Floats = (ends[:, None] + size * pairs).min(axis=0) + latency
        else:
            moved = np.maximum(ends.min() + size * self.into, (ends + size * self.out).min()) + latency
        return np.minimum(ends, moved)


def _cheapest(network: Network, count: int) -> tuple[Floats, Floats]:
    """[m] seconds per byte of the cheapest link out of and into each node."""
    if network.pairs is not None and count > 1:
        others = np.asarray(network.pairs, float) + np.where(np.eye(count, dtype=bool), np.inf, 0.0)
        return others.min(axis=1), others.min(axis=0)
    per_byte = np.asarray(network.cards, float) if network.cards is not None else np.full(count, network.uniform or 0.0)
    return per_byte, per_byte


def _without_latency(network: Network) -> Network:
    return Network(uniform=network.uniform, pairs=network.pairs, cards=network.cards)


def _receivers(edges: Edges) -> Ints:
    return np.repeat(np.arange(len(edges.first) - 1, dtype=np.int32), np.diff(edges.first))


def _ending(finishes: Floats) -> float:
    able = finishes[np.isfinite(finishes)]
    return float(able.max()) if len(able) else 0.0


def _completion_bound(problem: Problem, alone: Floats, weights: Weights, can_end: Floats, runs: Ints) -> float:
    """The least weighted sum of completions of `runs`."""
    work = np.zeros(len(alone))
    np.add.at(work, problem.runs.of_task[can_end], weights.work[can_end])
    work, alone, weight = work[runs], alone[runs], np.asarray(problem.runs.weight, float)[runs]
    by_path = float((weight * alone).sum())
    order = np.argsort(work / weight, kind="stable")
    by_work = float((weight[order] * np.cumsum(work[order])).sum())
    found = max(by_path, by_work)
    if (weight == weight[0]).all():
        releases = np.full(len(problem.runs.submitted), np.inf)
        np.minimum.at(releases, problem.runs.of_task[can_end], np.asarray(problem.release, float)[can_end])
        in_order = np.maximum(np.cumsum(np.sort(work)), np.sort(alone)).sum()
        found = max(found, weight[0] * float(in_order), weight[0] * shortest_remaining(releases[runs], work))
    return found


def shortest_remaining(releases: Floats, work: Floats) -> float:
    """The least sum of completions of jobs on one machine that may interrupt them: shortest remaining work first."""
    order = np.argsort(releases, kind="stable")
    now, total, waiting = 0.0, 0.0, list[float]()
    for place, job in enumerate(order):
        now = max(now, float(releases[job]))
        heapq.heappush(waiting, float(work[job]))
        until = float(releases[order[place + 1]]) if place + 1 < len(order) else np.inf
        while waiting and now < until:
            remaining = heapq.heappop(waiting)
            if now + remaining > until:
                heapq.heappush(waiting, remaining - (until - now))
                now = until
            else:
                now += remaining
                total += now
    return total


__all__ = ["heads", "makespan_bound", "mean_turnaround", "path_finishes", "tails", "topological", "turnaround_bound"]
