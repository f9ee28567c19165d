"""Lays a schedule out anew: its nodes, modes and order are kept, each task starts as early as it can.

Written for what comes out of a solver (some hundred tasks), in plain Python; transfers are contention-free.
"""

from __future__ import annotations

import numpy as np

from server.planning.bounds import topological
from server.planning.checking import TOLERANCE
from server.planning.links import alone_seconds
from server.planning.problem import NEVER, Floats, Ints, Problem, taken_on
from server.planning.schedule import UNPLACED, Schedule


def laid_out(problem: Problem, schedule: Schedule) -> Schedule:
    """The schedule with each placed task in the first gap that takes it, in the order of their starts.

    Tasks that wait for each other are taken in that order whatever their starts say. Never later than a sound schedule.
    """
    made = _Laid(problem, schedule)
    for task in _order(problem, schedule):
        made.lay(task)
    return Schedule(made.node, made.mode, made.start, made.finish)


class _Laid:
    def __init__(self, problem: Problem, schedule: Schedule) -> None:
        self.problem = problem
        self.node, self.mode = np.array(schedule.node, np.int32), np.array(schedule.mode, np.int32)
        self.start: Floats = np.full(problem.task_count, NEVER)
        self.finish: Floats = np.full(problem.task_count, NEVER)
        self.laid: list[list[int]] = [[] for _ in range(problem.node_count)]

    def lay(self, task: int) -> None:
        """Give the task its times."""
        problem, node = self.problem, int(self.node[task])
        mode = problem.first_mode[task] + self.mode[task]
        takes = float(problem.seconds[problem.row_of_mode[mode], problem.column_of_node[node]])
        demand = np.asarray(problem.demand[mode], float)
        begin, end, amount = self._in_use(node)
        at = self._ready(task, node)
        for moment in [at, *sorted(float(e) for e in end if at < e < NEVER)]:
            if self._fits(begin, end, amount, demand, moment, moment + takes, node):
                at = moment
                break
        self.start[task], self.finish[task] = at, at + takes
        self.laid[node].append(task)

    def _in_use(self, node: int) -> tuple[Floats, Floats, Floats]:
        """Begin, end and amounts of what is on the node."""
        problem, tasks = self.problem, np.array(self.laid[node], int)
        since, until, amount = taken_on(problem, node)
        modes = problem.first_mode[tasks] + self.mode[tasks]
        begin, end = np.concatenate([since, self.start[tasks]]), np.concatenate([until, self.finish[tasks]])
        return begin, end, np.concatenate([amount, problem.demand[modes]]).astype(float)

    def _ready(self, task: int, node: int) -> float:
        problem = self.problem
        edges, inputs = problem.edges, problem.inputs
        at = max(0.0, float(problem.release[task]), float(problem.opens[node]))
        here = slice(edges.first[task], edges.first[task + 1])
        upstreams = edges.task[here]
        came = self.finish[upstreams] + alone_seconds(problem.network, edges.bytes[here], self.node[upstreams], node)
        here = slice(inputs.first[task], inputs.first[task + 1])
        brought = alone_seconds(problem.network, inputs.bytes[here], inputs.task[here], node)
        return max(at, float(came.max(initial=0.0)), float(brought.max(initial=0.0)))

    def _fits(
        self, begin: Floats, end: Floats, amount: Floats, demand: Floats, start: float, finish: float, node: int
    ) -> bool:
        room = np.asarray(self.problem.capacity[node], float) * (1 + TOLERANCE)
        for at in [start, *begin[(begin > start) & (begin < finish)]]:
            used = demand + amount[(begin <= at) & (at < end)].sum(axis=0)
            if ((used > room) & (demand > 0)).any():
                return False
        return True


def _order(problem: Problem, schedule: Schedule) -> list[int]:
    """Placed tasks by start; upstreams first where two start together."""
    place: Ints = np.empty(problem.task_count, np.int32)
    order = topological(problem.edges)
    place[order] = np.arange(len(order), dtype=np.int32)
    start = np.array(schedule.start, float)
    for task in order:
        upstreams = problem.edges.task[problem.edges.first[task] : problem.edges.first[task + 1]]
        start[task] = max(start[task], start[upstreams].max(initial=-np.inf))
    by_start = np.lexsort((place, start))
    return [int(task) for task in by_start if schedule.node[task] != UNPLACED]


__all__ = ["laid_out"]
