"""How forecasts turned out, over a restart: what bands learned is written down now and then, and read at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from server.components.clock import Clock
from server.components.explaining.track import ForecastTrack
from server.domain.errors import MlopxError
from server.stores.interface import Note, RunStoreInterface

log = logging.getLogger(__name__)

KIND = "forecasts"
FORMAT = 1
MOST_NOTES = 500
WATCH_SECONDS = 10.0
"""So often all is foretold when nobody asks: how that turns out is what bands are made of."""

KEEP_SECONDS = 60.0


class ForecastMemory:
    """Keeps a track of forecasts in the store: one note per kind and strategy, the newest only."""

    def __init__(self, *, track: ForecastTrack, store: RunStoreInterface, clock: Clock) -> None:
        self.track = track
        self._store, self._clock = store, clock
        self._kept = 0

    async def load(self) -> None:
        """Read what is on record. What another version of the server wrote is left alone."""
        for note in await asyncio.to_thread(self._store.notes, KIND, limit=MOST_NOTES):
            try:
                if note.document["format"] == FORMAT:
                    self.track.learn(note.document)
            except (KeyError, TypeError, ValueError) as error:
                log.warning("what was learned of forecasts (%s) cannot be read: %s", note.subject, error)

    async def keep(self) -> None:
        """Write down what is new since the last time; where that fails, it is tried again with the next."""
        judged = self.track.judged
        if judged == self._kept:
            return
        now = self._clock.now()
        notes = [
            Note(KIND, name, now, {"format": FORMAT, **document}) for name, document in self.track.documents().items()
        ]
        try:
            await asyncio.to_thread(self._store.add_notes, notes, keep=1)
            self._kept = judged
        except MlopxError as error:
            log.warning("how forecasts turned out could not be kept: %s", error.message)

    async def watch_forever(
        self, foretell: Callable[[], Awaitable[None]], every_seconds: float = WATCH_SECONDS
    ) -> None:
        """Foretell now and then, whether anybody asks or not, and keep what came of it, until cancelled."""
        kept_at = self._clock.now()
        while True:
            await self._clock.sleep(every_seconds)
            await foretell()
            if (self._clock.now() - kept_at).total_seconds() >= KEEP_SECONDS:
                kept_at = self._clock.now()
                await self.keep()


__all__ = ["ForecastMemory"]
