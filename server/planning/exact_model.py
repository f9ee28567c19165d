"""The model of `server.planning.exact`, in whole numbers, for OR-tools CP-SAT."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from server.planning.links import alone_seconds
from server.planning.problem import Floats, Ints, Problem, taken_on
from server.planning.schedule import UNPLACED, Schedule
from server.planning.ways import Ways

Whole = npt.NDArray[np.int64]

UNITS = 1e7
"""Into how many units the best known schedule is divided (more for many tasks), where no power of ten makes all times
whole."""
CUT = 1e-6
"""Relative: only schedules that are better by more than this are looked for."""


class MissingSolverError(Exception):
    """OR-tools is not installed."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the solver found in time: a better schedule (rounded times) or none, and a lower bound of the goal."""

    schedule: Schedule | None
    lower_bound: float


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What is to be beaten: `goal` is the weighted sum of the ends of runs, or the last end with a single weight.

    Attributes: `weight` per run and its `runs`; `of_task`, the position of a task's run among them; `upper` of the sum
    that is known, `least` of each run's end that is proved.
    """

    weight: Floats
    of_task: Ints
    upper: float
    least: Floats


def solver() -> Any:
    """The module of CP-SAT. Raises MissingSolverError with what to do."""
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise MissingSolverError(
            "the strategy `exact` needs OR-tools: pip install 'ortools>=9.12' (or the extra `exact` of mlopx-server)"
        ) from None
    return cp_model


class Model:
    """One problem as constraints."""

    def __init__(self, sat: Any, problem: Problem, ways: Ways, hint: Schedule, target: Target) -> None:
        self.sat, self.problem, self.ways, self.target = sat, problem, ways, target
        self.model = sat.CpModel()
        self.scale = _scale(problem, ways, target, hint.makespan)
        weight = target.weight
        self.weight_scale = 1.0 if (weight == np.round(weight)).all() else 1e6 / float(weight.max())
        self.weight = np.floor(weight * self.weight_scale + 1e-9).astype(int)
        upper = np.floor(target.upper * self.scale * self.weight_scale * (1 + 1e-12))
        self.upper = int(upper - max(1.0, np.floor(CUT * abs(upper))))
        self.least = _down(target.least * self.scale)
        self.on_nodes: dict[int, dict[int, Any]] = {}
        self._choose()
        self._starts()
        self._nodes()
        self._edges()
        self._hint(hint)

    def solve(self, seconds: float, seed: int) -> Outcome:
        """Search in one thread; deterministic as far as time allows.

        Without linear relaxations and probing: on models of optional intervals, proofs of 20 and 40 tasks took 3 to 13
        times less processor time without them; a second thread rarely made them sooner.
        """
        found = self.sat.CpSolver()
        found.parameters.max_time_in_seconds = seconds
        found.parameters.num_workers = 1
        found.parameters.linearization_level = 0
        found.parameters.cp_model_probing_level = 0
        found.parameters.random_seed = seed
        status = found.solve(self.model) if self.is_open else self.sat.INFEASIBLE
        units = self.scale * self.weight_scale
        if status == self.sat.INFEASIBLE:
            return Outcome(None, (self.upper + 1) / units)
        bound = max(found.best_objective_bound, float((self.weight * self.least).sum())) / units
        if status not in (self.sat.OPTIMAL, self.sat.FEASIBLE):
            return Outcome(None, bound)
        return Outcome(self._schedule(found), bound)

    def _choose(self) -> None:
        """Keep the ways from which the target can still be beaten; one of each task's is taken."""
        ways, scale = self.ways, self.scale
        self.took = _down(ways.seconds * scale)
        self.head = _down(ways.head * scale)
        self.tail = _down(ways.tail * scale)
        slack = self.upper - int((self.weight * self.least).sum())
        latest = self.least + slack // np.maximum(self.weight, 1)
        self.latest = np.where(self.weight > 0, latest, int(4 * ways.seconds.sum() * scale) + self.head.max())
        run = self.target.of_task[ways.task]
        self.is_kept = self.head + self.took + self.tail <= self.latest[run]
        self.of_task = {task: here[self.is_kept[here]] for task, here in ways.of_task.items()}
        self.is_open = slack >= 0 and all(len(here) for here in self.of_task.values())
        self.is_taken = {int(way): self.model.new_bool_var("") for way in np.flatnonzero(self.is_kept)}
        for here in self.of_task.values():
            self.model.add_exactly_one(self.is_taken[int(way)] for way in here)

    def _sum(self, ways: Ints, amounts: Whole) -> Any:
        return sum(int(amounts[way]) * self.is_taken[int(way)] for way in ways)

    def _starts(self) -> None:
        """One start per task, and the ends of runs that the goal is made of."""
        model, of_task = self.model, self.target.of_task
        last = [
            model.new_int_var(int(low), int(max(low, high)), "")
            for low, high in zip(self.least, self.latest, strict=True)
        ]
        self.start: dict[int, Any] = {}
        self.end: dict[int, Any] = {}
        self.last = last
        for task, here in self.of_task.items():
            run = of_task[task]
            low = int(self.head[here].min(initial=self.latest[run]))
            high = int((self.latest[run] - self.took - self.tail)[here].max(initial=low))
            self.start[task] = model.new_int_var(low, max(low, high), "")
            model.add(self.start[task] >= self._sum(here, self.head))  # nodes that open late, inputs that must come
            self.end[task] = model.new_int_var(low, int(max(low, self.latest[run])), "")
            model.add(self.end[task] == self.start[task] + self._sum(here, self.took))
            model.add(self.end[task] + self._sum(here, self.tail) <= last[run])
        goal = sum(int(weight) * end for weight, end in zip(self.weight, last, strict=True))
        model.add(goal <= self.upper)
        model.minimize(goal)

    def _nodes(self) -> None:
        ways = self.ways
        self.interval = {
            way: self.model.new_optional_fixed_size_interval_var(
                self.start[int(ways.task[way])], int(self.took[way]), taken, ""
            )
            for way, taken in self.is_taken.items()
        }
        for node in range(self.problem.node_count):
            here = np.flatnonzero(self.is_kept & (ways.node == node))
            for resource in range(ways.demand.shape[1]):
                self._resource(node, resource, here[ways.demand[here, resource] > 0])

    def _resource(self, node: int, resource: int, here: Ints) -> None:
        """What a node has of one resource is never exceeded."""
        asks, room = self.ways.demand[here, resource], float(self.ways.capacity[node, resource])
        held = self._held(node, resource)
        most = {int(task): float(asks[self.ways.task[here] == task].max()) for task in np.unique(self.ways.task[here])}
        if sum(most.values()) + max((amount for _, _, amount in held), default=0.0) <= room:
            return
        fixed = [self.model.new_fixed_size_interval_var(begin, end - begin, "") for begin, end, _ in held]
        intervals = [self.interval[int(way)] for way in here]
        if 2 * float(asks.min()) > room * (1 + 1e-9):
            blocking = [
                one for one, (_, _, amount) in zip(fixed, held, strict=True) if amount + asks.min() > room * (1 + 1e-9)
            ]
            self.model.add_no_overlap([*intervals, *blocking])
            self._load(here, np.ones(len(here), int), 1)
        whole = _whole([*asks, room, *(amount for _, _, amount in held)])
        if 2 * float(asks.min()) <= room * (1 + 1e-9) or len(set(asks.tolist())) > 1:
            count = len(here)
            self.model.add_cumulative([*intervals, *fixed], [*whole[:count], *whole[count + 1 :]], whole[count])
            self._load(here, np.array(whole[:count]), whole[count])

    def _load(self, here: Ints, amounts: Whole, room: int) -> None:
        """All that a node does, between the earliest start and what must follow, is over before the last end; a node
        that does nothing delays nothing, however late it opens."""
        if len(self.last) == 1 and room * self.upper < 2**60:
            area = sum(
                int(a) * int(self.took[way]) * self.is_taken[int(way)] for way, a in zip(here, amounts, strict=True)
            )
            outside = int(self.head[here].min()) + int(self.tail[here].min())
            is_used: Any = 1
            if outside:
                is_used = self.model.new_bool_var("")
                for way in here:
                    self.model.add_implication(self.is_taken[int(way)], is_used)
            self.model.add(area + room * outside * is_used <= room * self.last[0])

    def _held(self, node: int, resource: int) -> list[tuple[int, int, float]]:
        """Begin, end and amount of what is held or promised, in steps that never exceed what the node has; shortened
        to whole numbers."""
        since, until, demand = (np.asarray(part, float) for part in taken_on(self.problem, node))
        counts = np.isfinite(until) & (demand[:, resource] > 0)
        since, until, amount = since[counts], until[counts], demand[counts, resource]
        found = []
        for begin, end in pairwise(sorted({*since.tolist(), *until.tolist()})):
            in_use = float(amount[(since <= begin) & (until >= end)].sum())
            rounded_up, last = _down(np.array([-begin, end]) * self.scale).tolist()
            first = -rounded_up
            if in_use > 0 and last > first:
                found.append((first, last, min(in_use, float(self.ways.capacity[node, resource]))))
        return found

    def _edges(self) -> None:
        """A dependent starts after its upstream's end, and after the transfer unless both share a node."""
        edges = self.problem.edges
        nodes = np.arange(self.problem.node_count, dtype=np.int32)
        for task in self.of_task:
            for k in range(edges.first[task], edges.first[task + 1]):
                costs = alone_seconds(self.problem.network, edges.bytes[k], nodes[:, None], nodes)
                self._edge(int(edges.task[k]), task, _down(costs * self.scale))

    def _edge(self, upstream: int, task: int, costs: Whole) -> None:
        between = costs[~np.eye(len(costs), dtype=bool)]
        least = int(between.min(initial=0))
        model, sends, takes = self.model, self._on_nodes(upstream), self._on_nodes(task)
        model.add(self.start[task] >= self.end[upstream])
        if not between.any():
            return
        is_same = model.new_bool_var("")
        model.add(self.start[task] >= self.end[upstream] + least).only_enforce_if(~is_same)
        for node in sends.keys() | takes.keys():
            self._same(is_same, sends.get(node), takes.get(node))
        if int(between.max()) > least:
            for node, sent in sends.items():
                moved = sum(int(costs[node, other]) * taken for other, taken in takes.items())
                model.add(self.start[task] >= self.end[upstream] + moved).only_enforce_if(sent)

    def _same(self, is_same: Any, sent: Any, taken: Any) -> None:
        if sent is not None and taken is not None:
            self.model.add(sent == taken).only_enforce_if(is_same)
            self.model.add_bool_or(~sent, ~taken, is_same)
        else:
            self.model.add_implication(is_same, ~(taken if sent is None else sent))

    def _on_nodes(self, task: int) -> dict[int, Any]:
        """Whether the task is on each node."""
        if task not in self.on_nodes:
            here, found = self.of_task[task], dict[int, Any]()
            for node in dict.fromkeys(self.ways.node[here].tolist()):
                taken = [self.is_taken[int(way)] for way in here if self.ways.node[way] == node]
                found[node] = taken[0]
                if len(taken) > 1:
                    found[node] = self.model.new_bool_var("")
                    self.model.add(sum(taken) == found[node])
            self.on_nodes[task] = found
        return self.on_nodes[task]

    def _hint(self, hint: Schedule) -> None:
        for task, here in self.of_task.items():
            self.model.add_hint(self.start[task], int(hint.start[task] * self.scale))
            for way in here:
                is_hinted = self.ways.node[way] == hint.node[task] and self.ways.mode[way] == hint.mode[task]
                self.model.add_hint(self.is_taken[int(way)], int(is_hinted))

    def _schedule(self, found: Any) -> Schedule:
        count = self.problem.task_count
        node, mode = np.full(count, UNPLACED, np.int32), np.zeros(count, np.int32)
        start: Floats = np.full(count, np.inf)
        for task, here in self.of_task.items():
            way = next(int(way) for way in here if found.boolean_value(self.is_taken[int(way)]))
            node[task], mode[task] = self.ways.node[way], self.ways.mode[way]
            start[task] = found.value(self.start[task]) / self.scale
        return Schedule(node, mode, start, start)


