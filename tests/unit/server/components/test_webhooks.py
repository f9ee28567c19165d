"""News is told once, however often and by whom it is asked for."""

from __future__ import annotations

import asyncio

import httpx

from server.components.clock import SteadyClock
from server.components.recurring.webhooks import News, Webhooks


async def test_what_was_told_a_moment_ago_is_not_told_again() -> None:
    heard: list[str] = []

    def listen(request: httpx.Request) -> httpx.Response:
        heard.append(request.headers["Idempotency-Key"])
        return httpx.Response(204)

    async def nothing() -> None:
        await asyncio.sleep(0)

    webhooks = Webhooks(SteadyClock(lambda: 0.0, lambda: 0.0), transport=httpx.MockTransport(listen))
    try:
        for key in ("first", "first", "other", "first"):
            webhooks.send(News(key, "failed", "http://hook.example/", {}), on_done=nothing)
            await webhooks.idle()
    finally:
        await webhooks.aclose()
    assert heard == ["first", "other"]
