"""Which of a component's runs is a strange one: a cold cache, a busy neighbour, a stop of the clock.

With half a dozen runs one such run moves everything, and makes all others look noisy. So besides "all runs are alike"
there are hypotheses "all but this one are": each is weighed by how well the others foretell the run, which the solved
systems of the regression say at once. Rasmussen and Williams, Gaussian Processes for Machine Learning (2006),
equations 5.10 to 5.12.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.estimators.machines import Array, Indices

STRANGE_SHARE, STRANGE_SPREAD = 0.03, 1.5
"""How many runs are strange, and how far those are from what was to be expected (standard deviation of logarithms)."""

MOST_RUNS_OF_ONE = 3
"""Groups of so many equal runs are not strange."""

LARGEST_LOG = 200.0


def suspicion(logs: Array, inverse: NDArray[np.floating[Any]], solved: Array, may_be: Indices) -> Array:
    """Probability that a group of runs is strange, per group.

    `logs` is how well each hypothesis (row) explains the runs with each kind of growth (column), `inverse` and `solved`
    are the solved systems: (rows, groups, groups) and (rows, groups, columns). `may_be` are the groups that are thought
    of.
    """
    if not may_be.any():
        return np.zeros(len(may_be))
    precision = np.diagonal(inverse, axis1=1, axis2=2)[:, may_be]
    far = 1 / (1 + precision * STRANGE_SPREAD**2)
    squares = solved[:, may_be] ** 2 / precision[:, :, None]
    ratios = math.log(STRANGE_SHARE) + 0.5 * (squares * (1 - far)[:, :, None] + np.log(far)[:, :, None])
    worst = ratios.argmax(axis=1)
    ratio = np.minimum(np.take_along_axis(ratios, worst[:, None], axis=1)[:, 0], LARGEST_LOG)
    logs = logs + np.logaddexp(0.0, ratio)
    weights = np.exp(logs - logs.max())
    weights *= 1 / (1 + np.exp(-ratio)) / weights.sum()
    found = np.zeros(len(may_be))
    found[may_be] = np.bincount(worst.ravel(), weights.ravel(), int(may_be.sum()))
    return found


__all__ = ["MOST_RUNS_OF_ONE", "STRANGE_SPREAD", "suspicion"]
