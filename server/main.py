"""What Uvicorn runs: `uvicorn server.main:app`."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from server.api.app import build_app
from server.api.services import Services
from server.bootstrap import running
from server.domain.errors import ConfigurationError
from server.settings import Settings, load

log = logging.getLogger("server")


@asynccontextmanager
async def life(settings: Settings | None = None) -> AsyncIterator[Services]:
    """A running server by the settings; a configuration that cannot work ends the process with a sentence."""
    try:
        chosen = settings or load()[0]
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        async with running(chosen) as services:
            log.info("ready: platform %(platform)s, strategy %(placer)s", services.settings_view)
            yield services
    except ConfigurationError as error:
        print(f"MLOpX cannot start: {error}", file=sys.stderr)  # noqa: T201 - the user sees this, no traceback
        raise SystemExit(78) from None


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings are read at start unless given."""
    return build_app(lambda: life(settings))


app = create_app()
