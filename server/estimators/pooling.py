"""What all components have in common: machine factors, usual noise and deviations, usual growth with the inputs.

Each component is first fitted on its own, with the machines' profiles for factors; what they then say together is the
prior of the second fit (empirical Bayes, one step). A pure function of what is on record.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from server.estimators import sizes
from server.estimators.covariance import GRID_PRIOR, KEYS, NOISES, OWN
from server.estimators.fitted import Fit
from server.estimators.holding_out import Block, accelerator_factors, blocks, factors
from server.estimators.indexed import Indexed
from server.estimators.machines import NO_CORRECTIONS, Array, Corrections, Evidence, Machine, MachineTable
from server.estimators.points import Terms
from server.estimators.records import Record
from server.estimators.regression import evidence, fit

MOST_POOLED = 256
"""So many of the latest components have a say."""

PRIOR_COMPONENTS = 2.0
"""How many components the assumptions weigh."""

STEPS = 12
"""How often what a component says is read again in the light of the others."""

FEWEST_RUNS, SMALLEST_RANGE, SMALLEST_WEIGHT = 3, 0.7, 1e-4
SHAPE = (len(NOISES), len(KEYS), len(OWN))
OTHERS = ((1, 2), (0, 2), (0, 1))


@dataclass(frozen=True, slots=True)
class Pool:
    """What is shared: corrections of the machines, weights of the grid and of growth, and by kind of question the
    factor on the width of bands; how many kinds of accelerators runs were seen on, and the factor for what never ran on
    one of them."""

    corrections: Corrections
    grid: Array
    growth: Array
    widths: Mapping[str, float] = field(default_factory=dict)
    accelerators: int = 0
    on_accelerator: Mapping[Machine, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alone:
    """What a component, fitted by itself, says: logarithm of how well each entry of the grid explains its runs, which
    of the grid's axes it says something of, growth, and the machines."""

    grid: Array
    telling: tuple[bool, bool, bool]
    growth: Array | None
    evidence: Evidence | None


EMPTY_POOL = Pool(NO_CORRECTIONS, GRID_PRIOR, sizes.PRIOR)
"""Nothing is known yet."""


def pooled(
    records: OrderedDict[tuple[str, str], Record], machines: MachineTable, most_fits: int, most_held_out: int = 0
) -> Pool:
    """Put together what the latest components say; at most `most_fits` of those with new runs are fitted anew."""
    alone = []
    compared = []
    for record in islice(reversed(records.values()), MOST_POOLED):
        is_stale = record.alone is None or record.alone[0] != record.version
        if is_stale and most_fits > 0:
            most_fits -= 1
            _fit_alone(record, NO_CORRECTIONS)
            compared.append(record)
        if record.alone is not None:
            alone.append(record)
    corrections = machines.corrections(_evidences(alone))
    if compared:
        for record in compared:
            if record.alone is not None and record.alone[1].evidence is not None:
                _fit_alone(record, corrections)
        corrections = machines.corrections(_evidences(alone))
    said = [record.alone[1] for record in alone if record.alone is not None]
    grid, growth = _grid(said), _growth(said)
    held_out = _held_out(alone, corrections, grid, growth, most_held_out)
    ran_on = {machine for record in alone for machine in record.indexed().machines}
    accelerators = sum(is_accelerated for _, is_accelerated in ran_on)
    return Pool(corrections, grid, growth, factors(held_out), accelerators, accelerator_factors(held_out))


def _held_out(
    records: Sequence[Record], corrections: Corrections, grid: Array, growth: Array, most: int
) -> list[Block]:
    """Hold runs out of at most `most` of the components with new runs; with what was held out of the others before."""
    found: list[Block] = []
    for record in records:
        if most > 0 and (record.held_out is None or record.held_out[0] != record.version):
            most -= 1
            record.held_out = (record.version, blocks(record.indexed(), corrections, grid, growth))
        if record.held_out is not None:
            found.extend(record.held_out[1])
    return found


def _evidences(records: Sequence[Record]) -> list[Evidence]:
    return [
        record.alone[1].evidence
        for record in records
        if record.alone is not None and record.alone[1].evidence is not None
    ]


def _fit_alone(record: Record, corrections: Corrections) -> None:
    if not record.groups:
        return
    indexed = record.indexed()
    terms = Terms.of(corrections, indexed.kinds())
    fitted = fit(indexed.points, terms, GRID_PRIOR, sizes.PRIOR)
    points = fitted.points
    telling = (
        bool(points.weight.sum() + points.degrees.sum() >= FEWEST_RUNS),
        len(indexed.keys) > 1,
        len(indexed.machines) > 1,
    )
    logs = np.log(np.maximum(fitted.grid_weights, 1e-12) / GRID_PRIOR)
    known = points.log_size[~np.isnan(points.log_size)]
    is_growing = len(known) >= FEWEST_RUNS and known.max() - known.min() >= SMALLEST_RANGE
    found = Alone(logs, telling, fitted.growth_weights if is_growing else None, _evidence(fitted, indexed))
    record.alone = (record.version, found)


def _evidence(fitted: Fit, indexed: Indexed) -> Evidence | None:
    if len(indexed.machines) < 2:
        return None
    factor = np.array([speeds.log_seconds for speeds in indexed.speeds])
    precision, weighted = evidence(fitted, len(indexed.machines), factor)
    return Evidence(tuple(indexed.machines), precision, weighted)


def _grid(alone: Sequence[Alone]) -> Array:
    """Weights of the grid, each of its three axes averaged over the components that say something of it.

    Expectation maximisation: what a component says is read in the light of what the others say.
    """
    prior = [GRID_PRIOR.reshape(SHAPE).sum(axis=others) for others in OTHERS]
    found = GRID_PRIOR
    if not alone:
        return found
    logs = np.stack([one.grid for one in alone])
    told = [np.array([one.telling[axis] for one in alone], dtype=float) for axis in range(len(SHAPE))]
    for _ in range(STEPS):
        weights = np.exp(logs - logs.max(axis=1, keepdims=True)) * found
        weights = (weights / weights.sum(axis=1, keepdims=True)).reshape(len(alone), *SHAPE)
        axes = []
        for axis, others in enumerate(OTHERS):
            by_component = weights.sum(axis=tuple(other + 1 for other in others))
            total = PRIOR_COMPONENTS * prior[axis] + told[axis] @ by_component
            axes.append(total / total.sum())
        noise, key, own = axes
        found = np.maximum((noise[:, None, None] * key[None, :, None] * own[None, None, :]).ravel(), SMALLEST_WEIGHT)
    return found


def _growth(alone: Sequence[Alone]) -> Array:
    total = PRIOR_COMPONENTS * sizes.PRIOR + sum(one.growth for one in alone if one.growth is not None)
    found: Array = np.maximum(total / total.sum(), SMALLEST_WEIGHT)
    return found


__all__ = ["Alone", "Pool", "pooled"]
