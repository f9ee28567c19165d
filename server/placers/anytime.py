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

MOST_STEPS = 5_000
LOOKS_PER_SECOND = 250_000
"""Tasks times nodes that one rule, or one slice of the search, looks at in a second; shared nodes are slow to fill."""

SHARE = 0.5
"""Of the limit, what is spent on this count."""

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
            seconds=SHARE * request.time_limit_seconds,
            monotonic=_Count(work / LOOKS_PER_SECOND),
            objective="makespan" if request.objective == "makespan" else "turnaround",
            max_steps=max(steps, 1),
        )


class _Count:
    """A clock that counts what is done: each look at it is one rule tried, or one slice of the search."""

    def __init__(self, step_seconds: float) -> None:
        self._step_seconds, self._now = step_seconds, 0.0

    def __call__(self) -> float:
        self._now += self._step_seconds
        return self._now
