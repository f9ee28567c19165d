"""The server about itself: health, version, metrics, and the live stream of events."""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from mlopx.spec import SPEC_VERSION
from server import __version__
from server.api import examples, views
from server.api.access import Parts
from server.api.metrics import exposition
from server.api.problems import responses
from server.api.services import Services
from server.domain.events import StoredEvent

router = APIRouter(tags=["system"])

HEARTBEAT_SECONDS = 15.0


@router.get("/healthz", summary="Does the process live")
async def healthz() -> dict[str, str]:
    """Always ok when it answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can it do its work",
    responses={
        503: {
            "description": "Not ready",
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": {"status": "not-ready", "checks": examples.BROKEN},
                }
            },
        }
    },
)
async def readyz(request: Request) -> JSONResponse:
    """Every part with what is wrong with it."""
    found = getattr(request.app.state, "services", None)
    if not isinstance(found, Services):
        return JSONResponse({"status": "not-ready", "checks": {}}, status_code=503)
    checks = await found.checks()
    is_down = not checks["database"].ok
    status = "not-ready" if is_down else "ready" if all(check.ok for check in checks.values()) else "degraded"
    body = {"status": status, "checks": {name: {"ok": one.ok, "detail": one.detail} for name, one in checks.items()}}
    return JSONResponse(body, status_code=503 if is_down else 200)


@router.get("/version", summary="Versions")
async def version() -> dict[str, Any]:
    """Of the server, its API and the specs it reads."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "api": "v1",
        "spec_versions": [SPEC_VERSION],
    }


@router.get("/metrics", response_class=Response, summary="Metrics for Prometheus")
async def metrics(request: Request, parts: Parts) -> Response:
    """The text format of Prometheus."""
    counts = await asyncio.to_thread(parts.store.count_by_state)
    snapshot = await parts.node_manager.snapshot()
    _, waits = await parts.explainer.queue()
    usages = await parts.platform.usages()
    text, media_type = exposition(request.app.state.meters, parts, counts, snapshot, waits, usages)
    return Response(text, media_type=media_type)


@router.get(
    "/api/v1/events",
    response_class=StreamingResponse,
    responses={**responses(422), 200: {"description": "Server-sent events"}},
    summary="What happens, live",
)
async def events(
    parts: Parts,
    run_id: str | None = None,
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", pattern=r"^[0-9]{0,18}$")] = None,
) -> StreamingResponse:
    """Server-sent events from `Last-Event-ID` (or `after`) on, else from now on."""
    start = int(last_event_id) if last_event_id else after
    if start is None:  # now is before the answer begins: who then looks at what there is misses nothing in between
        start = await asyncio.to_thread(parts.store.last_event_id)
    source = parts.bus.subscribe(after=start, run_id=run_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(source), media_type="text/event-stream", headers=headers)


async def _stream(source: AsyncIterator[StoredEvent]) -> AsyncIterator[str]:
    """Events as they come; a comment now and then, so that broken connections are noticed on both sides."""
    yield ": connected\n\n"
    pending: asyncio.Task[StoredEvent] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(_next(source))
            done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_SECONDS)
            if not done:
                yield ": still here\n\n"
                continue
            finished, pending = pending, None
            try:
                stored = finished.result()
            except StopAsyncIteration:
                return
            view = views.event_view(stored)
            yield f"id: {stored.id}\nevent: {stored.event.kind}\ndata: {json.dumps(view)}\n\n"
    finally:
        if pending is not None:
            pending.cancel()


async def _next(source: AsyncIterator[StoredEvent]) -> StoredEvent:
    return await anext(source)
