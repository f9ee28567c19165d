"""JSON bodies are read strictly, before anything else looks at them: what is ambiguous or no JSON is refused."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from mlopx.spec import read_json
from server.domain.errors import InvalidRequestError


class StrictRoute(APIRoute):
    """A route whose JSON body must name nothing twice, hold only finite numbers and whole characters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the look at the body in front."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            body = await request.body() if self.body_field is not None else b""
            if body and "json" in request.headers.get("content-type", ""):
                try:
                    read_json(body)
                except ValueError as error:
                    raise InvalidRequestError(f"the body cannot be read as JSON: {error}") from error
            return await handle(request)

        return strict


__all__ = ["StrictRoute"]
