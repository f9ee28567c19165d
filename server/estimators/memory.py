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
from server.estimators.predicting import predict_all
from server.estimators.records import Record
from server.estimators.regression import fit

RUNS_OUT_FACTOR = 0.2
"""Logarithm of how much more than it had a run needs at least that ran out of memory."""


OFFSET = math.log(5e7)
"""What one second is to run times: brings peaks to where the regression expects levels to be."""


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Bytes: the median to expect, and the 90th percentile, which is what to request."""

    usual_bytes: float
    high_bytes: float


def peak_memory(record: Record, log_sizes: Array) -> list[PeakMemory] | None:
    """Expected peaks for inputs of these sizes (logarithms of bytes, NaN if unknown), None without recorded peaks."""
    if not record.peaks:
        return None
    found, peaks, ran_out = (np.array(part) for part in zip(*record.peaks, strict=True))
    if record.peak_fit is None:
        points = _points(found, peaks - OFFSET + RUNS_OUT_FACTOR * ran_out, ran_out.astype(bool))
        record.peak_fit = fit(points, Terms.none(len(peaks)), GRID_PRIOR, sizes.PRIOR)
    unlike, same = np.unique(log_sizes, return_inverse=True)
    asked = _points(unlike, np.zeros(len(unlike)), np.zeros(len(unlike), dtype=bool))
    anywhere = _points(np.full(1, math.nan), np.zeros(1), np.zeros(1, dtype=bool))
    middle, _, up = predict_all(record.peak_fit, asked, anywhere, Terms.none(1))
    usual, high = middle[:, 0] + OFFSET, middle[:, 0] + Z90 * up[:, 0] + OFFSET
    if ran_out.any():
        high = np.maximum(high, float(peaks[ran_out.astype(bool)].max()) + RUNS_OUT_FACTOR)
    pairs = zip(np.exp(np.minimum(usual, 60.0)).tolist(), np.exp(np.minimum(high, 60.0)).tolist(), strict=True)
    of = [PeakMemory(*pair) for pair in pairs]
    return [of[index] for index in same.tolist()]


def _points(log_size: Array, values: Array, is_censored: Indices) -> Points:
    count = len(values)
    same = np.zeros(count)
    none = np.zeros((count, 0))
    return Points(values, np.ones(count), log_size, same, same, same, same, same, none, is_censored, same, same, same)


__all__ = ["PeakMemory", "peak_memory"]
