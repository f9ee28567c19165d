"""Every way in which a task could run, one row each: what an exact solver chooses among."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from server.planning.bounds import heads, tails, topological
from server.planning.load_bounds import Alternatives
from server.planning.problem import Floats, Ints, Problem


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Attributes: `tasks` that can run, upstreams first; per way its `task`, `node`, `mode` (within the task),
    `seconds`, `demand` [w, r], `head` (no start before) and `tail` (no less follows its end); `of_task` names the ways
    of each task; `capacity` [m, r] beside what is held for ever."""

    tasks: Ints
    task: Ints
    node: Ints
    mode: Ints
    seconds: Floats
    demand: Floats
    head: Floats
    tail: Floats
    of_task: dict[int, Ints]
    capacity: Floats

    @classmethod
    def of(cls, problem: Problem, *, is_within_run: bool = False) -> Ways:
        """The ways of a problem, without those that another on the same node beats in time and in every demand.
        `is_within_run`: tails count only tasks of the same run."""
        alternatives = Alternatives.of(problem)
        best = alternatives.best_seconds()
        head, tail = heads(problem, best), tails(problem, best, is_within_run=is_within_run)
        found = [
            (task, node, mode)
            for task in topological(problem.edges)
            if np.isfinite(head[task] + best[task]).any()
            for mode, node in _kept(alternatives, int(task))
            if np.isfinite(head[task, node])
        ]
        task, node, mode = np.array(found, np.int32).reshape(-1, 3).T
        rows = problem.first_mode[task] + mode
        of_task = {int(each): np.flatnonzero(task == each).astype(np.int32) for each in dict.fromkeys(task.tolist())}
        return cls(
            tasks=np.array(list(of_task), np.int32),
            task=task,
            node=node,
            mode=mode,
            seconds=alternatives.seconds[rows, node],
            demand=alternatives.demand[rows],
            head=head[task, node],
            tail=tail[task, node],
            of_task=of_task,
            capacity=alternatives.capacity,
        )

    def term_count(self, problem: Problem) -> int:
        """About how many terms a model of it has."""
        counts = {task: len(ways) for task, ways in self.of_task.items()}
        receivers = np.repeat(np.arange(problem.task_count), np.diff(problem.edges.first)).tolist()
        pairs = list(zip(problem.edges.task.tolist(), receivers, strict=True))
        is_flat = problem.network.pairs is None and problem.network.cards is None
        per_edge = (
            2 * (counts.get(u, 0) + counts.get(t, 0)) if is_flat else counts.get(u, 0) * counts.get(t, 0)
            for u, t in pairs
        )
        return len(self.task) + sum(per_edge)


def _kept(alternatives: Alternatives, task: int) -> list[tuple[int, int]]:
    first, end = alternatives.first_mode[task], alternatives.first_mode[task + 1]
    seconds, demand = alternatives.seconds[first:end], alternatives.demand[first:end]
    is_kept = np.isfinite(seconds)
    for one in range(end - first):
        for other in range(end - first):
            if one != other and (demand[other] <= demand[one]).all():
                is_equal = bool((demand[other] == demand[one]).all()) and other > one
                beats = seconds[other] < seconds[one] if is_equal else seconds[other] <= seconds[one]
                is_kept[one] &= ~(beats & np.isfinite(seconds[other]))
    return [(int(mode), int(node)) for mode, node in zip(*np.nonzero(is_kept), strict=True)]


__all__ = ["Ways"]
