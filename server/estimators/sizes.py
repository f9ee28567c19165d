"""How run time grows with the size of the inputs: a fixed part and a part that follows a power of the size.

seconds ~ (1 - w) + w (size / usual size)^k. Every pair of a share w and an exponent k is one hypothesis; the runs of a
component weigh them. The exponent is expected to be about one, the fixed part is what a task costs whatever its inputs.
"""

from __future__ import annotations

import math

import numpy as np

from server.estimators.machines import Array

SHARES = (0.0, 0.05, 0.15, 0.35, 0.55, 0.75, 0.87, 0.94, 0.97, 0.986, 0.994, 1.0)
SHARE_WEIGHTS = (0.12, 0.05, 0.06, 0.09, 0.11, 0.13, 0.1, 0.08, 0.07, 0.05, 0.04, 0.1)
EXPONENTS = (0.5, 0.65, 0.75, 0.84, 0.92, 1.0, 1.08, 1.16, 1.25, 1.35, 1.5, 1.75, 2.0)
EXPONENT_WEIGHTS = (0.03, 0.03, 0.04, 0.06, 0.1, 0.43, 0.09, 0.07, 0.05, 0.03, 0.03, 0.02, 0.02)

_PAIRS = [(0.0, 1.0), *[(share, exponent) for share in SHARES[1:] for exponent in EXPONENTS]]
_SHARES = np.array([share for share, _ in _PAIRS])
_EXPONENTS = np.array([exponent for _, exponent in _PAIRS])
PRIOR: Array = np.array(
    [SHARE_WEIGHTS[0]] + [share * exponent for share in SHARE_WEIGHTS[1:] for exponent in EXPONENT_WEIGHTS]
)
PRIOR /= PRIOR.sum()

LARGEST_LOG_RATIO = math.log(1e5)


def growth(log_ratio: Array) -> Array:
    """Logarithm of the time relative to the usual size, one row per entry and one column per hypothesis.

    `log_ratio` is log(size / usual size); NaN where a size is unknown, which is taken as usual.
    """
    known = np.clip(np.where(np.isnan(log_ratio), 0.0, log_ratio), -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    power = np.exp(np.outer(known, _EXPONENTS))
    grown: Array = np.log((1 - _SHARES) + _SHARES * power)
    return grown


FLAT: Array = np.zeros(1)
"""The only hypothesis of a component whose input sizes never differ."""

__all__ = ["FLAT", "PRIOR", "growth"]
