"""Bands around a median: run times are taken as log-normal, so a spread is a factor and never goes below zero."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.domain.placement import Estimate

Z90 = 1.2815515655446004
"""Standard deviations from the median to the 90th percentile."""

TAIL = 0.1
"""The share of times below a band, and that above it."""

BISECTIONS, FARTHEST = 8, 20.0

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


def usual_sd(weights: NDArray[Any], sds: NDArray[Any]) -> NDArray[np.float64]:
    """Standard deviation of the normal variable that lies in the middle 80 % as often as this mixture, per query.

    Found by bisection, with Bowling's approximation of the normal distribution (2009), right to 1.4e-4.
    """
    if len(sds) == 1:
        only: NDArray[np.float64] = sds[0]
        return only
    if sds.shape[1] == 1:
        return np.array([_usual_sd(weights.tolist(), sds[:, 0].tolist())])
    low, high = sds.min(axis=0), sds.max(axis=0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        at = np.minimum(Z90 * middle / sds, FARTHEST)
        above = weights @ (1 / (1 + np.exp(at * (1.5976 + 0.07056 * at * at))))
        low, high = np.where(above > TAIL, middle, low), np.where(above > TAIL, high, middle)
    found: NDArray[np.float64] = (low + high) / 2
    return found


def _usual_sd(weights: list[float], sds: list[float]) -> float:
    """The same of one query, which plain numbers do sooner."""
    low, high = min(sds), max(sds)
    for _ in range(BISECTIONS):
        middle, above = (low + high) / 2, 0.0
        for weight, sd in zip(weights, sds, strict=True):
            at = min(Z90 * middle / sd, FARTHEST)
            above += weight / (1 + math.exp(at * (1.5976 + 0.07056 * at * at)))
        low, high = (middle, high) if above > TAIL else (low, middle)
    return (low + high) / 2


__all__ = ["LONGEST_SECONDS", "SHORTEST_SECONDS", "SLOWEST", "TAIL", "Z90", "banded", "usual_sd"]
