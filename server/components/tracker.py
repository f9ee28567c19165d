"""Listens to the platform and tells the journal; acknowledges what is stored, so that nothing is heard only once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque

from server.components.clock import Clock
from server.components.journal import Journal
from server.domain.errors import IllegalTransitionError, NotFoundError
from server.platforms.interface import Delivery, PlatformInterface

log = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0


class Tracker:
    """Moves what happened from the platform into the journal, in order per run.

    While the store fails, what happened to a run waits with it: a later event that overtook an earlier one would be
    refused by the lifecycle, acknowledged, and lost.
    """

    def __init__(self, *, journal: Journal, platform: PlatformInterface, clock: Clock) -> None:
        self._journal, self._platform, self._clock = journal, platform, clock
        self.refused: Counter[str] = Counter()
        self._waiting: dict[str, deque[Delivery]] = {}
        self._lanes: dict[str, asyncio.Task[None]] = {}

    async def run_forever(self) -> None:
        """Follow the platform's events until cancelled."""
        try:
            async for delivery in self._platform.events():
                self._waiting.setdefault(delivery.run_id, deque()).append(delivery)
                if delivery.run_id not in self._lanes:
                    self._lanes[delivery.run_id] = asyncio.create_task(self._store_all(delivery.run_id))
        finally:
            for lane in self._lanes.values():
                lane.cancel()
            self._lanes, self._waiting = {}, {}

    async def _store_all(self, run_id: str) -> None:
        waiting = self._waiting[run_id]
        while waiting:
            await self._store(waiting[0])
            waiting.popleft()
        del self._waiting[run_id], self._lanes[run_id]

    async def _store(self, delivery: Delivery) -> None:
        delay = FIRST_DELAY_SECONDS
        while not await self._is_settled(delivery):
            await self._clock.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    async def _is_settled(self, delivery: Delivery) -> bool:
        """Whether the event is stored or refused for good, and acknowledged."""
        try:
            await self._journal.apply(delivery.run_id, delivery.event)
        except IllegalTransitionError as error:
            self.refused[delivery.event.kind] += 1
            log.error("refused an event of the platform: %s", error)
        except NotFoundError:
            self.refused["unknown-run"] += 1
            log.warning("the platform speaks of run %s, which is not on record", delivery.run_id)
        except Exception:
            log.exception("an event of run %s could not be stored; trying again", delivery.run_id)
            return False
        try:
            await self._platform.acknowledge(delivery.token)
        except Exception:
            log.exception("an event of run %s is stored but not acknowledged; it will come again", delivery.run_id)
        return True