def _scale(problem: Problem, ways: Ways, target: Target, horizon: float) -> float:
    """Units per second: the first power of ten that makes all times whole, or as many as accuracy asks for."""
    units = max(UNITS, 5e5 * len(ways.tasks))
    nodes = np.arange(problem.node_count, dtype=np.int32)
    costs = [
        alone_seconds(problem.network, size, nodes[:, None], nodes).ravel()
        for size in set(problem.edges.bytes.tolist())
    ]
    held = problem.held.until[np.isfinite(problem.held.until)]
    times = np.concatenate([ways.seconds, ways.head, held, *costs]) if len(costs) < 2000 else np.array([np.pi])
    for power in (1.0, 10.0, 100.0, 1000.0):
        if horizon * power <= units and (times * power == np.round(times * power)).all():
            return power
    return units / max(horizon, 1e-9)


def _down(units: Floats) -> Whole:
    """Whole units, rounded down but for what the rounding of products and sums in floating point may have taken off."""
    found: Whole = np.floor(units + 1e-5).astype(np.int64)
    return found


def _whole(amounts: list[float]) -> list[int]:
    """Amounts as whole numbers, the last first multiplied where that is exact; rounded down otherwise."""
    values = np.array(amounts, float)
    for power in (1.0, 10.0, 100.0, 1000.0):
        if (values * power == np.round(values * power)).all() and values.max() * power < 2**52:
            return [int(value) for value in np.round(values * power)]
    return [int(value) for value in np.floor(values / values.max() * 1e9)]


__all__ = ["MissingSolverError", "Model", "Outcome", "Target", "solver"]
