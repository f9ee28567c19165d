"""Amounts in a definition, with the user's line in the error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlopx.dsl.where import here
from mlopx.errors import DefinitionError
from mlopx.spec import parse_cpu, parse_memory, parse_seconds

N = TypeVar("N", int, float)


def cpu_millicores(amount: float | str) -> int:
    """Millicores of `2`, `0.5` or `"500m"`. Raises DefinitionError."""
    return _read(parse_cpu, amount)


def memory_bytes(amount: int | str) -> int:
    """Bytes of `"512Mi"` or a plain number. Raises DefinitionError."""
    return _read(parse_memory, amount)


def seconds(amount: float | str) -> float:
    """Seconds of `90`, `"10m"` or `"2h"`. Raises DefinitionError."""
    return _read(parse_seconds, amount)


def time_limit(amount: float | str) -> float:
    """Seconds that something may take at most. Raises DefinitionError where that is no time at all."""
    found = seconds(amount)
    if found <= 0:
        raise DefinitionError(f"a time limit of {amount!r} lets nothing run", hint='write "10m" or "2h"', where=here())
    return found


def _read(parse: Callable[..., N], amount: object) -> N:
    try:
        return parse(amount)
    except ValueError as error:
        raise DefinitionError(str(error), where=here()) from error
