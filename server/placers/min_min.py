"""Of all ready tasks the one that would end first, there; again and again. Clears many small tasks quickly."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class MinMin(WholeQueuePlacer):
    """The least earliest finish first."""

    name: ClassVar[str] = "min_min"
    summary: ClassVar[str] = "Places the ready task that would end first, again and again."
    source: ClassVar[str] = "Ibarra, Kim, Journal of the ACM 24(2), 1977"
    starts: ClassVar[str] = "ends first of all ready tasks"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """One pass over all waiting tasks."""
        from server.planning.constructors import min_min

        return min_min(statement.problem)
