"""Placement by search within a time limit: many constructors first, then local search from the best of them.

Never worse than its best start, and better the longer it may run. What it searches depends on the problem: webs
(`annealing`) for the last finish on exclusive nodes, lists (`shuffling`) for everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from server.planning.annealing import Annealer, can_anneal
from server.planning.constructors import PORTFOLIO, Constructor, heft
from server.planning.problem import Problem
from server.planning.schedule import Schedule
from server.planning.shuffling import Shuffler, by_run

Objective = Literal["makespan", "turnaround"]
OBJECTIVES: tuple[Objective, ...] = ("makespan", "turnaround")
PORTFOLIO_SHARE = 0.3
"""Of the time limit, what the constructors may take after the first."""


class Searcher(Protocol):
    """A local search that can be run in slices."""

    @property
    def cycle(self) -> int:
        """Steps of one cooling."""

    @property
    def grain(self) -> int:
        """Steps between two looks at the clock."""

    def restart(self) -> None:
        """Go on from the best."""

    def run(self, steps: int, progress: float) -> None:
        """So many steps, `progress` (0 to 1) into a cooling."""


def anytime(
    problem: Problem,
    *,
    seconds: float,
    monotonic: Callable[[], float],
    seed: int = 0,
    objective: Objective = "makespan",
    max_steps: int | None = None,
) -> Schedule:
    """The best schedule found within the time limit (on the clock given), or within `max_steps` moves: with those and
    time enough, equal seeds give equal schedules.

    `makespan` is the last finish; `turnaround` the mean of finish minus submission over runs, by `runs.weight`. Under
    both, runs of higher priority count first, and nothing of lower priority delays them.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"there is no objective {objective!r}; there are {', '.join(OBJECTIVES)}")
    begun = monotonic()
    deadline = begun + seconds
    lists = Shuffler(problem, is_makespan=objective == "makespan", seed=seed)
    latest = begun + PORTFOLIO_SHARE * seconds if max_steps is None else deadline
    best = _best_start(problem, lists, objective, lambda: monotonic() < latest)
    if not problem.task_count or not problem.node_count or monotonic() >= deadline:
        return best
    if objective == "makespan" and can_anneal(problem, best):
        webs = Annealer(problem, seed=seed)
        webs.start(best)
        _search(webs, monotonic, deadline, max_steps)
        found = webs.schedule()
    else:
        lists.start(best)
        _search(lists, monotonic, deadline, max_steps)
        found = lists.schedule()
    return found if lists.value(found) < lists.value(best) else best


def _best_start(problem: Problem, lists: Shuffler, objective: Objective, is_time: Callable[[], bool]) -> Schedule:
    first: Constructor = heft if objective == "makespan" else by_run
    best = first(problem)
    value = lists.value(best)
    for construct in (heft, *PORTFOLIO.values()) if objective == "turnaround" else PORTFOLIO.values():
        if construct is first or not is_time():
            continue
        found = construct(problem)
        if (other := lists.value(found)) < value:
            best, value = found, other
    return best


def _search(searcher: Searcher, monotonic: Callable[[], float], deadline: float, max_steps: int | None) -> None:
    """Cool down once, or several times if there is time for several coolings of full length."""
    begun = now = monotonic()
    steps, cycle_begun, cycle_steps, cycles = 0, begun, 0, 1
    while now < deadline and (max_steps is None or steps < max_steps):
        slice_steps = searcher.grain if max_steps is None else min(searcher.grain, max_steps - steps)
        if max_steps is not None:
            progress = min(1.0, cycle_steps / min(searcher.cycle, max_steps))
        else:
            progress = min(1.0, (now - cycle_begun) * cycles / max(deadline - begun, 1e-9))
        searcher.run(slice_steps, progress)
        steps, cycle_steps, now = steps + slice_steps, cycle_steps + slice_steps, monotonic()
        if max_steps is None and cycles == 1 and steps == slice_steps:
            possible = steps * (deadline - begun) / max(now - begun, 1e-9)
            cycles = max(1, round(possible / searcher.cycle))
        is_over = progress >= 1.0 if max_steps is None else cycle_steps >= searcher.cycle
        if is_over and now < deadline:
            searcher.restart()
            cycle_begun, cycle_steps = now, 0


__all__ = ["OBJECTIVES", "Objective", "anytime"]
