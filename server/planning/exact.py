"""Schedules that are proved to be the best there is: the problem as constraints for OR-tools CP-SAT (extra `exact`).

Each way of running a task is an optional interval on its node; a node that runs one task at a time is a no-overlap, a
shared one a cumulative per resource; a transfer is paid unless both ends share a node. What the bounds know tightens
the model: no task is tried on a node from which, by earliest start and remaining path, nothing better could follow.

The solver counts in whole numbers, so times are scaled and rounded *down*: what it proves is a true lower bound. Its
answer is laid out again in floating point, and "proved" is said only when that meets the bound (see `PROVED`).
Orders of magnitude: 20 tasks within a second or two, 40 tasks within some seconds, of 60 and more mostly a
bound and a hint that was improved.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from server.planning.bounds import makespan_bound, mean_turnaround, turnaround_bound
from server.planning.exact_model import MissingSolverError, Model, Outcome, Target, solver
from server.planning.layout import laid_out
from server.planning.problem import Floats, Problem
from server.planning.schedule import UNPLACED, Schedule
from server.planning.ways import Ways

PROVED = 1e-5
"""Relative: at most so far is a schedule called optimal from the bound, which rounding keeps a little below."""
MOST_TERMS = 400_000
"""A model with more terms would take longer to write down than is sensible; such problems get their bound only."""


class Goal(Enum):
    """What is made least."""

    MAKESPAN = "makespan"
    TURNAROUND = "turnaround"
    """The weighted mean turnaround of runs. Priorities and deadlines are not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """Attributes: `schedule` the best one known; `value` its goal in seconds;
    `lower_bound` that no schedule can be below; `is_proved` whether the two meet."""

    schedule: Schedule
    value: float
    lower_bound: float

    @property
    def is_proved(self) -> bool:
        """Whether nothing is better, within `PROVED` (a share of the value)."""
        return self.value - self.lower_bound <= PROVED * abs(self.value)


def prove(
    problem: Problem,
    *,
    seconds: float,
    hint: Schedule | None = None,
    goal: Goal = Goal.MAKESPAN,
    seed: int = 0,
) -> Proof:
    """Search for `seconds`; `hint` is a sound schedule to be improved on; one that leaves out what could run is not
    looked at.

    Tasks that nothing can run, and those that wait for them, stay unplaced. Transfers are contention-free: on shared
    links the bound still holds, and `is_proved` says that nothing is better when each transfer is alone.

    Raises:
        MissingSolverError: OR-tools is not installed.
    """
    sat, least = solver(), _bound(problem, goal)
    ways = Ways.of(problem, is_within_run=goal is Goal.TURNAROUND)
    if not len(ways.tasks):
        return Proof(_nothing(problem), 0.0, 0.0)
    first = laid_out(problem, _greedy(problem, ways))
    if hint is not None and (hint.node[ways.tasks] != UNPLACED).all():
        first = _better(problem, goal, laid_out(problem, hint), first)
    best = Proof(first, _value(problem, goal, first), least)
    if best.is_proved or ways.term_count(problem) > MOST_TERMS:
        return best
    target = _target(problem, goal, ways, best)
    found = Model(sat, problem, ways, first, target).solve(seconds, seed)
    return _best_of(problem, goal, best, found, target)


def _target(problem: Problem, goal: Goal, ways: Ways, best: Proof) -> Target:
    if goal is Goal.MAKESPAN:
        one = np.zeros(problem.task_count, np.int32)
        return Target(np.ones(1), one, best.value, np.array([best.lower_bound]))
    runs, of_task = np.unique(problem.runs.of_task[ways.tasks]), problem.runs.of_task
    place = np.zeros(len(problem.runs.submitted), np.int32)
    place[runs] = np.arange(len(runs), dtype=np.int32)
    alone = np.full(len(runs), 0.0)
    ends = ways.head + ways.seconds + ways.tail
    for task, here in ways.of_task.items():
        alone[place[of_task[task]]] = max(alone[place[of_task[task]]], ends[here].min())
    weight = np.asarray(problem.runs.weight, float)[runs]
    upper = best.value * weight.sum() + (weight * problem.runs.submitted[runs]).sum()
    return Target(weight, place[of_task], float(upper), alone)


def _best_of(problem: Problem, goal: Goal, known: Proof, found: Outcome, target: Target) -> Proof:
    proved = found.lower_bound
    if goal is Goal.TURNAROUND:
        runs = np.unique(problem.runs.of_task[known.schedule.node != UNPLACED])
        weight = problem.runs.weight[runs]
        proved = (proved - float((weight * problem.runs.submitted[runs]).sum())) / float(weight.sum())
    best = known.schedule
    if found.schedule is not None:
        best = _better(problem, goal, best, laid_out(problem, found.schedule))
    value = _value(problem, goal, best)
    return Proof(best, value, min(max(known.lower_bound, proved), value))


def _better(problem: Problem, goal: Goal, one: Schedule, other: Schedule) -> Schedule:
    return one if _value(problem, goal, one) <= _value(problem, goal, other) else other


def _value(problem: Problem, goal: Goal, schedule: Schedule) -> float:
    return schedule.makespan if goal is Goal.MAKESPAN else mean_turnaround(problem, schedule)


def _bound(problem: Problem, goal: Goal) -> float:
    return makespan_bound(problem) if goal is Goal.MAKESPAN else turnaround_bound(problem)


def _greedy(problem: Problem, ways: Ways) -> Schedule:
    """Where nothing better is known: each task where it takes least, upstreams first; `laid_out` gives it times."""
    node, mode = np.full(problem.task_count, UNPLACED, np.int32), np.zeros(problem.task_count, np.int32)
    at: Floats = np.full(problem.task_count, np.inf)
    for place, task in enumerate(ways.tasks):
        here = ways.of_task[int(task)]
        best = here[int(np.argmin(ways.seconds[here]))]
        node[task], mode[task], at[task] = ways.node[best], ways.mode[best], place
    return Schedule(node, mode, at, at)


def _nothing(problem: Problem) -> Schedule:
    never: Floats = np.full(problem.task_count, np.inf)
    none = np.full(problem.task_count, UNPLACED, np.int32)
    return Schedule(none, np.zeros(problem.task_count, np.int32), never, never)


__all__ = ["PROVED", "Goal", "MissingSolverError", "Proof", "prove"]
