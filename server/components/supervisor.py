"""Keeps the background parts running: starts them, notes and restarts what falls over, ends them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.components.clock import Clock

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a part works, and what is wrong if it does not."""

    ok: bool
    detail: str = ""


class Supervisor:
    """Runs named endless coroutines."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._trouble: dict[str, str] = {}

    def start(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run `part` until `aclose`, starting it anew with growing pauses whenever it ends or raises."""
        self._tasks[name] = asyncio.create_task(self._keep(name, part), name=name)

    async def aclose(self) -> None:
        """Cancel all parts, newest first, and wait for each."""
        for task in reversed(list(self._tasks.values())):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._tasks.clear()

    def checks(self) -> dict[str, Check]:
        """How every part is."""
        return {name: Check(name not in self._trouble, self._trouble.get(name, "")) for name in self._tasks}

    async def _keep(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            started_at = self._clock.now()
            try:
                await part()
                self._trouble[name] = "ended by itself"
            except Exception as error:
                log.exception("%s fell over; starting it again in %.1f s", name, pause)
                self._trouble[name] = f"{type(error).__name__}: {error}"
            ran_seconds = (self._clock.now() - started_at).total_seconds()
            pause = (
                FIRST_PAUSE_SECONDS if ran_seconds > LONGEST_PAUSE_SECONDS else min(pause * 2, LONGEST_PAUSE_SECONDS)
            )
            await self._clock.sleep(pause)
            self._trouble.pop(name, None)
