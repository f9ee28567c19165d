"""Of all ready tasks, each where it ends first, the one that ends last: big ones begin early."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class MaxMin(WholeQueuePlacer):
    """The greatest earliest finish first."""

    name: ClassVar[str] = "max_min"
    summary: ClassVar[str] = "Places the ready task that would end last, each where it ends first, again and again."
    source: ClassVar[str] = "Maheswaran et al., Heterogeneous Computing Workshop, 1999"
    starts: ClassVar[str] = "ends last of all ready tasks"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """One pass over all waiting tasks."""
        from server.planning.constructors import max_min

        return max_min(statement.problem)
