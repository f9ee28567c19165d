"""As HEFT, but the node is chosen with a look at all that must still follow."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement


class Peft(WholeQueuePlacer):
    """Optimistic cost table for the order and for the node."""

    name: ClassVar[str] = "peft"
    summary: ClassVar[str] = "Chooses nodes by predicted finish plus the least that must still follow."
    source: ClassVar[str] = "Arabnejad, Barbosa, IEEE TPDS 25(3), 2014"
    starts: ClassVar[str] = "least finish with all that follows"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """One pass over all waiting tasks."""
        from server.planning.constructors import peft

        return peft(statement.problem)
