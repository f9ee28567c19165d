"""The OpenAPI document: what FastAPI finds out by itself, with every answer's example and every problem named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from server.api import dataset_examples, examples, explanation_examples, looking_back_examples, schedule_examples
from server.api.guard import OPEN_PATHS
from server.api.problems import MEDIA_TYPE, Problem, responses

_EXAMPLES = (examples, dataset_examples, explanation_examples, looking_back_examples, schedule_examples)
ANSWERS = {name: answer for module in _EXAMPLES for name, answer in module.ANSWERS.items()}
BODIES = {name: body for module in _EXAMPLES for name, body in module.BODIES.items()}
METHODS = ("get", "post", "put", "patch", "delete")
PLAIN_TEXT = "text/plain"
STREAM = "text/event-stream"
BYTES = ("application/octet-stream", "application/x-tar")
OTHER_MEDIA = {
    "GET /metrics": (PLAIN_TEXT,),
    "GET /api/v1/events": (STREAM,),
    "GET /api/v1/runs/{run_id}/artifacts/content": BYTES,
    "GET /api/v1/runs/{run_id}/document": ("application/yaml",),
}
"""Operations that do not answer with JSON."""


def describe(app: FastAPI) -> None:
    """Have the application describe itself in full."""
    original = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(original())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # the documented way to extend the schema


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """The document with examples and problems."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("Problem", Problem.model_json_schema())
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for name, path, operation in operations(document):
        _name_problems(path, operation)
        _give_answer(name, operation)
        for body in operation.get("requestBody", {}).get("content", {}).values():
            body["example"] = BODIES[name]
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation: `METHOD /path`, the path, and its entry."""
    for path, entries in document["paths"].items():
        for method in METHODS:
            if method in entries:
                yield f"{method.upper()} {path}", path, entries[method]


def _name_problems(path: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if "422" in answers and MEDIA_TYPE not in answers["422"].get("content", {}):
        del answers["422"]
        _add(answers, 422)
    _add(answers, 403, 413, 500)
    if "requestBody" in operation:
        _add(answers, 400)
    if path not in OPEN_PATHS:
        _add(answers, 401, 503)


def _add(answers: dict[str, Any], *statuses: int) -> None:
    for status, entry in responses(*statuses).items():
        answers.setdefault(str(status), entry)


def _give_answer(name: str, operation: dict[str, Any]) -> None:
    status = next(status for status in operation["responses"] if status.startswith("2"))
    answer = operation["responses"][status]
    media = OTHER_MEDIA.get(name)
    if media is None:
        answer["content"]["application/json"]["example"] = ANSWERS[name]
        return
    answer["content"] = {
        kind: {"schema": {"type": "string"}, **({"example": ANSWERS[name]} if kind == media[0] else {})}
        for kind in media
    }


__all__ = ["ANSWERS", "BODIES", "describe", "operations"]
