"""Serves the built dashboard: a few files that hold no data. What they show comes from the API, token and all."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
ADDRESS = "/ui"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The pages may load from and call this server, and nothing else in the world."""


class Pages(StaticFiles):
    """Files with our headers on them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file of the dashboard."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def add_dashboard(app: FastAPI) -> FastAPI:
    """Serve the dashboard at `/ui/`."""

    @app.get(ADDRESS, include_in_schema=False)
    async def without_slash() -> RedirectResponse:
        return RedirectResponse(f"{ADDRESS}/")

    app.mount(f"{ADDRESS}/", Pages(directory=FOLDER, html=True, check_dir=False), name="ui")
    return app


__all__ = ["ADDRESS", "FOLDER", "add_dashboard"]
