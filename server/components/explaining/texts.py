"""Spans, lists and instants as people read them, the same in every sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

MOST_NAMES = 3
IN_MINUTES = 100.0


def span(seconds: float) -> str:
    """A span: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < IN_MINUTES:
        return f"{seconds:.0f} s"
    return _long(seconds)


def _long(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def spans(low: float, high: float) -> str:
    """A range of spans: `5 to 12 s`, `1 min 17 s to 1 min 54 s`."""
    first, second = span(low), span(high)
    if high >= IN_MINUTES > low >= 60:
        first = _long(low)
    if first == second:
        return first
    shared = second.rpartition(" ")[2]
    short = first.removesuffix(f" {shared}") if first.count(" ") == 1 and second.count(" ") == 1 else first
    return f"{short} to {second}"


def between(now: datetime, low: datetime, high: datetime) -> str:
    """When something is expected: `in 5 to 12 s`, `within 12 s`, `any moment now`."""
    first, second = ((at - now).total_seconds() for at in (low, high))
    if second < 1:
        return "any moment now"
    return f"within {span(second)}" if first < 1 else f"in {spans(first, second)}"


def names(found: Sequence[str]) -> str:
    """Names in a row: `a`, `a and b`, `a, b, c and 4 more`."""
    if len(found) > MOST_NAMES:
        return f"{', '.join(found[:MOST_NAMES])} and {len(found) - MOST_NAMES} more"
    return f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else "".join(found)


def clock(at: datetime) -> str:
    """An instant of today: `14:05:12 UTC`."""
    return f"{at:%H:%M:%S} UTC"


__all__ = ["between", "clock", "names", "span", "spans"]
