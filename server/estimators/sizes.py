"""How run time grows with the size of the inputs: a fixed part and a part that follows a power of what varies.

seconds ~ (1 - w) + w (varying / usual varying)^k, varying = size - constant. Every triple of a share w, an exponent k
and a constant part is one hypothesis; the runs of a component weigh them. The exponent is expected to be about one, the
fixed part is what a task costs whatever its inputs. A constant part is what every run reads again, a reference or a
model beside the data: sizes that differ by a hundredth can then stand for work that differs tenfold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from server.estimators.machines import Array, Indices

SHARES = (0.0, 0.006, 0.018, 0.05, 0.1, 0.18, 0.35, 0.55, 0.75, 0.87, 0.94, 0.97, 0.986, 0.994, 1.0)
SHARE_WEIGHTS = (0.12, 0.02, 0.03, 0.04, 0.05, 0.06, 0.09, 0.11, 0.13, 0.1, 0.08, 0.07, 0.05, 0.04, 0.1)
EXPONENTS = (0.5, 0.65, 0.75, 0.84, 0.92, 1.0, 1.08, 1.16, 1.25, 1.35, 1.5, 1.75, 2.0)
EXPONENT_WEIGHTS = (0.03, 0.03, 0.04, 0.06, 0.1, 0.43, 0.09, 0.07, 0.05, 0.03, 0.03, 0.02, 0.02)

_PAIRS = [(0.0, 1.0), *[(share, exponent) for share in SHARES[1:] for exponent in EXPONENTS]]
_SHARES = np.array([share for share, _ in _PAIRS])
_EXPONENTS = np.array([exponent for _, exponent in _PAIRS])
PRIOR: Array = np.array(
    [SHARE_WEIGHTS[0]] + [share * exponent for share in SHARE_WEIGHTS[1:] for exponent in EXPONENT_WEIGHTS]
)
PRIOR /= PRIOR.sum()

BELOW_SMALLEST = (0.01, 0.05, 0.25)
"""How far below the smallest size a constant part may end, in parts of the range of the sizes."""

CONSTANT_WEIGHTS = (0.03, 0.05, 0.05)
FEWEST_SIZES, LEAST_CONSTANT = 3, 0.2
"""Constant parts are thought of where at least so many sizes differ, if they are such a part of the smallest."""

LARGEST_LOG_RATIO = math.log(1e5)


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of a component's inputs: logarithm of the usual and of the largest one (NaN: none is known), and the
    constant parts that are thought of, as shares of the usual size, with their weights."""

    usual: float
    largest: float
    constants: tuple[float, ...] = (0.0,)
    weights: tuple[float, ...] = (1.0,)

    @classmethod
    def of(cls, log_sizes: Array) -> Scale:
        """Of runs with these sizes (logarithms; NaN where unknown)."""
        known = log_sizes[~np.isnan(log_sizes)]
        if not len(known):
            return cls(math.nan, math.nan)
        usual, largest = float(np.median(known)), float(known.max())
        smallest, top = math.exp(float(known.min()) - usual), math.exp(min(largest - usual, LARGEST_LOG_RATIO))
        found = [
            (constant, weight)
            for below, weight in zip(BELOW_SMALLEST, CONSTANT_WEIGHTS, strict=True)
            if (constant := smallest - below * (top - smallest)) > LEAST_CONSTANT * smallest
        ]
        if not found or len(np.unique(known)) < FEWEST_SIZES:
            return cls(usual, largest)
        constants, weights = zip(*found, strict=True)
        return cls(usual, largest, (0.0, *constants), (1.0 - sum(weights), *weights))

    @property
    def is_known(self) -> bool:
        """Whether there are sizes at all."""
        return not math.isnan(self.usual)

    def prior(self, growth_prior: Array) -> Array:
        """Weight of each hypothesis: every constant part with every share and exponent."""
        found: Array = np.outer(self.weights, growth_prior).ravel()
        return found

    def growth(self, log_size: Array, columns: Indices | None = None) -> Array:
        """Logarithm of the time relative to the usual size, one row per entry and one column per hypothesis.

        NaN, where a size is unknown, is taken as usual. `columns` are the hypotheses wanted; all by default.
        """
        wanted = np.arange(len(self.constants) * len(PRIOR)) if columns is None else columns
        varying = self.varying(log_size)
        pairs = wanted % len(PRIOR)
        power = np.exp(varying[:, wanted // len(PRIOR)] * _EXPONENTS[pairs])
        grown: Array = np.log((1 - _SHARES[pairs]) + _SHARES[pairs] * power)
        return grown

    def varying(self, log_size: Array) -> Array:
        """Logarithm of the varying part relative to the usual one: a row per entry, a column per constant part."""
        log_ratio = np.where(np.isnan(log_size), 0.0, log_size - self.usual)
        ratio = np.exp(np.clip(log_ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))
        constants = np.array(self.constants)
        parts = (ratio[:, None] - constants) / (1 - constants)
        found: Array = np.log(np.maximum(parts, math.exp(-LARGEST_LOG_RATIO)))
        return found


FLAT: Array = np.zeros(1)
"""The only hypothesis of a component whose input sizes never differ."""

__all__ = ["FLAT", "PRIOR", "Scale"]
