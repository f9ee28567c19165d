"""The cheapest node on which a run still meets its deadline."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from server.placers.whole_queue import WholeQueuePlacer, by_run
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement

PATIENCE = 2.0
"""A run without a deadline may take this many times as long as it would alone on the quickest nodes."""


class Cost(WholeQueuePlacer):
    """First come, first served; the least money among what is in time, else the earliest finish."""

    name: ClassVar[str] = "cost"
    summary: ClassVar[str] = "Gives each task the cheapest node on which its run still ends in time."
    source: ClassVar[str] = "Yu, Buyya, Tham, e-Science 2005 (deadline-constrained cost)"
    starts: ClassVar[str] = "cheapest there in time"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Each task where it costs least and still ends in time for all that follows it."""
        problem, outline = statement.problem, queue.outline
        runs = problem.runs
        alone = outline.path + queue.bound + runs.done_seconds
        due = np.where(np.isfinite(runs.deadline), runs.deadline, runs.submitted + PATIENCE * alone)
        latest = due[runs.of_task] - (outline.task_path - outline.task_best)
        price = np.ones(problem.node_count) if problem.price is None else problem.price
        return queue.in_turn(by_run(queue, runs.submitted), latest=latest, price=price)
