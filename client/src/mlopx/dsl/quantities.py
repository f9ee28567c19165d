"""Amounts as people write them: `500m` CPUs, `4Gi` of memory, `10m` of time."""

from __future__ import annotations

import re
from decimal import Decimal

from mlopx.dsl.where import here
from mlopx.errors import DefinitionError

_MEMORY = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_MEMORY.update({"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50})
_TIME = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def cpu_millicores(amount: int | float | str) -> int:
    """Millicores of `2`, `0.5`, `"0.5"` or `"500m"`. Raises DefinitionError."""
    number, unit = _split(amount, "a CPU amount", '"500m", 0.5 or 2')
    if unit not in ("", "m"):
        raise _bad(amount, "a CPU amount", '"500m", 0.5 or 2')
    return _positive(int(number * (1 if unit == "m" else 1000)), amount, "a CPU amount", '"500m", 0.5 or 2')


def memory_bytes(amount: int | str) -> int:
    """Bytes of `"512Mi"`, `"4Gi"`, `"2G"` or a plain number. Raises DefinitionError."""
    number, unit = _split(amount, "a memory size", '"512Mi" or "4Gi"')
    if unit not in _MEMORY:
        raise _bad(amount, "a memory size", '"512Mi" or "4Gi"')
    return _positive(int(number * _MEMORY[unit]), amount, "a memory size", '"512Mi" or "4Gi"')


def seconds(amount: int | float | str) -> float:
    """Seconds of `90`, `"90s"`, `"10m"`, `"2h"` or `"1d"`. Raises DefinitionError."""
    number, unit = _split(amount, "a time span", '90, "10m" or "2h"')
    if unit not in _TIME:
        raise _bad(amount, "a time span", '90, "10m" or "2h"')
    return float(number) * _TIME[unit]


def _split(amount: object, what: str, example: str) -> tuple[Decimal, str]:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(amount))
    if match is None or isinstance(amount, bool):
        raise _bad(amount, what, example)
    return Decimal(match[1]), match[2]


def _positive(value: int, amount: object, what: str, example: str) -> int:
    if value <= 0:
        raise _bad(amount, what, example)
    return value


def _bad(amount: object, what: str, example: str) -> DefinitionError:
    return DefinitionError(f"{amount!r} is not {what}", hint=f"write {example}", where=here())
