"""What Uvicorn runs: `uvicorn server.main:app`."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.app import build_app
from server.api.services import Services
from server.bootstrap import running
from server.domain.errors import MlopxError
from server.logs import log_as
from server.settings import Settings, load
from server.ui.pages import add_dashboard

log = logging.getLogger("server")


@asynccontextmanager
async def life(settings: Settings | None = None) -> AsyncIterator[Services]:
    """A running server by the settings. Raises ConfigurationError when they cannot work."""
    settings = settings or load()[0]
    log_as(settings.log_format)
    async with running(settings) as services:
        log.info("ready: platform %(platform)s, strategy %(placer)s", services.settings_view)
        with before_the_end(services.bus.end):
            yield services


@contextmanager
def before_the_end(act: Callable[[], None]) -> Iterator[None]:
    """Act when we are told to end, before the web server does: it waits for open streams, and they never end alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    taken = [number for number, handler in before.items() if callable(handler)]
    for number in taken:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


class Advice:
    """Has the web server say a sentence, not a traceback, when it cannot start: bad settings, a full disk."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failures: list[Message] = []

        async def held(message: Message) -> None:
            if message["type"].endswith(".failed"):
                failures.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, held)
        except (MlopxError, OSError) as error:
            if not any(message["type"] == "lifespan.startup.failed" for message in failures):
                raise
            failures[0]["message"] = f"MLOpX cannot start: {error}"
        finally:
            for message in failures:
                await send(message)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings are read at start unless given."""
    app = add_dashboard(build_app(lambda: life(settings)))
    app.add_middleware(Advice)
    return app


app = create_app()
