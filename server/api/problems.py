"""Errors as RFC 9457 problem documents. Nobody ever sees a traceback; what we did not foresee gets a number."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from mlopx.errors import SpecError
from server.domain.errors import MlopxError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://mlopx.dev/problems/"
CODES = {
    400: ("invalid-request", "The request cannot be used"),
    401: ("unauthorized", "Not authorised"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    409: ("conflict", "In conflict with the present state"),
    413: ("too-large", "The upload is too large"),
    422: ("invalid-request", "The request cannot be used"),
    502: ("platform", "The platform did not do it"),
    500: ("internal", "Something went wrong in the server"),
    503: ("unavailable", "Not available right now"),
    507: ("storage-full", "The disk is full"),
}
"""The usual code and title by status."""


class Problem(BaseModel):
    """What went wrong (RFC 9457), with `hint` on what to do and `details` one per thing that is wrong."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": TYPE_BASE + "not-found",
                "title": "Not found",
                "status": 404,
                "detail": "there is no run 'demo-x'",
                "hint": "`mlopx runs` lists them",
                "details": [],
                "instance": "/api/v1/runs/demo-x",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
    details: list[str] = []
    instance: str


def install(app: FastAPI) -> None:
    """Answer every error with a problem."""
    app.add_exception_handler(MlopxError, _ours)
    app.add_exception_handler(SpecError, _spec)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def problem(
    request: Request,
    *,
    code: str,
    title: str,
    status: int,
    detail: str,
    hint: str | None = None,
    details: tuple[str, ...] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem document as a response."""
    body = Problem(
        type=TYPE_BASE + code,
        title=title,
        status=status,
        detail=detail,
        hint=hint,
        details=list(details),
        instance=request.url.path,
    )
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MlopxError)
    if error.status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error)
    headers = (
        {"WWW-Authenticate": "Bearer"} if error.status == 401 else {"Retry-After": "1"} if error.status == 503 else None
    )
    return problem(
        request,
        code=error.code,
        title=error.title,
        status=error.status,
        detail=error.message,
        hint=error.hint,
        details=error.details,
        headers=headers,
    )


async def _spec(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SpecError)
    first, *rest = error.message.splitlines()
    return problem(
        request,
        code="invalid-submission",
        title="The submission cannot be used",
        status=422,
        detail=first,
        hint=error.hint,
        details=tuple(line.strip() for line in rest),
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
    return problem(
        request,
        code="invalid-request",
        title="The request cannot be used",
        status=422,
        detail=details[0] if details else "the request is malformed",
        details=tuple(details),
        hint="see /docs for what this address takes",
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    hint = "see /docs for the addresses there are" if error.status_code in (404, 405) else None
    return problem(
        request,
        code=CODES.get(error.status_code, CODES[400])[0],
        title=str(error.detail),
        status=error.status_code,
        detail=f"{request.method} {request.url.path}: {error.detail}",
        hint=hint,
        headers=dict(error.headers) if error.headers else None,
    )


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    number = secrets.token_hex(4)
    log.error("error %s in %s %s", number, request.method, request.url.path, exc_info=error)
    return problem(
        request,
        code="internal",
        title="Something went wrong in the server",
        status=500,
        detail=f"an error that nobody foresaw; the server's log has it under {number}",
        hint="nothing that was accepted is lost; please report it with that part of the log",
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the problems that a route can answer with."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": CODES[status][1],
            "content": {
                MEDIA_TYPE: {
                    "schema": schema,
                    "example": {
                        "type": TYPE_BASE + CODES[status][0],
                        "title": CODES[status][1],
                        "status": status,
                        "detail": "what was wrong, in a sentence",
                        "hint": "what to do about it",
                        "details": [],
                        "instance": "/api/v1/runs",
                    },
                }
            },
        }
        for status in statuses
    }
