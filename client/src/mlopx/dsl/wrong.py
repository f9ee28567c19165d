"""What the spec refuses, said as a mistake in the definition: which entry, why, and at which line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from mlopx.dsl.where import here
from mlopx.errors import DefinitionError


@contextmanager
def checked(what: str, *, hint: str | None = None, where: str | None = None) -> Iterator[None]:
    """Make what the spec's models refuse in here a DefinitionError that begins with `what`."""
    try:
        yield
    except ValidationError as error:
        raise DefinitionError(f"{what}: {first_problem(error)}", hint=hint, where=where or here()) from error


def first_problem(error: ValidationError) -> str:
    """The first of the entries that are refused, and why, in one line."""
    item = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in item["loc"] if part != "[key]")
    text = item["msg"].removeprefix("Value error, ")
    if item["type"] == "string_pattern_mismatch":
        text = f"{item['input']!r} does not match {item['ctx']['pattern']}"
    return f"{place}: {text}" if place else text


def said(given: object) -> str:
    """What was given, as an error says it: as it is written, or by its kind where that would say nothing."""
    if type(given).__repr__ is object.__repr__:
        return f"a {type(given).__name__}"
    return repr(given)


__all__ = ["checked", "first_problem", "said"]
