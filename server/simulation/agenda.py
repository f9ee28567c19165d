"""What will happen when: the heap of coming events, which is all the clock that a simulation has."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Act = Callable[[], None]

START = datetime(2000, 1, 1, tzinfo=UTC)
"""The instant at which every simulation begins; a date of its own says that these are not the machine's hours."""

HAPPENS, DECIDES = 0, 1
"""Ranks at one instant: first everything that happens, then what is decided about it."""


class Agenda:
    """A virtual clock: it stands still while something is done, and jumps to the next event. Seconds from the start."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.now = START
        self._heap: list[tuple[float, int, int, Act]] = []
        self._serial = itertools.count()
        self.looks = 0

    def look_at(self, seconds: float, act: Act) -> None:
        """Only look whether something is to be done, at an instant: such an entry alone makes nothing happen."""

        def look() -> None:
            self.looks -= 1
            act()

        self.looks += 1
        self.at(seconds, look)

    @property
    def is_idle(self) -> bool:
        """Whether nothing but looks is left."""
        return self.looks >= len(self._heap)

    def at(self, seconds: float, act: Act, rank: int = HAPPENS) -> None:
        """Do something at an instant; one that is past means now. Equal instants keep the order of these calls."""
        heapq.heappush(self._heap, (max(seconds, self.seconds), rank, next(self._serial), act))

    def after(self, seconds: float, act: Act, rank: int = HAPPENS) -> None:
        """Do something so many seconds from now."""
        self.at(self.seconds + seconds, act, rank)

    def run(self, until: Callable[[], bool]) -> bool:
        """Let time pass until the condition holds after an event; False if nothing is left to happen before."""
        heap = self._heap
        while heap:
            seconds, _, _, act = heapq.heappop(heap)
            if seconds > self.seconds:
                self.seconds = seconds
                self.now = instant(seconds)
            act()
            if until():
                return True
        return False


def instant(seconds: float) -> datetime:
    """The instant so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def seconds_of(at: datetime) -> float:
    """Seconds from the start to an instant."""
    return (at - START).total_seconds()


__all__ = ["DECIDES", "HAPPENS", "START", "Agenda", "instant", "seconds_of"]
