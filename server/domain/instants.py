"""Instants that never leave the calendar, however long something is said to take."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""A day from either end, so that they can be shown in any time zone."""


def after(at: datetime, seconds: float) -> datetime:
    """The instant so many seconds after another (or before, where negative), within the calendar."""
    if not -math.inf < seconds < math.inf:
        return LAST if seconds > 0 else FIRST
    try:
        found = at + timedelta(seconds=seconds)
    except OverflowError:
        return LAST if seconds > 0 else FIRST
    return found if FIRST <= found <= LAST else min(max(found, FIRST), LAST)


__all__ = ["FIRST", "LAST", "after"]
