"""Events on their way: told again until somebody has stored them, and then no more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from server.domain.events import CancelRequested
from server.platforms.kubeflow.outbox import AGAIN_AFTER, Outbox

AT = datetime(2026, 1, 1, tzinfo=UTC)


async def test_what_is_stored_is_not_told_again_and_what_is_not_is() -> None:
    now = AT
    outbox = Outbox(lambda: now)
    outbox.put("r", [CancelRequested(at=AT, reason=reason) for reason in ("first", "second")])
    first, second = await outbox.next(), await outbox.next()
    now = AT + AGAIN_AFTER + timedelta(seconds=1)
    outbox.repeat_old()
    assert outbox.acknowledge(first.token) == first
    assert await outbox.next() == second, "the first was stored before it came again"
    assert outbox.acknowledge(second.token) == second
    assert outbox.acknowledge(second.token) is None
    outbox.put("r", [CancelRequested(at=AT, reason="third")])
    async with asyncio.timeout(60):
        assert (await outbox.next()).event.reason == "third"
