"""Placement by search within a time limit: many constructors first, then local search from the best of them.

Never worse than its best start, and better the longer it may run. What it searches depends on the problem: webs
(`annealing`) for the last finish on exclusive nodes, replays (`contending`) where transfers share cards, lists
(`shuffling`) for everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from server.planning.annealing import Annealer, can_anneal
from server.planning.constructors import PORTFOLIO, Constructor, heft
from server.planning.contending import Contender, can_contend
from server.planning.problem import Problem
from server.planning.schedule import UNPLACED, Schedule
from server.planning.shuffling import Shuffler, by_run

Objective = Literal["makespan", "turnaround"]
OBJECTIVES: tuple[Objective, ...] = ("makespan", "turnaround")
PORTFOLIO_SHARE = 0.3
"""Of the time limit, what the constructors may take after the first."""

ANSWER_SHARE = 0.01
"""Of the time limit, what is kept for writing the answer down: a call ends within its limit."""

SURCHARGED_SHARE = 0.5
"""Of the time left after them, what searches at surcharges may take where transfers share cards."""


class Searcher(Protocol):
    """A local search that can be run in slices."""

    @property
    def cycle(self) -> int:
        """Steps of one cooling."""

    @property
    def grain(self) -> int:
        """Steps between two looks at the clock."""

    def coolings(self, steps: float) -> int:
        """Into how many coolings so many steps are best divided."""

    def restart(self) -> None:
        """Go on from the best."""

    def run(self, steps: int, progress: float, fullness: float) -> None:
        """So many steps, `progress` (0 to 1) into a cooling with a share `fullness` of its full length."""


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
    both, runs of higher priority count first, and nothing of lower priority delays them on a node. Where transfers
    share network cards (`ONE_PORT` or `MAX_MIN`), plans are judged, and the answer is timed, by a replay with fair
    sharing.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"there is no objective {objective!r}; there are {', '.join(OBJECTIVES)}")
    begun = monotonic()
    deadline = begun + (1 - ANSWER_SHARE) * seconds
    lists = Shuffler(problem, is_makespan=objective == "makespan", seed=seed)
    latest = begun + PORTFOLIO_SHARE * seconds if max_steps is None else deadline
    best = _best_start(problem, lists, objective, lambda: monotonic() < latest)
    if not problem.task_count or not problem.node_count or monotonic() >= deadline:
        return best
    if can_contend(problem) and bool((best.node != UNPLACED).all()):
        return _contended(problem, best, objective, seed, monotonic, deadline, max_steps)
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


def _contended(
    problem: Problem,
    start: Schedule,
    objective: Objective,
    seed: int,
    monotonic: Callable[[], float],
    deadline: float,
    max_steps: int | None,
) -> Schedule:
    contender = Contender(problem, is_makespan=objective == "makespan", seed=seed)
    latest = deadline - (1 - SURCHARGED_SHARE) * (deadline - monotonic()) if max_steps is None else deadline
    for plan in contender.offers(start):
        contender.offer(plan)
        if monotonic() >= latest:
            break
    contender.begin()
    _search(contender, monotonic, deadline, max_steps)
    return contender.schedule()


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
    if max_steps is None:
        _search_for(searcher, monotonic, deadline)
        return
    steps, cycle = 0, min(searcher.cycle, max_steps)
    while steps < max_steps and monotonic() < deadline:
        if steps and steps % cycle == 0:
            searcher.restart()
        count = min(searcher.grain, max_steps - steps, cycle - steps % cycle)
        searcher.run(count, (steps % cycle) / cycle, cycle / searcher.cycle)
        steps += count


def _search_for(searcher: Searcher, monotonic: Callable[[], float], deadline: float) -> None:
    """As many coolings as fit, judged by the first steps, equally long; no slice is begun that would end too late."""
    begun = monotonic()
    searcher.run(searcher.grain, 1.0, 0.0)
    now = monotonic()
    possible = searcher.grain * (deadline - now) / max(now - begun, 1e-9)
    coolings = searcher.coolings(possible)
    cooling_begun, cooling_seconds = now, max((deadline - now) / coolings, 1e-9)
    slice_seconds = 0.0
    while now + slice_seconds < deadline:
        progress = (now - cooling_begun) / cooling_seconds
        if progress >= 1.0:
            searcher.restart()
            cooling_begun, progress = now, 0.0
        searcher.run(searcher.grain, progress, possible / searcher.cycle)
        before, now = now, monotonic()
        slice_seconds = now - before


__all__ = ["OBJECTIVES", "Objective", "anytime"]
