"""Amounts as people write them: `500m` CPUs, `4Gi` of memory, `10m` of time. Bad ones raise ValueError in words."""

from __future__ import annotations

import re
from decimal import Decimal

_MEMORY = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_MEMORY.update({"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50})
_TIME = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_CPU = {"": 1000, "m": 1}


def parse_cpu(amount: float | str) -> int:
    """Millicores of `2`, `0.5`, `"0.5"` or `"500m"`; at least one."""
    return _whole(amount, _CPU, 'a CPU amount such as "500m", 0.5 or 2')


def parse_memory(amount: int | str) -> int:
    """Bytes of `"512Mi"`, `"4Gi"`, `"2G"` or a plain number; at least one."""
    return _whole(amount, _MEMORY, 'a memory size such as "512Mi" or "4Gi"')


def parse_seconds(amount: float | str) -> float:
    """Seconds of `90`, `"200ms"`, `"90s"`, `"10m"`, `"2h"` or `"1d"`; zero or more."""
    what = 'a time span such as 90, "200ms", "10m" or "2h"'
    number, unit = _split(amount, what)
    if unit not in _TIME:
        raise ValueError(f"{amount!r} is not {what}")
    return float(number) * _TIME[unit]


def _whole(amount: object, units: dict[str, int], what: str) -> int:
    number, unit = _split(amount, what)
    if unit not in units or number * units[unit] < 1:
        raise ValueError(f"{amount!r} is not {what}")
    return int(number * units[unit])


def _split(amount: object, what: str) -> tuple[Decimal, str]:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(amount))
    if match is None or isinstance(amount, bool):
        raise ValueError(f"{amount!r} is not {what}")
    return Decimal(match[1]), match[2]
