"""The task that must start soonest for its run to meet its deadline, on the node where it ends first."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from server.placers.whole_queue import WholeQueuePlacer, by_run
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement

NO_DEADLINE = 1e12
"""Stands behind every deadline."""


class Deadline(WholeQueuePlacer):
    """Latest possible start first; runs without a deadline come after those with one, in turn."""

    name: ClassVar[str] = "deadline"
    summary: ClassVar[str] = (
        "Takes the task with the earliest latest start for its deadline first, on the node where it ends first."
    )
    source: ClassVar[str] = "Liu, Layland, Journal of the ACM 20(1), 1973"
    starts: ClassVar[str] = "must start first, ends first there"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Tasks by latest start: the deadline less the way to go."""
        runs = statement.problem.runs
        latest = runs.deadline[runs.of_task] - queue.outline.task_path
        first_come = NO_DEADLINE + by_run(queue, runs.submitted)
        return queue.in_turn(np.where(np.isfinite(latest), latest, first_come))
