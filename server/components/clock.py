"""Time as an argument: what the components ask instead of the machine's clock."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from server.domain.steady import SteadySeconds


class Clock(ABC):
    """Tells the instant (timezone-aware UTC) and waits."""

    @abstractmethod
    def now(self) -> datetime:
        """The present instant; never earlier than an instant told before."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SteadyClock(Clock):
    """The machine's clock, made steady. The arguments are those of `SteadySeconds`."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._seconds = SteadySeconds(wall, monotonic)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._seconds.now(), UTC)

    def not_before(self, instant: datetime) -> None:
        """Start no earlier than this: the newest instant on record, should the machine's clock be behind it."""
        if instant > self.now():
            self._seconds.not_before((instant + timedelta(microseconds=1)).timestamp())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
