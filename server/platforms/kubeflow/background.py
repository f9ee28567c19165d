"""What the Kubeflow adapter does beside its calls: parts that go on for ever, and chores that are done once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from server.domain.errors import MlopxError

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0


class Background:
    """Keeps parts going, whatever they raise, and tells of chores that fail."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._sleep = sleep
        self._parts: list[asyncio.Task[None]] = []
        self._chores: set[asyncio.Task[None]] = set()

    def keep(self, parts: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """Run these until `aclose`; one that fails is logged and begins again."""
        self._parts += [asyncio.create_task(self._keep_going(name, part)) for name, part in parts.items()]

    def do(self, chore: Callable[[], Awaitable[object]]) -> None:
        """Do this beside the rest."""
        task = asyncio.create_task(_done(chore))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def aclose(self) -> None:
        """End all of it."""
        tasks = [*self._parts, *self._chores]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_going(self, name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await part()
            except Exception:  # whatever it raises, nobody else would see what this part sees
                log.exception("part %r of the Kubeflow adapter failed; it begins again", name)
            await self._sleep(AGAIN_SECONDS)


async def _done(chore: Callable[[], Awaitable[object]]) -> None:
    try:
        await chore()
    except MlopxError as error:
        log.info("a chore failed: %s", error.message)


__all__ = ["Background"]
