"""Tells somebody's address what went wrong: beside everything else, again for a while, never twice at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from server.components.clock import Clock

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
TRIES = 12
TIMEOUT_SECONDS = 10.0
MOST_AT_ONCE = 8
MOST_REMEMBERED = 10_000
WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell. `key` is the same however often it is told, and travels as Idempotency-Key."""

    key: str
    kind: str
    url: str
    body: Mapping[str, Any]


class Webhooks:
    """Posts news as JSON."""

    def __init__(self, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport, headers={"User-Agent": "mlopx"})
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._done: dict[str, None] = {}
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    async def aclose(self) -> None:
        """Stop; what was not told is told after the next start."""
        tasks = list(self._sending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    def send(self, news: News, *, on_done: Callable[[], Awaitable[None]]) -> None:
        """Begin to tell; `on_done` when it was heard, or given up. What is on its way is not sent beside itself,
        nor is what was told a moment ago, which an asker may not have seen written down yet."""
        if news.key not in self._sending and news.key not in self._done:
            task = asyncio.create_task(self._send(news, on_done))
            self._sending[news.key] = task
            task.add_done_callback(lambda _: self._sending.pop(news.key, None))

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        while self._sending:
            await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def _send(self, news: News, on_done: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            async with self._free:
                problem = await self._try(news)
            if problem is None:
                break
            if not left or not problem.is_worth_another:
                log.warning("the webhook %s was not told of %s: %s", news.url, news.key, problem.text)
                break
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self._remember(news.key)
        await on_done()

    def _remember(self, key: str) -> None:
        self._done[key] = None
        if len(self._done) > MOST_REMEMBERED:
            del self._done[next(iter(self._done))]

    async def _try(self, news: News) -> _Problem | None:
        try:
            answer = await self._http.post(news.url, json=dict(news.body), headers={"Idempotency-Key": news.key})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _Problem(str(error) or type(error).__name__, not isinstance(error, httpx.InvalidURL))
        if answer.is_success:
            return None
        again = answer.status_code >= 500 or answer.status_code in WORTH_ANOTHER_TRY
        return _Problem(f"it answered {answer.status_code}", again)


@dataclass(frozen=True, slots=True)
class _Problem:
    text: str
    is_worth_another: bool


__all__ = ["News", "Webhooks"]
