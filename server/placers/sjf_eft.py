"""Shortest run first, each task where it ends first."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer, by_run
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class SjfEft(WholeQueuePlacer):
    """Least total work first, finished tasks included."""

    name: ClassVar[str] = "sjf_eft"
    summary: ClassVar[str] = (
        "Takes the run with the least work in all first and gives each task the node where it ends first."
    )
    source: ClassVar[str] = "Conway, Maxwell, Miller, Theory of Scheduling, 1967"
    starts: ClassVar[str] = "shortest run, ends first there"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Runs by the work they were in all, on the quickest nodes."""
        work = queue.outline.work + statement.problem.runs.done_seconds
        return queue.in_turn(by_run(queue, work))
