"""Shortest remaining work first, with aging, each task where it ends first."""

from __future__ import annotations

from typing import ClassVar

from server.placers.whole_queue import WholeQueuePlacer, by_run
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement

AGING = 0.2
"""A run that waited ten seconds goes before one with two seconds less work left."""


class SrptEft(WholeQueuePlacer):
    """Least remaining work first; waiting counts."""

    name: ClassVar[str] = "srpt_eft"
    summary: ClassVar[str] = (
        "Takes the run with the least work left first and gives each task the node where it ends first."
    )
    source: ClassVar[str] = "Schrage, Operations Research 16(3), 1968"
    starts: ClassVar[str] = "least work left, ends first there"

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """Runs by work left, less a share of the time they have waited."""
        left = queue.outline.work + queue.bound
        return queue.in_turn(by_run(queue, left + AGING * statement.problem.runs.submitted))
