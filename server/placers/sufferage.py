"""Of all ready tasks the one that would lose most by taking its second-best node."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class Sufferage(WholeQueuePlacer):
    """The greatest loss first."""

    name: ClassVar[str] = "sufferage"
    summary: ClassVar[str] = "Places the ready task that would lose most on its second-best node, again and again."
    source: ClassVar[str] = "Maheswaran et al., Heterogeneous Computing Workshop, 1999"
    starts: ClassVar[str] = "would lose most elsewhere"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """One pass over all waiting tasks."""
        from server.planning.constructors import sufferage

        return sufferage(statement.problem)
