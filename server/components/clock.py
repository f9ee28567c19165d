"""Time as an argument: what the components ask instead of the machine's clock."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock(ABC):
    """Tells the instant (timezone-aware UTC) and waits."""

    @abstractmethod
    def now(self) -> datetime:
        """The present instant; never earlier than an instant told before."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SteadyClock(Clock):
    """The machine's clock, made steady: when that is set back, this one goes on at the speed of the monotonic clock.

    Args:
        wall: seconds since the epoch, as the machine tells them.
        monotonic: seconds that only ever grow.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._told, self._told_at = wall(), monotonic()

    def now(self) -> datetime:
        wall = self._wall()  # read first: a pause before the next line must not put this clock ahead, for good
        elapsed = max(self._monotonic() - self._told_at, 0.0)
        self._told = max(wall, self._told + elapsed)
        self._told_at += elapsed
        return datetime.fromtimestamp(self._told, UTC)

    def not_before(self, instant: datetime) -> None:
        """Start no earlier than this: the newest instant on record, should the machine's clock be behind it."""
        if instant > self.now():
            self._told = (instant + timedelta(microseconds=1)).timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
