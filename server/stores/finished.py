"""Finished attempts to JSON and back: what the estimators learn from."""

from __future__ import annotations

from dataclasses import replace

from pydantic import TypeAdapter

from server.stores.interface import FinishedAttempt

_ADAPTER = TypeAdapter(FinishedAttempt)


def finished_to_json(attempt: FinishedAttempt) -> str:
    """One finished attempt as a document."""
    return _ADAPTER.dump_json(attempt).decode()


def finished_from_json(number: int, text: str) -> FinishedAttempt:
    """Read one, giving it the id under which it is stored."""
    return replace(_ADAPTER.validate_json(text), id=number)
