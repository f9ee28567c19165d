"""Search over the whole queue: many rules first, then local search from the best of them, never worse than that."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from server.placers.warming import small_requests
from server.placers.whole_queue import WholeQueuePlacer
from server.planning.queue import Queue
from server.planning.schedule import Schedule
from server.planning.stating import Statement

EFFORT_PER_SECOND = 2_000_000
"""Tasks times nodes that may be looked at per second of the limit; counted, so that equal requests get equal plans."""

MOST_STEPS = 20_000
_NODE_COST = 20


class Anytime(WholeQueuePlacer):
    """A portfolio, then simulated annealing, on the request's objective (makespan, or else mean turnaround)."""

    name: ClassVar[str] = "anytime"
    summary: ClassVar[str] = (
        "Takes the best of many rules and improves it by local search for as long as the limit allows."
    )
    source: ClassVar[str] = "simulated annealing, Kirkpatrick, Gelatt, Vecchi, Science 220, 1983, over list schedules"
    starts: ClassVar[str] = "best plan found by search"

    def warm(self) -> None:
        """For both objectives: each has a search of its own."""
        for request in small_requests():
            for objective in ("turnaround", "makespan"):
                self.place(replace(request, objective=objective))

    def schedule(self, statement: Statement, queue: Queue) -> Schedule:
        """As many steps as the limit and the size of the problem allow."""
        from server.planning.search import anytime

        problem, request = statement.problem, statement.request
        work = problem.task_count * (problem.node_count + _NODE_COST)
        steps = int(min(EFFORT_PER_SECOND * request.time_limit_seconds / work, MOST_STEPS))
        return anytime(
            problem,
            seconds=1.0,
            monotonic=_no_time,
            objective="makespan" if request.objective == "makespan" else "turnaround",
            max_steps=max(steps, 1),
        )


def _no_time() -> float:
    """A clock that stands still: steps are counted instead."""
    return 0.0
