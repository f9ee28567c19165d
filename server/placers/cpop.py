"""The whole critical path on the one node that runs it quickest, everything else where it ends first."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class Cpop(WholeQueuePlacer):
    """Critical path on a processor."""

    name: ClassVar[str] = "cpop"
    summary: ClassVar[str] = (
        "Puts the critical path on the node that runs it quickest and the rest where it ends first."
    )
    source: ClassVar[str] = "Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002"
    starts: ClassVar[str] = "on the critical path's node, or ends first there"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """One pass over all waiting tasks."""
        from server.planning.constructors import cpop

        return cpop(statement.problem)
