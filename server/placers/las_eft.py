"""Least attained service first: no estimate decides the order, so wrong ones cannot either."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from server.placers.whole_queue import WholeQueuePlacer, by_run
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement

FIRST_CLASS_SECONDS = 60.0
"""Node time up to which a run is in the first class."""


class LasEft(WholeQueuePlacer):
    """Runs in classes of node time had so far, each twice as wide as the one before; first come in each."""

    name: ClassVar[str] = "las_eft"
    summary: ClassVar[str] = "Takes the run that has had the least node time first; estimates only choose the node."
    source: ClassVar[str] = "Gu et al., Tiresias, NSDI 2019"
    starts: ClassVar[str] = "least node time so far, ends first there"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Runs by class of attained node seconds, then by submission."""
        runs = statement.problem.runs
        attained = np.floor(np.log2(1.0 + runs.done_seconds / FIRST_CLASS_SECONDS))
        places = np.empty(len(attained))
        places[np.lexsort((runs.submitted, attained))] = np.arange(len(attained))
        return queue.in_turn(by_run(queue, places))
