"""Events on their way to the journal: each is told again until it is acknowledged."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from server.domain.events import Event
from server.platforms.interface import Delivery

AGAIN_AFTER = timedelta(seconds=60)


class Outbox:
    """A queue with a memory."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._told: dict[str, tuple[Delivery, datetime]] = {}
        self._numbers = itertools.count(1)

    def put(self, run_id: str, events: Iterable[Event]) -> None:
        """Tell these, in this order."""
        for event in events:
            delivery = Delivery(run_id, event, token=str(next(self._numbers)))
            self._told[delivery.token] = (delivery, self._now())
            self._queue.put_nowait(delivery)

    async def next(self) -> Delivery:
        """The next to tell. What was told again before its first telling was acknowledged is left out."""
        while True:
            delivery = await self._queue.get()
            if delivery.token in self._told:
                return delivery

    def acknowledge(self, token: str) -> Delivery | None:
        """This one is stored; returns it."""
        found = self._told.pop(token, None)
        return found[0] if found else None

    def repeat_old(self) -> None:
        """Tell again what nobody acknowledged for a while."""
        now = self._now()
        for token, (delivery, at) in list(self._told.items()):
            if now - at > AGAIN_AFTER:
                self._told[token] = (delivery, now)
                self._queue.put_nowait(delivery)


__all__ = ["Outbox"]
