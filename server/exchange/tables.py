"""Large tables of numbers: checked row by row, fast, since a validator's way through ten million of them is slow."""

from __future__ import annotations

from typing import Any

import numpy as np

from server.exchange.errors import UnreadableError
from server.planning.problem import NEVER, Floats

NUMBERS = {int, float}


def table(rows: Any, place: str) -> Floats:
    """[rows, columns] of numbers that are 0 or more, `NEVER` for null. Raises UnreadableError naming the entry."""
    _require_list(rows, place, "a list of rows")
    width = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    found: Floats = np.empty((len(rows), width))
    for number, row in enumerate(rows):
        found[number] = _row(row, width, f"{place}[{number}]", is_null_allowed=True)
    return found


def matrix(figure: Any, shape: tuple[int, ...], place: str) -> Floats:
    """A number, a row or a table of the shape given. Raises UnreadableError."""
    if not shape:
        if type(figure) not in NUMBERS or not 0 <= figure < NEVER:
            raise UnreadableError(f"{place}: must be one number that is 0 or more for a uniform network")
        return np.asarray(float(figure))
    if len(shape) == 1:
        _require_list(figure, place, f"a list of {shape[0]} numbers, one per node")
        return _row(figure, shape[0], place, is_null_allowed=False)
    _require_list(figure, place, f"{shape[0]} rows of {shape[1]} numbers")
    if len(figure) != shape[0]:
        raise UnreadableError(f"{place}: has {len(figure)} rows, and there are {shape[0]} nodes")
    rows = [_row(row, shape[1], f"{place}[{number}]", is_null_allowed=False) for number, row in enumerate(figure)]
    return np.array(rows, float)


def _row(row: Any, width: int, place: str, *, is_null_allowed: bool) -> Floats:
    _require_list(row, place, "a list")
    if len(row) != width:
        raise UnreadableError(f"{place}: has {len(row)} entries instead of {width}")
    allowed = NUMBERS | {type(None)} if is_null_allowed else NUMBERS
    if not set(map(type, row)) <= allowed:
        entry = next(column for column, value in enumerate(row) if type(value) not in allowed)
        raise UnreadableError(f"{place}[{entry}]: must be a number{' or null' * is_null_allowed}, not {row[entry]!r}")
    try:
        found: Floats = np.array(row, dtype=float)
    except OverflowError:
        raise UnreadableError(f"{place}: holds a number that is too large") from None
    missing = np.isnan(found)
    wrong = np.flatnonzero(~missing & ((found < 0) | np.isinf(found)))
    if len(wrong):
        raise UnreadableError(f"{place}[{wrong[0]}]: must be 0 or more and finite, not {row[wrong[0]]!r}")
    found[missing] = NEVER
    return found


def _require_list(value: Any, place: str, what: str) -> None:
    if not isinstance(value, list):
        raise UnreadableError(f"{place}: must be {what}")


__all__ = ["matrix", "table"]
