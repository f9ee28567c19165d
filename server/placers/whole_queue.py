"""What strategies share that compute on the whole queue as arrays: the request stated, a schedule, and its answer."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from server.domain.placement import PlacementPlan, PlacementRequest
from server.placers.interface import PlacerInterface
from server.placers.saying import STARTS, reasons_of
from server.placers.warming import small_requests
from server.planning.answering import plan_of
from server.planning.needs import NeedsTable
from server.planning.problem import Floats
from server.planning.queue import Queue
from server.planning.schedule import UNPLACED, Schedule
from server.planning.stating import Statement, state


class WholeQueuePlacer(PlacerInterface):
    """Implement `schedule`; `starts` is what people are told of a task that starts now."""

    starts: ClassVar[str] = STARTS

    def __init__(self) -> None:
        self._table = NeedsTable(())

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """State, schedule, answer. What tasks find in the cluster is kept for the next time they are asked about."""
        self._table = self._table.renewed(request.snapshot.nodes, request.tasks())
        statement = state(request, table=self._table)
        if not statement.tasks or not request.snapshot.nodes:
            return plan_of(statement, nowhere(len(statement.tasks)), str)
        schedule = self.schedule(statement, Queue(statement.problem, statement.finish_of_bound))
        return plan_of(statement, schedule, *reasons_of(statement, schedule, self.starts))

    def warm(self) -> None:
        """Place small requests, so that the kernels are loaded from their cache or compiled."""
        for request in small_requests():
            self.place(request)

    @abstractmethod
    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Where and when every task runs; there is at least one task and one node."""


def by_run(queue: Queue, key: Floats) -> Floats:
    """[n] ranks from one figure per run [k], lower first; within a run the task with the longest way to go first."""
    of_task = queue.problem.runs.of_task
    path = queue.outline.task_path
    places = np.empty(len(path), np.int64)
    places[np.lexsort((np.arange(len(path)), -path, key[of_task]))] = np.arange(len(path))
    return places.astype(np.float64)


def nowhere(count: int) -> Schedule:
    """Nothing is placed."""
    never = np.full(count, np.inf)
    return Schedule(np.full(count, UNPLACED, np.int32), np.zeros(count, np.int32), never, never)


__all__ = ["WholeQueuePlacer", "by_run", "nowhere"]
