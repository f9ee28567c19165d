"""What is free on one shared node from now on. Tasks run side by side while their requests fit, and start in the order
in which they are added: a small task never overtakes a big one that waits for the same node, so nobody starves.

Times are seconds from the request's `now`; calls come with times that never go back.
"""

from __future__ import annotations

import math
from bisect import insort

from server.domain.resources import Resources

NEVER = math.inf
"""Start of a task that has to wait for something without a known end."""


class NodeTimeline:
    """One node. `opens_at`: seconds until it is there (0 for a real one, its start-up time for a virtual one)."""

    __slots__ = (
        "_count",
        "_ended",
        "_ends",
        "_free",
        "_frontier",
        "_head",
        "_next_end",
        "_next_release",
        "_promised",
        "_releases",
    )

    def __init__(self, free: Resources, opens_at: float = 0.0) -> None:
        self._free = free
        self._frontier = opens_at
        self._releases: list[tuple[float, int, Resources]] = []
        self._head = 0
        self._ends: list[float] = []
        self._ended = 0
        self._count = 0
        self._next_end = self._next_release = NEVER
        self._promised: list[tuple[float, Resources]] = []

    def hold(self, requests: Resources, until: float) -> None:
        """Something runs already (its room is not in `free`) and gives its room back at `until`."""
        self._add(requests, until)

    def promise(self, requests: Resources, start: float, end: float) -> None:
        """Something decided will take room from `start` to `end`; it is on the node, waiting, until then. To be told
        before anything is asked, in order of start."""
        self._promised.append((start, requests))
        self._add(requests, end)
        self._next_release = min(self._next_release, self._promised[0][0])

    def tasks_at(self, at: float) -> int:
        """How many tasks are on the node at that time, running or waiting for it."""
        if self._next_end <= at:
            while self._ended < len(self._ends) and self._ends[self._ended] <= at:
                self._ended += 1
            self._next_end = self._ends[self._ended] if self._ended < len(self._ends) else NEVER
        return len(self._ends) - self._ended

    def has_room(self, requests: Resources, at: float) -> bool:
        """Whether a task could start right then, without overtaking anybody."""
        if self._frontier > at:
            return False
        if self._next_release <= at:
            self._release(at)
        return requests.fits_in(self._free)

    def tasks_if_room(self, requests: Resources, at: float) -> int:
        """How many tasks are on the node at that time, or -1 if a task could not start right then."""
        if self._frontier > at:
            return -1
        if self._next_release <= at:
            self._release(at)
        free = self._free
        if requests.cpu_millicores > free.cpu_millicores and requests.cpu_millicores:
            return -1
        if requests.memory_bytes > free.memory_bytes and requests.memory_bytes:
            return -1
        if (requests.accelerators or requests.pods > free.pods) and not requests.fits_in(free):
            return -1
        return self.tasks_at(at) if self._next_end <= at else len(self._ends) - self._ended

    def earliest_start(self, requests: Resources, at: float) -> float:
        """When a task that is ready at `at` could start; `NEVER` if its room will not come back."""
        start = max(at, self._frontier)
        self._release(start)
        free, position, coming = self._free, self._head, 0
        while not requests.fits_in(free):
            if position == len(self._releases):
                return NEVER
            end, _, released = self._releases[position]
            if coming < len(self._promised) and self._promised[coming][0] <= end:
                free, coming = free - self._promised[coming][1], coming + 1
                continue
            free, start, position = free + released, max(start, end), position + 1
        return start

    def take(self, requests: Resources, start: float, end: float) -> None:
        """A task holds its requests from `start` to `end`."""
        self._frontier = max(self._frontier, start)
        self._release(start)
        self._free = self._free - requests
        self._add(requests, end)

    def _add(self, requests: Resources, end: float) -> None:
        self._count += 1
        insort(self._releases, (end, self._count, requests), lo=self._head)
        insort(self._ends, end, lo=self._ended)
        self._next_release = min(self._next_release, end)
        self._next_end = min(self._next_end, end)

    def _release(self, until: float) -> None:
        """Give back what ends by then, and take what was promised from a time by then on."""
        taken = 0
        while taken < len(self._promised) and self._promised[taken][0] <= until:
            self._free = self._free - self._promised[taken][1]
            taken += 1
        if taken:
            del self._promised[:taken]
        while self._head < len(self._releases) and self._releases[self._head][0] <= until:
            self._free = self._free + self._releases[self._head][2]
            self._head += 1
        released = self._releases[self._head][0] if self._head < len(self._releases) else NEVER
        self._next_release = min(released, self._promised[0][0]) if self._promised else released


__all__ = ["NEVER", "NodeTimeline"]
