"""Every objective on a problem file: its figure over all runs, a bound of it, and a search for it.

The searches of `server.planning.search` know the last finish and the weighted mean turnaround. The others are led back
to them: `cost` is least where every task takes its cheapest place, whatever the order; with a single run, what grows
with its end is least where its end is; and `deadline` and `fair` are searched as weighted turnarounds: each run is
weighed by what a second more of it costs, and weighed anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from server.exchange.errors import UnreadableError
from server.exchange.reading import Question
from server.planning.bounds import makespan_bound, mean_turnaround, path_finishes, turnaround_bound
from server.planning.objectives import LATE_WEIGHT, OBJECTIVES, evaluate, turnarounds
from server.planning.problem import NEVER, Floats, Problem
from server.planning.schedule import Schedule
from server.planning.search import anytime

ROUNDS = 4
"""How often runs are weighed anew."""

Clock = Callable[[], float]


def require_objective(problem: Problem, objective: str) -> None:
    """Raises UnreadableError where there is no such objective, or the file lacks what it counts."""
    if objective not in OBJECTIVES:
        raise UnreadableError(f"there is no objective {objective!r}; there are: {', '.join(OBJECTIVES)}")
    if objective == "deadline" and not (problem.runs.deadline < NEVER).any():
        raise UnreadableError("the objective 'deadline' counts `runs[].deadline_seconds`, and no run has any")


def figure(problem: Problem, schedule: Schedule, objective: str) -> float:
    """The objective over all runs, whatever their priority."""
    if objective == "makespan":
        return schedule.makespan
    if objective == "turnaround":
        return mean_turnaround(problem, schedule)
    flat = replace(problem, runs=replace(problem.runs, priority=np.zeros_like(problem.runs.priority)))
    return evaluate(flat, schedule, objective)[0]


def objective_bound(problem: Problem, objective: str) -> float:
    """What no schedule is below."""
    if objective == "makespan":
        return makespan_bound(problem)
    if objective == "turnaround":
        return turnaround_bound(problem)
    if objective == "mixed":
        return makespan_bound(problem) + turnaround_bound(problem)
    if objective == "cost":
        return float(_least_costs(problem).sum())
    ends = path_finishes(problem)
    quickest = Schedule(np.zeros(problem.task_count, np.int32), np.zeros(problem.task_count, np.int32), ends, ends)
    return figure(problem, quickest, objective)


def searched(problem: Problem, objective: str, *, seconds: float, monotonic: Clock, seed: int) -> Schedule:
    """The best found within the time limit."""
    if objective == "cost":
        return anytime(cheapest(problem), seconds=seconds, monotonic=monotonic, seed=seed)
    is_single = len(np.unique(problem.runs.of_task)) < 2
    if objective == "makespan" or (objective != "turnaround" and is_single):
        return anytime(problem, seconds=seconds, monotonic=monotonic, seed=seed)
    if objective == "turnaround":
        return anytime(problem, seconds=seconds, monotonic=monotonic, seed=seed, objective="turnaround")
    return _reweighed(problem, objective, seconds, monotonic, seed)


def cheapest(problem: Problem) -> Problem:
    """The problem with nothing left but each task's cheapest places."""
    costs, least = _costs(problem), _least_costs(problem)
    task_of = np.repeat(np.arange(problem.task_count), np.diff(problem.first_mode))
    rows = problem.seconds[problem.row_of_mode][:, problem.column_of_node].astype(np.float64)
    kept = costs <= least[task_of][:, None] * (1 + 1e-12)
    return replace(
        problem,
        seconds=np.where(kept, rows, NEVER),
        row_of_mode=np.arange(len(rows), dtype=np.int32),
        column_of_node=np.arange(problem.node_count, dtype=np.int32),
    )


def _reweighed(problem: Problem, objective: str, seconds: float, monotonic: Clock, seed: int) -> Schedule:
    share = seconds / ROUNDS
    best = anytime(problem, seconds=share, monotonic=monotonic, seed=seed, objective="turnaround")
    last = best
    for number in range(1, ROUNDS):
        if objective == "mixed":
            if number % 2:
                last = anytime(problem, seconds=share, monotonic=monotonic, seed=seed + number)
        else:
            weighed = replace(problem, runs=replace(problem.runs, weight=_slopes(problem, last, objective)))
            last = anytime(weighed, seconds=share, monotonic=monotonic, seed=seed + number, objective="turnaround")
        best = min(best, last, key=lambda found: evaluate(problem, found, objective))
    return best


def _slopes(problem: Problem, schedule: Schedule, objective: str) -> Floats:
    """[k] what one more second of each run would cost."""
    runs = problem.runs
    elapsed = turnarounds(problem, schedule)
    if objective == "deadline":
        late = elapsed + runs.submitted >= runs.deadline * (1 - 1e-3)
        return 1.0 + LATE_WEIGHT * late
    work = np.bincount(runs.of_task, _least_seconds(problem), len(elapsed)) + runs.done_seconds
    slowdown = elapsed / np.maximum(work, 1e-3)
    count = np.bincount(runs.project)
    mean = np.bincount(runs.project, slowdown) / np.maximum(count, 1)
    slopes: Floats = mean[runs.project] / count[runs.project] / np.maximum(work, 1e-3)
    return slopes / max(float(slopes.mean()), 1e-12) + 1e-9


def _least_seconds(problem: Problem) -> Floats:
    rows = problem.seconds.min(axis=1, initial=NEVER)[problem.row_of_mode]
    least: Floats = np.minimum.reduceat(rows, problem.first_mode[:-1]).astype(np.float64)
    return np.where(np.isfinite(least), least, 0.0)


def _costs(problem: Problem) -> Floats:
    """[q, m] what each mode costs on each node, infinite where it cannot run there."""
    price = np.ones(problem.node_count) if problem.price is None else problem.price
    rows = problem.seconds[problem.row_of_mode][:, problem.column_of_node].astype(np.float64)
    for_ever = np.isinf(problem.held.until)
    left = np.array(problem.capacity, float)
    np.subtract.at(left, problem.held.node[for_ever], problem.held.demand[for_ever])
    fits = np.ones(rows.shape, bool)
    for resource in range(left.shape[1]):
        asked = problem.demand[:, resource][:, None]
        fits &= (asked <= left[:, resource] * (1 + 1e-9)) | (asked == 0)
    can = np.isfinite(rows) & fits & np.isfinite(problem.opens)
    return np.where(can, np.where(can, rows, 0.0) * price, NEVER)


def _least_costs(problem: Problem) -> Floats:
    least: Floats = np.minimum.reduceat(_costs(problem).min(axis=1), problem.first_mode[:-1])
    return least


def without_empty_runs(question: Question) -> Question:
    """The question without runs that have no tasks."""
    problem, runs = question.problem, question.problem.runs
    used = np.isin(np.arange(len(runs.submitted)), runs.of_task)
    if used.all():
        return question
    number = np.cumsum(used) - 1
    kept = replace(
        runs,
        of_task=number[runs.of_task].astype(np.int32),
        **{
            name: getattr(runs, name)[used]
            for name in ("submitted", "weight", "priority", "deadline", "project", "done_seconds")
        },
    )
    names = tuple(name for name, is_used in zip(question.runs, used, strict=True) if is_used)
    return replace(question, problem=replace(problem, runs=kept), runs=names)


__all__ = ["cheapest", "figure", "objective_bound", "require_objective", "searched"]
__all__ += ["without_empty_runs"]
