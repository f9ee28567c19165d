"""The task with the longest way to the end of its run first, on the node where it ends first."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class Heft(WholeQueuePlacer):
    """Upward rank, earliest finish, gaps used."""

    name: ClassVar[str] = "heft"
    summary: ClassVar[str] = (
        "Takes the task with the longest way to go first and gives it the node where it ends first."
    )
    source: ClassVar[str] = "Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002"
    starts: ClassVar[str] = "longest way to go, ends first there"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """One pass over all waiting tasks."""
        from server.planning.constructors import heft

        return heft(statement.problem)
