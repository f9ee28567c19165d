"""Live events for whoever follows: one tail over the stored events, fanned out to subscribers.

It reads the event table instead of passing objects along, so a subscriber can resume from any id, and a second server
on the same database sees the same stream in the same order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from server.domain.events import StoredEvent
from server.stores.interface import RunStoreInterface

PAGE = 1000


class Bus:
    """Fans stored events out. `wake` says that there may be new ones; on a shared database `poll_seconds` looks too."""

    def __init__(self, store: RunStoreInterface, *, poll_seconds: float | None = None) -> None:
        self._store = store
        self._poll_seconds = poll_seconds
        self._news = asyncio.Condition()
        self._settled = asyncio.Event()
        self._settled.set()
        self._closed = False
        self._pending_wake: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """New events were committed."""
        if self._pending_wake is None or self._pending_wake.done():
            self._pending_wake = asyncio.get_running_loop().create_task(self._notify())

    @contextlib.contextmanager
    def unsettled(self) -> Iterator[None]:
        """What is committed meanwhile is told only afterwards: who hears of an event finds its run as that left it."""
        self._settled.clear()
        try:
            yield
        finally:
            self._settled.set()

    def end(self) -> None:
        """End all subscriptions soon."""
        self._closed = True
        self.wake()

    async def aclose(self) -> None:
        """End all subscriptions."""
        self._closed = True
        await self._notify()

    async def subscribe(self, *, after: int, run_id: str | None = None) -> AsyncIterator[StoredEvent]:
        """Events with ids above `after`, of one run or of all, for ever."""
        seen = after
        while not self._closed:
            page = await asyncio.to_thread(self._store.events, after=seen, run_id=run_id, limit=PAGE)
            await self._settled.wait()
            for stored in page:
                yield stored
                seen = stored.id
            if not page:
                await self._wait(seen, run_id)

    async def _wait(self, seen: int, run_id: str | None) -> None:
        async with self._news:
            missed = await asyncio.to_thread(self._store.events, after=seen, run_id=run_id, limit=1)
            if self._closed or missed:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._news.wait()

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()
