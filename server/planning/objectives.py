"""What a plan is to be good at: each objective as a figure of a finished schedule, and as costs of single runs.

Priorities stand above all of them: a figure is a tuple, highest priority first, and compared as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from server.planning.problem import NEVER, Floats, Problem
from server.planning.schedule import UNPLACED, Schedule

TAIL_SHARE = 1.0
"""Under `turnaround`, how much the squared slowdown of a run counts beside its seconds, in seconds of a typical run."""

LATE_WEIGHT = 20.0
"""Under `deadline`, a second of lateness counts as so many seconds of turnaround."""


@dataclass(frozen=True, slots=True, eq=False)
class RunCosts:
    """What a turnaround of x seconds, ending at f, costs run k: `linear x + square x^2 + late max(0, f - deadline)`."""

    linear: Floats
    square: Floats
    late: Floats


def turnarounds(problem: Problem, schedule: Schedule, bound: Floats | None = None) -> Floats:
    """[k] seconds from each run's submission to its last finish; `bound` [k] is when what runs of it already ends."""
    runs = problem.runs
    finish = np.zeros(len(runs.submitted)) if bound is None else np.array(bound, np.float64)
    is_placed = schedule.node != UNPLACED
    np.maximum.at(finish, runs.of_task[is_placed], schedule.finish[is_placed])
    found: Floats = finish - runs.submitted
    return found


def evaluate(
    problem: Problem, schedule: Schedule, objective: str = "turnaround", *, bound: Floats | None = None
) -> tuple[float, ...]:
    """The figure of a schedule under an objective, one entry per priority, highest first; lower is better.

    Objectives: `turnaround` (weighted mean), `makespan` (last finish), `mixed` (mean turnaround plus makespan), `cost`
    (money; node seconds where no node has a price), `deadline` (mean lateness, then mean turnaround), `fair` (mean
    over projects of the squared mean slowdown). Raises KeyError for another.
    """
    figure = OBJECTIVES[objective]
    elapsed = turnarounds(problem, schedule, bound)
    levels = sorted(set(problem.runs.priority.tolist()), reverse=True)
    return tuple(figure(problem, schedule, elapsed, problem.runs.priority == level) for level in levels)


def run_costs(problem: Problem, objective: str, alone: Floats) -> RunCosts:
    """The objective as costs of single runs, for a search. `alone` [k]: seconds the run would take alone.

    Makespan and cost are not sums over runs: what ends late costs more there, which drives a search the same way.
    """
    runs = problem.runs
    count = len(runs.submitted)
    zero, one, weight = np.zeros(count), np.ones(count), np.asarray(runs.weight, np.float64)
    whole = np.maximum(alone, 1e-3)
    typical = float(whole.mean()) if count else 1.0
    late = np.where(runs.deadline < NEVER, weight * LATE_WEIGHT, 0.0)
    if objective == "makespan":
        return RunCosts(1e-3 * weight, weight / typical, zero)
    if objective == "fair":
        return RunCosts(zero, typical / whole**2 * _shares(problem), zero)
    if objective == "deadline":
        return RunCosts(weight, zero, late)
    return RunCosts(weight * one, TAIL_SHARE * weight * typical / whole**2, zero)


Figure = Callable[[Problem, Schedule, Floats, np.ndarray], float]


def _turnaround(problem: Problem, schedule: Schedule, elapsed: Floats, chosen: np.ndarray) -> float:
    return float(np.average(elapsed[chosen], weights=problem.runs.weight[chosen]))


def _makespan(problem: Problem, schedule: Schedule, elapsed: Floats, chosen: np.ndarray) -> float:
    return float((elapsed + problem.runs.submitted)[chosen].max())


def _mixed(problem: Problem, schedule: Schedule, elapsed: Floats, chosen: np.ndarray) -> float:
    return _turnaround(problem, schedule, elapsed, chosen) + _makespan(problem, schedule, elapsed, chosen)


def _cost(problem: Problem, schedule: Schedule, elapsed: Floats, chosen: np.ndarray) -> float:
    used = (schedule.node != UNPLACED) & chosen[problem.runs.of_task]
    price = np.ones(problem.node_count) if problem.price is None else problem.price
    return float(((schedule.finish - schedule.start)[used] * price[schedule.node[used]]).sum())


def _deadline(problem: Problem, schedule: Schedule, elapsed: Floats, chosen: np.ndarray) -> float:
    runs = problem.runs
    late = np.maximum(elapsed + runs.submitted - runs.deadline, 0.0)
    return float((LATE_WEIGHT * late + elapsed)[chosen].mean())


def _fair(problem: Problem, schedule: Schedule, elapsed: Floats, chosen: np.ndarray) -> float:
    work = np.bincount(problem.runs.of_task, _least_seconds(problem), len(elapsed)) + problem.runs.done_seconds
    slowdown = (elapsed / np.maximum(work, 1e-3))[chosen]
    projects = problem.runs.project[chosen]
    means = [slowdown[projects == project].mean() for project in np.unique(projects)]
    return float(np.mean(np.square(means)))


OBJECTIVES: Mapping[str, Figure] = {
    "turnaround": _turnaround,
    "makespan": _makespan,
    "mixed": _mixed,
    "cost": _cost,
    "deadline": _deadline,
    "fair": _fair,
}
"""Every objective by name."""


def _least_seconds(problem: Problem) -> Floats:
    """[n] each task in its quickest way on its quickest node; 0 where nothing can run it."""
    if not problem.task_count:
        return np.zeros(0)
    rows = problem.seconds.min(axis=1, initial=NEVER)[problem.row_of_mode]
    least = np.minimum.reduceat(rows, problem.first_mode[:-1]).astype(np.float64)
    least[~np.isfinite(least)] = 0.0
    return least


def _shares(problem: Problem) -> Floats:
    """[k] one over the number of runs of the run's project: each project counts the same."""
    counts = np.bincount(problem.runs.project)
    shares: Floats = 1.0 / counts[problem.runs.project]
    return shares


__all__ = ["LATE_WEIGHT", "OBJECTIVES", "TAIL_SHARE", "RunCosts", "evaluate", "run_costs", "turnarounds"]
