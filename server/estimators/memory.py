"""Peak memory of a component by the size of its inputs, from the peaks of its runs; a run that ran out had less than
it needed, so its peak is a lower bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from server.estimators import sizes
from server.estimators.bands import Z90
from server.estimators.covariance import GRID_PRIOR
from server.estimators.machines import Array, Indices
from server.estimators.points import Points, Terms
from server.estimators.records import Record
from server.estimators.regression import fit, predict

RUNS_OUT_FACTOR = 0.2
"""Logarithm of how much more than it had a run needs at least that ran out of memory."""


OFFSET = math.log(5e7)
"""What one second is to run times: brings peaks to where the regression expects levels to be."""


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Bytes: the median to expect, and the 90th percentile, which is what to request."""

    usual_bytes: float
    high_bytes: float


def peak_memory(record: Record, log_size: float) -> PeakMemory | None:
    """Expected peak for inputs of this size (logarithm of bytes, NaN if unknown), None without recorded peaks."""
    if not record.peaks:
        return None
    known = -1.0 if math.isnan(log_size) else log_size
    if known not in record.memory:
        record.memory[known] = _fresh(record, log_size)
    return PeakMemory(*record.memory[known])


def _fresh(record: Record, log_size: float) -> tuple[float, float]:
    found, peaks, ran_out = (np.array(part) for part in zip(*record.peaks, strict=True))
    points = _points(found, peaks - OFFSET + RUNS_OUT_FACTOR * ran_out, ran_out.astype(bool))
    terms = Terms.none(len(peaks))
    fitted = fit(points, terms, GRID_PRIOR, sizes.PRIOR)
    query = _points(np.array([log_size]), np.zeros(1), np.zeros(1, dtype=bool))
    middle, _, up = predict(fitted, query, Terms.none(1))
    usual, high = float(middle[0]) + OFFSET, float(middle[0] + Z90 * up[0]) + OFFSET
    if ran_out.any():
        high = max(high, float(peaks[ran_out.astype(bool)].max()) + RUNS_OUT_FACTOR)
    return math.exp(min(usual, 60.0)), math.exp(min(high, 60.0))


def _points(log_size: Array, values: Array, is_censored: Indices) -> Points:
    count = len(values)
    same = np.zeros(count)
    none = np.zeros((count, 0))
    return Points(values, np.ones(count), log_size, same, same, same, same, same, none, is_censored, same, same, same)


__all__ = ["PeakMemory", "peak_memory"]
