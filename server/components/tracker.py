"""Listens to the platform and tells the journal; acknowledges what is stored, so that nothing is heard only once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import partial

from server.components.journal import Journal
from server.domain.errors import IllegalTransitionError, NotFoundError
from server.platforms.interface import Delivery, PlatformInterface

log = logging.getLogger(__name__)


class Tracker:
    """Moves what happened from the platform into the journal, in order per run."""

    def __init__(self, *, journal: Journal, platform: PlatformInterface) -> None:
        self._journal, self._platform = journal, platform
        self.refused: Counter[str] = Counter()
        self._lanes: dict[str, asyncio.Task[None]] = {}

    async def run_forever(self) -> None:
        """Follow the platform's events until cancelled."""
        try:
            async for delivery in self._platform.events():
                before = self._lanes.get(delivery.run_id)
                lane = asyncio.create_task(self._store(delivery, before))
                self._lanes[delivery.run_id] = lane
                lane.add_done_callback(partial(self._leave, delivery.run_id))
        finally:
            for lane in list(self._lanes.values()):
                lane.cancel()

    def _leave(self, run_id: str, lane: asyncio.Task[None]) -> None:
        if self._lanes.get(run_id) is lane:
            del self._lanes[run_id]
        if not lane.cancelled() and lane.exception() is not None:
            log.error(
                "an event of run %s could not be stored; the platform will tell it again",
                run_id,
                exc_info=lane.exception(),
            )

    async def _store(self, delivery: Delivery, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await self._journal.apply(delivery.run_id, delivery.event)
        except IllegalTransitionError as error:
            self.refused[delivery.event.kind] += 1
            log.error("refused an event of the platform: %s", error)
        except NotFoundError:
            self.refused["unknown-run"] += 1
            log.warning("the platform speaks of run %s, which is not on record", delivery.run_id)
        await self._platform.acknowledge(delivery.token)
