"""The application: routes, problems, the guard in front, and the server's life around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from server import __version__
from server.api import problems
from server.api.description import describe
from server.api.guard import Guard
from server.api.measuring import Measured
from server.api.metrics import Meters
from server.api.routes import (
    accepting,
    cluster,
    datasets,
    estimates,
    explaining,
    planning,
    reports,
    runs,
    schedules,
    seed,
    strategies,
    system,
    tasks,
)
from server.api.services import Services

DESCRIPTION = """Takes machine-learning pipelines, gives every task a node, has the platform run them, and follows them.
Errors are problem documents (RFC 9457) that say what was wrong and what to do."""


def build_app(life: Callable[[], AbstractAsyncContextManager[Services]]) -> FastAPI:
    """The application around a server that `life` starts and stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with life() as found:
            app.state.services = found
            yield
            app.state.services = None

    app = FastAPI(title="MLOpX", version=__version__, description=DESCRIPTION, lifespan=lifespan)
    app.state.meters = Meters()
    for module in (
        seed,
        runs,
        tasks,
        explaining,
        accepting,
        planning,
        cluster,
        datasets,
        estimates,
        strategies,
        schedules,
        reports,
        system,
    ):
        app.include_router(module.router)
    problems.install(app)
    describe(app)

    def present() -> Services | None:
        return getattr(app.state, "services", None)

    app.add_middleware(Measured, meters=app.state.meters)
    app.add_middleware(
        Guard,
        token=lambda: found.token if (found := present()) else None,
        hosts=lambda: found.hosts if (found := present()) else frozenset(),
        limit=lambda: found.max_upload_bytes if (found := present()) else 32 * 2**20,
    )
    return app
