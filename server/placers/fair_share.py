"""Projects get node time in proportion to their weights; within a project, first come, first served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.problem import Floats
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class FairShare(WholeQueuePlacer):
    """The project that has had the least node time for its weight first. `weights` by project; 1 where not named."""

    name: ClassVar[str] = "fair_share"
    summary: ClassVar[str] = "Takes tasks from the project that has had the least node time so far, first come in each."
    source: ClassVar[str] = "start-time fair queueing, Goyal, Vin, Cheng, IEEE/ACM ToN 5(5), 1997"
    starts: ClassVar[str] = "its project has had least, ends first there"

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.weights = dict(weights or {})

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Tasks by start tag: what their project has had and has waiting before them, over its weight."""
        return queue.in_turn(self._tags(statement, queue))

    def _tags(self, statement: Statement, queue: Queue) -> Floats:
        runs, asked = statement.problem.runs, statement.request.runs
        weight = np.array([self.weights.get(run.project, 1.0) for run in asked])
        had = np.bincount(runs.project, runs.done_seconds)
        projects = runs.project[runs.of_task]
        order = np.lexsort((-queue.outline.task_path, runs.submitted[runs.of_task], projects))
        seconds = queue.outline.task_best[order]
        before = np.cumsum(seconds) - seconds
        begins = np.searchsorted(projects[order], projects[order])
        tags = np.empty(len(order))
        tags[order] = (had[projects[order]] + before - before[begins]) / weight[runs.of_task[order]]
        return tags


__all__ = ["FairShare"]
