"""One scheduler at a time: a lease in the database, with a token that grows whenever it changes hands."""

from __future__ import annotations

import asyncio
import logging

from server.components.clock import Clock
from server.domain.errors import ConfigurationError, UnavailableError
from server.stores.interface import RunStoreInterface

log = logging.getLogger(__name__)

LEASE = "scheduler"


class Leadership:
    """Holds the scheduler's lease and renews it."""

    def __init__(self, store: RunStoreInterface, clock: Clock, *, owner: str, seconds: float) -> None:
        self._store, self._clock, self._owner, self._seconds = store, clock, owner, seconds
        self.token: int | None = None

    async def require(self) -> None:
        """Take the lease, waiting once for a server that died with it. Raises ConfigurationError if another lives."""
        for _ in range(2):
            if await self._take():
                return
            log.info("another server had the scheduler's lease; waiting %.0f s for it", self._seconds)
            await self._clock.sleep(self._seconds + 1)
        raise ConfigurationError(
            "another server on this database runs the scheduler", hint="stop it first, or use another DATABASE_URL"
        )

    async def keep_forever(self) -> None:
        """Renew the lease until cancelled. Raises UnavailableError once it was lost."""
        while True:
            await self._clock.sleep(self._seconds / 3)
            before = self.token
            if not await self._take() or self.token != before:
                raise UnavailableError("the scheduler's lease was lost to another server")

    async def give_up(self) -> None:
        """Let another server take over at once."""
        await asyncio.to_thread(self._store.release_lease, LEASE, self._owner)

    async def _take(self) -> bool:
        now = self._clock.now()
        self.token = await asyncio.to_thread(self._store.take_lease, LEASE, self._owner, now=now, seconds=self._seconds)
        return self.token is not None
