"""The first half of a strategy: who is next. An ordering gives every waiting task a rank; lower comes first.

Priorities stand above any ordering: `plan_in_turn` compares them first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from server.domain.placement import PlacementRequest, TaskRef, WaitingRun

Ordering = Callable[[PlacementRequest], Mapping[TaskRef, float]]


def first_come(request: PlacementRequest) -> Mapping[TaskRef, float]:
    """Runs in submission order, tasks in graph order."""
    runs = sorted(request.runs, key=lambda run: run.submitted_at)
    return {task.ref: float(rank) for rank, task in enumerate(task for run in runs for task in run.tasks)}


def at_random(request: PlacementRequest) -> Mapping[TaskRef, float]:
    """Any order; the same one for the same seed and task, so that it does not change from cycle to cycle."""
    return {task.ref: drawn_for(request, task.ref, "order").random() for task in request.tasks()}


def by_remaining_seconds(aging: float) -> Ordering:
    """Runs with the least predicted work first; every second a run has waited counts as `aging` seconds less."""

    def order(request: PlacementRequest) -> Mapping[TaskRef, float]:
        shortest = _Shortest(request)
        ranks: dict[TaskRef, float] = {}
        for run in request.runs:
            waited = (request.now - run.submitted_at).total_seconds()
            ranks.update(dict.fromkeys((task.ref for task in run.tasks), shortest.of(run) - aging * waited))
        return ranks

    return order


def drawn_for(request: PlacementRequest, ref: TaskRef, purpose: str) -> random.Random:
    """Chance for one task: the same draws for the same seed, whatever else waits."""
    return random.Random(f"{request.seed}:{ref[0]}:{ref[1]}:{purpose}")


class _Shortest:
    """Predicted seconds of what is left of a run: each task on the node and with the option that suit it best."""

    def __init__(self, request: PlacementRequest) -> None:
        self.estimates = request.estimates
        self.best_of_row: dict[int, float] = {}

    def of(self, run: WaitingRun) -> float:
        return sum(
            min((self._row(row) for row in self._rows(run, index)), default=0.0) for index in range(len(run.tasks))
        )

    def _rows(self, run: WaitingRun, index: int) -> list[int]:
        task, profile_of = run.tasks[index], self.estimates.profile_of
        rows = (profile_of.get((task.run_id, task.key, option.name)) for option in task.options)
        return [row for row in rows if row is not None]

    def _row(self, row: int) -> float:
        if row not in self.best_of_row:
            self.best_of_row[row] = min((estimate.p50 for estimate in self.estimates.table[row]), default=0.0)
        return self.best_of_row[row]


__all__ = ["Ordering", "at_random", "by_remaining_seconds", "drawn_for", "first_come"]
