"""What uncertain estimates are worth among the others of a queue.

An estimate with a wide band is a poor measurement of how long its task takes. Where all estimates of a queue are poor,
the longest of them are mostly those that err upwards and the shortest those that err downwards: taken by their word,
short tasks wait behind what only looks shorter. So each is believed as much as its band deserves, and for the rest a
task is taken to be like the others: the posterior median under a log-normal prior that is learned from the queue
itself (empirical Bayes: Robbins 1956; Efron and Morris, Journal of the American Statistical Association 68, 1973).
Estimates with narrow bands stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.planning.problem import NEVER, Floats, Ints

ASSUMED_TASKS = 5.0
ASSUMED_VARIANCE = 1.0
"""Before any task is seen, run times are taken to differ by a factor of e, as firmly as five tasks would show it."""

LEAST_VARIANCE = 0.05
LEAST_SECONDS = 1e-3
MOST_NODES = 64
"""So many nodes are looked at."""

MOST_SPREAD = 1.0
"""Wider bands are taken to be as wide: the mean of a log-normal law that nobody knows is anything."""


@dataclass(frozen=True, slots=True)
class Belief:
    """How long tasks of a queue take: the logarithm of seconds on a typical node is normal.

    Attributes:
        centre: its mean.
        variance: its variance among tasks, without what the errors of their estimates add.
    """

    centre: float
    variance: float

    def weight(self, spread: Floats) -> Floats:
        """How much estimates count, 0 to 1, by the standard deviation of their logarithm."""
        weight: Floats = self.variance / (self.variance + np.square(spread))
        return weight

    def means_over_medians(self, seconds: Floats, spread: Floats) -> Floats:
        """[p] the factors that make expected seconds of medians: the mean of what is believed of each row."""
        level, wide, known = _levels(seconds, spread)
        weight = self.weight(wide)
        drawn = np.where(known, (weight - 1) * (level - self.centre), 0.0)
        factors: Floats = np.exp(weight * np.square(wide) / 2 + drawn)
        return factors

    def median(self, seconds: float, spread: float) -> tuple[float, float]:
        """What one estimate becomes, and its spread."""
        weight = self.variance / (self.variance + spread**2)
        level = math.log(max(seconds, LEAST_SECONDS))
        return math.exp(self.centre + weight * (level - self.centre)), spread * math.sqrt(weight)


def belief_of(seconds: Floats, spread: Floats, rows: Ints) -> Belief:
    """What tasks have in common. `seconds`, `spread`: [p, c], `NEVER` where it cannot run; `rows`: [n] of each task."""
    level, wide, known = _levels(seconds, spread)
    chosen = rows[known[rows]]
    if not len(chosen):
        return Belief(0.0, ASSUMED_VARIANCE)
    seen, count = level[chosen], len(chosen)
    centre = float(seen.mean())
    squares = ASSUMED_TASKS * ASSUMED_VARIANCE + float(np.square(seen - centre).sum())
    errors = float(np.square(wide[chosen]).sum())
    return Belief(centre, max((squares - errors) / (ASSUMED_TASKS + count), LEAST_VARIANCE))


def _levels(seconds: Floats, spread: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """[p] mean logarithm of seconds, [p] mean spread, over the nodes where a row can run (a sample of many nodes); and
    [p] whether it can run on any of them, else the two are zero."""
    step = -(-seconds.shape[1] // MOST_NODES)
    some = seconds[:, ::step].astype(np.float64)
    can = some < NEVER
    count = np.maximum(can.sum(axis=1), 1)
    logs = np.log(np.maximum(some, LEAST_SECONDS), where=can, out=np.zeros_like(some))
    known = np.asarray(can.any(axis=1))
    return (
        logs.sum(axis=1) / count,
        np.where(can, np.minimum(spread[:, ::step], MOST_SPREAD), 0.0).sum(axis=1) / count,
        known,
    )


__all__ = ["Belief", "belief_of"]
