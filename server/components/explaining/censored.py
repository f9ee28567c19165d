"""Quantiles of values of which some are only known to be greater than what was seen of them so far.

The product-limit estimate (Kaplan & Meier, Nonparametric Estimation from Incomplete Observations, 1958): what is still
open counts for as long as it has been seen. Without it, what comes late would be missing among what is known, and
everything would look sooner than it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def quantiles(values: Sequence[float], greater_than: Sequence[float], shares: Sequence[float]) -> tuple[float, ...]:
    """For each share (ascending), what a new value is below with that chance; between two values, in between.

    `values`, at least one, are known; the others are greater than those in `greater_than`. Beyond what can be said, the
    greatest of all.
    """
    known, still = sorted(values), sorted(greater_than)
    steps = _steps(known, still)
    last = max(known[-1], still[-1]) if still else known[-1]
    return tuple(_at(steps, share, last) for share in shares)


def _steps(known: Sequence[float], still: Sequence[float]) -> list[tuple[float, float]]:
    """By known value, the chance of being at or below it: at k values of n, k in (n + 1)."""
    survival, found = 1.0, []
    for index, value in enumerate(known):
        at_risk = len(known) - index + len(still) - bisect_left(still, value)
        survival *= at_risk / (at_risk + 1)
        found.append((value, 1 - survival))
    return found


def _at(steps: Sequence[tuple[float, float]], share: float, last: float) -> float:
    before, reached = steps[0][0], 0.0
    for value, chance in steps:
        if chance >= share:
            return min(before + (value - before) * (share - reached) / (chance - reached), value)
        before, reached = value, chance
    return last


__all__ = ["quantiles"]
