"""The application: routes, problems, the guard in front, and the server's life around it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI, Request, Response

from server import __version__
from server.api import problems
from server.api.description import describe
from server.api.guard import Guard
from server.api.metrics import Meters
from server.api.routes import cluster, runs, seed, system, tasks
from server.api.services import Services

DESCRIPTION = """Takes machine-learning pipelines, gives every task a node, has the platform run them, and follows them.
Errors are problem documents (RFC 9457) that say what was wrong and what to do."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
"""Methods that are counted by name; callers can make up others without end."""


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
    for module in (seed, runs, tasks, cluster, system):
        app.include_router(module.router)
    problems.install(app)
    describe(app)

    @app.middleware("http")
    async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.monotonic()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "none")
        method = request.method if request.method in METHODS else "other"
        app.state.meters.requests.labels(method, route, str(response.status_code)).inc()
        app.state.meters.latency.labels(method, route).observe(time.monotonic() - began)
        return response

    def present() -> Services | None:
        return getattr(app.state, "services", None)

    app.add_middleware(
        Guard,
        token=lambda: found.token if (found := present()) else None,
        hosts=lambda: found.hosts if (found := present()) else frozenset(),
        limit=lambda: found.max_upload_bytes if (found := present()) else 32 * 2**20,
    )
    return app
