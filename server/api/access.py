"""How a route reaches the running server's parts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from server.api.services import Services
from server.domain.errors import UnavailableError


def services(request: Request) -> Services:
    """The parts. Raises UnavailableError before the server is up."""
    found = getattr(request.app.state, "services", None)
    if not isinstance(found, Services):
        raise UnavailableError("the server is still starting", hint="try again in a moment")
    return found


Parts = Annotated[Services, Depends(services)]
