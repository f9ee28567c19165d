"""Bands around a median: run times are taken as log-normal, so a spread is a factor and never goes below zero."""

from __future__ import annotations

import math

from server.domain.placement import Estimate

Z90 = 1.2815515655446004
"""Standard deviations from the median to the 90th percentile."""

SHORTEST_SECONDS = 1e-3
LONGEST_SECONDS = 1e9
SLOWEST = 1e-6
"""Speed that a node is taken to have at least."""


def banded(
    seconds: float, spread: float, source: str, *, fixed_seconds: float = 0.0, peak_memory_bytes: float | None = None
) -> Estimate:
    """An estimate with a median and a spread (standard deviation of the logarithm) of what is not fixed."""
    median = min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
    factor = math.exp(Z90 * spread)
    return Estimate(
        p50=fixed_seconds + median,
        p10=fixed_seconds + median / factor,
        p90=fixed_seconds + median * factor,
        source=source,
        peak_memory_bytes=peak_memory_bytes,
    )


__all__ = ["LONGEST_SECONDS", "SHORTEST_SECONDS", "SLOWEST", "Z90", "banded"]
