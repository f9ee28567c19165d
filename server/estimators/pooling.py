"""What all components have in common: machine factors, usual noise and deviations, usual growth with the inputs.

Each component is first fitted on its own, with the machines' profiles for factors; what they then say together is the
prior of the second fit (empirical Bayes, one step). A pure function of what is on record.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from server.estimators import sizes
from server.estimators.machines import Array, Corrections, Evidence, MachineTable
from server.estimators.records import Indexed, Record
from server.estimators.regression import GRID_PRIOR, KEYS, NOISES, OWN, Fit, Terms, evidence, fit

MOST_POOLED = 256
"""So many of the latest components have a say."""

PRIOR_COMPONENTS = 4.0
"""How many components the assumptions weigh."""

FEWEST_RUNS, SMALLEST_RANGE, SMALLEST_WEIGHT = 3, 0.7, 1e-4
SHAPE = (len(NOISES), len(KEYS), len(OWN))
OTHERS = ((1, 2), (0, 2), (0, 1))


@dataclass(frozen=True, slots=True)
class Pool:
    """What is shared: corrections of the machines, weights of the grid and of growth."""

    corrections: Corrections
    grid: Array
    growth: Array


@dataclass(frozen=True, slots=True)
class Alone:
    """What a component, fitted by itself, says of the grid's axes, of growth and of the machines."""

    grid: Array
    growth: Array | None
    evidence: Evidence | None


EMPTY_POOL = Pool(Corrections({}), GRID_PRIOR, sizes.PRIOR)
"""Nothing is known yet."""


def pooled(records: OrderedDict[tuple[str, str], Record], machines: MachineTable, most_fits: int) -> Pool:
    """Put together what the latest components say; at most `most_fits` of those with new runs are fitted anew."""
    alone = []
    for record in islice(reversed(records.values()), MOST_POOLED):
        is_stale = record.alone is None or record.alone[0] != record.version
        if is_stale and most_fits > 0:
            most_fits -= 1
            _fit_alone(record)
        if record.alone is not None:
            alone.append(record.alone[1])
    corrections = machines.corrections(one.evidence for one in alone if one.evidence is not None)
    return Pool(corrections, _grid(alone), _growth(alone))


def _fit_alone(record: Record) -> None:
    if record.groups:
        indexed = record.indexed()
        terms = Terms(
            np.array([speeds.log_seconds for speeds in indexed.speeds]),
            np.array([speeds.spread**2 for speeds in indexed.speeds]),
        )
        fitted = fit(indexed.points, terms, GRID_PRIOR, sizes.PRIOR)
        points = fitted.points
        telling = (
            points.weight.sum() >= FEWEST_RUNS,
            len(indexed.keys) > 1,
            len(indexed.machines) > 1 and len(points.weight) >= FEWEST_RUNS,
        )
        axes = [fitted.grid_weights.reshape(SHAPE).sum(axis=others) for others in OTHERS]
        grid = np.concatenate([axis * told for axis, told in zip(axes, telling, strict=True)])
        known = points.log_size[~np.isnan(points.log_size)]
        is_growing = len(known) >= FEWEST_RUNS and known.max() - known.min() >= SMALLEST_RANGE
        found = Alone(grid, fitted.growth_weights if is_growing else None, _evidence(fitted, indexed))
        record.alone = (record.version, found)


def _evidence(fitted: Fit, indexed: Indexed) -> Evidence | None:
    if len(indexed.machines) < 2:
        return None
    precision, weighted = evidence(fitted, len(indexed.machines))
    return Evidence(tuple(indexed.machines), precision, weighted)


def _grid(alone: Sequence[Alone]) -> Array:
    """Weights of the grid, each of its three axes averaged over the components that say something of it."""
    prior = [GRID_PRIOR.reshape(SHAPE).sum(axis=others) for others in OTHERS]
    total = PRIOR_COMPONENTS * np.concatenate(prior) + sum(one.grid for one in alone)
    noise, key, own = (part / part.sum() for part in np.split(total, np.cumsum(SHAPE)[:-1]))
    found: Array = (noise[:, None, None] * key[None, :, None] * own[None, None, :]).ravel()
    return np.maximum(found, SMALLEST_WEIGHT)


def _growth(alone: Sequence[Alone]) -> Array:
    total = PRIOR_COMPONENTS * sizes.PRIOR + sum(one.growth for one in alone if one.growth is not None)
    found: Array = np.maximum(total / total.sum(), SMALLEST_WEIGHT)
    return found


__all__ = ["Alone", "Pool", "pooled"]
