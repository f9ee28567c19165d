"""How alike the logarithmic run times of one component's runs are expected to be: covariances of the regression.

A run's level, its growth with the inputs and its machine's factor apart, runs have in common what they share: machine,
node, version, parameters, size. How much each of these matters is a grid of hypotheses.
"""

from __future__ import annotations

import math

import numpy as np

from server.estimators.machines import Array, Indices
from server.estimators.points import Points, Terms

LEVEL_MEAN, LEVEL_SPREAD = math.log(20.0), 4.0
VERSION_SPREAD, NUMBER_SPREAD, INPUT_SPREAD = 0.3, 0.4, 0.05
WORDS_SHARE = 0.8
"""Of what a set of parameters does, the part that sets with equal words have in common: numbers have their own term."""

NOISES = (0.012, 0.03, 0.06, 0.12, 0.25, 0.6)
KEYS = (0.15, 1.2)
OWN = (
    (0.015, 0.01, 0.05, 0.01),
    (0.05, 0.03, 0.15, 0.02),
    (0.12, 0.06, 0.25, 0.04),
    (0.25, 0.12, 0.45, 0.08),
    (0.6, 0.4, 0.8, 0.2),
)
"""Standard deviations of a machine's and of a node's deviation in this component, of how much more or less than the
usual task it follows the machine's factor, and of what one set of parameters does on one machine only."""

MISFITS, ALIKE = (0.15, 0.25, 0.3, 0.4, 0.4, 0.4), 4.0
"""Standard deviation of what the law of growth leaves over, by noise (what is noisy is less lawful too), and over which
range of the logarithm of the size it is alike."""

GRID: Array = np.array(
    [(noise, key, *own, left) for noise, left in zip(NOISES, MISFITS, strict=True) for key in KEYS for own in OWN]
)
GRID_PRIOR: Array = np.array(
    [a * b * c for a in (0.06, 0.14, 0.22, 0.24, 0.2, 0.14) for b in (0.6, 0.4) for c in (0.13, 0.37, 0.29, 0.16, 0.05)]
)
RIGID = [1, 2, 3, 5, 6]
"""The columns of the grid that do not depend on how fast a machine is."""


def covariances(points: Points, terms: Terms, usual_factor: float, entries: Indices) -> Array:
    """One covariance of the points per entry of the grid: (entries, points, points)."""
    machine, node = (same(ids, ids) for ids in (points.machine, points.node))
    key = same_parameters(points, points)
    centred = terms.factor - usual_factor
    base = (
        LEVEL_SPREAD**2
        + machine * np.sqrt(np.outer(terms.variance, terms.variance))
        + terms.corrections.between(terms.place, terms.place)
        + VERSION_SPREAD**2 * same(points.version, points.version)
        + INPUT_SPREAD**2 * key * same_size(points, points)
        + NUMBER_SPREAD**2 * (points.numbers @ points.numbers.T)
        + np.diag(points.excess)
    )
    noise, followed = np.diag(1 / points.weight), np.outer(centred, centred)
    left = alike(usual_size(points), points, points)
    parts = np.stack([noise, key, machine, node, followed, machine * key, left])
    found: Array = base + np.tensordot(GRID[entries] ** 2, parts, axes=1)
    return found


def same(left: Indices, right: Indices) -> Array:
    """1 where two are the same, else 0."""
    found: Array = (left[:, None] == right[None, :]).astype(float)
    return found


def same_parameters(left: Points, right: Points) -> Array:
    """1 where all parameters are equal, less where only the words are."""
    found: Array = WORDS_SHARE * same(left.words, right.words) + (1 - WORDS_SHARE) * same(left.key, right.key)
    return found


def usual_size(points: Points) -> float:
    """Logarithm of the usual size of these runs' inputs, 0 where none is known."""
    known = points.log_size[~np.isnan(points.log_size)]
    return float(np.median(known)) if len(known) else 0.0


def alike(usual: float, left: Points, right: Points) -> Array:
    """How alike what the law of growth leaves over is for inputs of these sizes; what is unknown is as usual."""
    one, other = (np.where(np.isnan(sizes), usual, sizes) for sizes in (left.log_size, right.log_size))
    found: Array = np.exp(-np.abs(one[:, None] - other[None, :]) / ALIKE)
    return found


def same_size(left: Points, right: Points) -> Array:
    """1 where inputs are of one size, or both of an unknown one."""
    one, other = (np.where(np.isnan(sizes), -1.0, sizes) for sizes in (left.log_size, right.log_size))
    return same(one, other)


__all__ = [
    "GRID",
    "GRID_PRIOR",
    "INPUT_SPREAD",
    "KEYS",
    "LEVEL_MEAN",
    "LEVEL_SPREAD",
    "NOISES",
    "NUMBER_SPREAD",
    "OWN",
    "RIGID",
    "VERSION_SPREAD",
    "alike",
    "covariances",
    "same",
    "same_parameters",
    "same_size",
    "usual_size",
]
