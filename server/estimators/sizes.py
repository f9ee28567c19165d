"""How run time grows with the size of the inputs: a fixed part and a part that follows a power of what varies.

What varies may also be a number among the parameters (rounds, rows, epochs), times the size of the inputs.

seconds ~ (1 - w) + w (varying / usual varying)^k, varying = size - constant. Every triple of a share w, an exponent k
and a constant part is one hypothesis; the runs of a component weigh them. The exponent is expected to be about one, the
fixed part is what a task costs whatever its inputs. A constant part is what every run reads again, a reference or a
model beside the data: sizes that differ by a hundredth can then stand for work that differs tenfold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

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

DRIVEN = 0.5
"""Prior probability that time follows a number among the parameters, where there are any that differ."""

LEAST_DRIVING = 0.35
"""Numbers whose logarithms lie within less are not thought of as what time follows."""

COARSE_SHARES, COARSE_EXPONENTS = (
    (0.05, 0.18, 0.35, 0.55, 0.75, 0.87, 0.94, 0.986, 1.0),
    (0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
)
COARSE: Indices = np.array(
    [_PAIRS.index((share, exponent)) for share in COARSE_SHARES for exponent in COARSE_EXPONENTS]
)
"""Shares and exponents that are thought of for numbers."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What a component's time may follow: the size of its inputs, numbers among its parameters, or their product.

    `usual` and `largest` are logarithms of the usual and of the largest size (NaN: none is known), `constants` the
    constant parts that are thought of, as shares of the usual size, with their `weights`. `drivers` are the other
    things that time may follow: the place of a number, and whether it counts times the size. Every driver (the size
    with each constant part first) is a column of `varying`; a hypothesis is a driver with a share and an exponent.
    """

    usual: float
    largest: float
    constants: tuple[float, ...] = (0.0,)
    weights: tuple[float, ...] = (1.0,)
    drivers: tuple[tuple[int, bool], ...] = ()

    @classmethod
    def of(cls, log_sizes: Array, numbers: Array) -> Scale:
        """Of runs with these sizes (logarithms; NaN: unknown), and the numbers that differ between them, a row each."""
        known = log_sizes[~np.isnan(log_sizes)]
        places = np.flatnonzero(np.ptp(numbers, axis=0) >= LEAST_DRIVING).tolist()
        if not len(known):
            return cls(math.nan, math.nan, drivers=tuple((place, False) for place in places))
        usual, largest = float(np.median(known)), float(known.max())
        smallest, top = math.exp(float(known.min()) - usual), math.exp(min(largest - usual, LARGEST_LOG_RATIO))
        drivers = tuple((place, True) for place in places)
        found = [
            (constant, weight)
            for below, weight in zip(BELOW_SMALLEST, CONSTANT_WEIGHTS, strict=True)
            if (constant := smallest - below * (top - smallest)) > LEAST_CONSTANT * smallest
        ]
        if not found or len(np.unique(known)) < FEWEST_SIZES:
            return cls(usual, largest, drivers=drivers)
        constants, weights = zip(*found, strict=True)
        return cls(usual, largest, (0.0, *constants), (1.0 - sum(weights), *weights), drivers)

    @property
    def is_known(self) -> bool:
        """Whether there are sizes at all."""
        return not math.isnan(self.usual)

    @property
    def is_growing(self) -> bool:
        """Whether there is anything that time may follow."""
        return self.is_known or bool(self.drivers)

    def has_hypotheses_of(self, other: Scale) -> bool:
        """Whether the hypotheses of another are these, one by one."""
        mine, theirs = ((one.is_known, len(one.constants), one.drivers) for one in (self, other))
        return mine == theirs

    def hypotheses(self) -> tuple[Indices, Indices]:
        """Driver, and share with exponent, of each hypothesis."""
        return _hypotheses(len(self.constants) if self.is_known else 0, len(self.drivers))

    def prior(self, growth_prior: Array) -> Array:
        """Weight of each hypothesis: every constant part with every share and exponent, and every driver with some."""
        by_size = np.outer(self.weights, growth_prior).ravel() if self.is_known else np.ones(1)
        if not self.drivers:
            return by_size
        own = DRIVEN / len(self.drivers) * growth_prior[COARSE] / growth_prior[COARSE].sum()
        found: Array = np.concatenate([(1 - DRIVEN) * by_size, np.tile(own, len(self.drivers))])
        return found

    def growth(self, log_size: Array, numbers: Array, columns: Indices | None = None) -> Array:
        """Logarithm of the time relative to the usual run, one row per entry and one column per hypothesis.

        NaN, where a size is unknown, is taken as usual; `numbers` is one row per entry, relative to the usual ones.
        `columns` are the hypotheses wanted; all by default.
        """
        drivers, pairs = self.hypotheses()
        if columns is not None:
            drivers, pairs = drivers[columns], pairs[columns]
        power = np.exp(self.varying(log_size, numbers)[:, drivers] * _EXPONENTS[pairs])
        grown: Array = np.log((1 - _SHARES[pairs]) + _SHARES[pairs] * power)
        return grown

    def varying(self, log_size: Array, numbers: Array) -> Array:
        """Logarithm of what varies relative to the usual run: a row per entry, a column per driver."""
        log_ratio = np.where(np.isnan(log_size) | (not self.is_known), 0.0, log_size - self.usual)
        ratio = np.exp(np.clip(log_ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))
        constants = np.array(self.constants)
        parts = (ratio[:, None] - constants) / (1 - constants)
        by_size: Array = np.log(np.maximum(parts, math.exp(-LARGEST_LOG_RATIO)))
        if not self.drivers:
            return by_size
        places, products = zip(*self.drivers, strict=True)
        others = numbers[:, places] + log_ratio[:, None] * np.array(products)
        return np.hstack([by_size, np.clip(others, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)])


@lru_cache(maxsize=64)
def _hypotheses(constants: int, drivers: int) -> tuple[Indices, Indices]:
    """Of so many constant parts (0: no sizes, and so one hypothesis that nothing grows) and other drivers."""
    pairs = np.tile(np.arange(len(PRIOR)), constants) if constants else np.zeros(1, dtype=int)
    of_pair = np.repeat(np.arange(constants), len(PRIOR)) if constants else np.zeros(1, dtype=int)
    first = max(constants, 1)
    return (
        np.concatenate([of_pair, np.repeat(np.arange(first, first + drivers), len(COARSE))]),
        np.concatenate([pairs, np.tile(COARSE, drivers)]),
    )


FLAT: Array = np.zeros(1)
"""The only hypothesis of a component whose input sizes never differ."""

__all__ = ["FLAT", "PRIOR", "Scale"]
