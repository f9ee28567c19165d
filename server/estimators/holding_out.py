"""How wide bands must be, by what runs say that were held out: leave some out, predict them from the rest, compare.

What is left out is what will be asked for: runs like those that are known, inputs larger than any that were seen, a
machine that the component never ran on. A band is right when eight held-out runs of ten lie in it; how much wider or
narrower it must be for that is the conformal factor of its kind of question, shared by all components, and drawn to 1
while little was held out. Vovk, Cross-conformal predictors (2015); Barber et al., Predictive inference with the
jackknife+ (2021).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from server.estimators.bands import Z90
from server.estimators.fitted import Fit
from server.estimators.indexed import Indexed
from server.estimators.machines import Array, Corrections, Indices, Machine
from server.estimators.points import Points, Terms
from server.estimators.predicting import predict
from server.estimators.regression import fit, near

KNOWN, UNLIKE, LARGER, ELSEWHERE, UNSIZED = "known", "unlike", "larger", "elsewhere", "unsized"
"""Kinds of questions: of a machine that the component ran on; with parameters that it never ran with; with inputs
larger than any on that machine; of another machine; with inputs of unknown size where runs had known ones."""

KINDS = (KNOWN, UNLIKE, LARGER, ELSEWHERE, UNSIZED)

NARROWED = {KNOWN: 1.0, LARGER: 0.5}
"""Which part of its logarithm a factor below 1 counts for; nothing for other kinds."""

SHARE = 0.8
PRIOR_BLOCKS = 10.0
"""How many times something must have been left out before the factor counts half."""

PRIOR_ON_ACCELERATOR = 3.0
"""The same for one kind of accelerator; few do what is done on many others."""

NARROWEST, WIDEST = 0.5, 2.5
MUCH_LARGER = 0.25
"""Logarithm of how much larger than the largest known inputs are that count as larger."""

STUDENT = (1.47, 1.47, 1.28, 1.20, 1.15, 1.12, 1.10, 1.09, 1.08, 1.0)
"""90th percentiles of Student's distribution over the normal one's, for two to ten kinds of accelerators and more: one
degree of freedom less than kinds, two at least."""

FEWEST_POINTS, MOST_POINTS, MOST_MACHINES, FOLDS = 4, 32, 2, 4
FEWEST_EQUAL = 4
"""Runs are held against so many equal ones and more, themselves among them."""


@dataclass(frozen=True, slots=True)
class Block:
    """Runs that were left out together: of which kind the question was, and how far off the predictions were, in
    standard deviations of what was predicted. `machine`: the kind of accelerator on which all were."""

    kind: str
    apart: tuple[float, ...]
    machine: Machine | None = None


def blocks(indexed: Indexed, corrections: Corrections, grid: Array, growth: Array) -> list[Block]:
    """Everything that is left out of one component, and predicted from the rest of it."""
    points, terms = indexed.points, Terms.of(corrections, indexed.kinds())
    some = np.flatnonzero(~points.is_censored)
    if len(some) > MOST_POINTS:
        some = some[np.unique(np.linspace(0, len(some) - 1, MOST_POINTS).astype(int))]
    points, terms = points.chosen(some), terms.chosen(some)
    found: list[Block] = []
    if not len(some):
        return found
    whole = fit(points, terms, grid, growth)
    entries = near(whole)
    for out in _left_out(points) if len(some) >= FEWEST_POINTS else ():
        fitted, apart = _apart(points, terms, out, grid, growth, entries)
        there = points.chosen(out)
        kinds = [KINDS[kind] for kind in kinds_of(fitted, there, there.machine)]
        by_kind: dict[str, list[float]] = defaultdict(list)
        for kind, value in zip(kinds, apart.tolist(), strict=True):
            by_kind[kind].append(value)
        found.extend(Block(kind, tuple(values)) for kind, values in by_kind.items())
    found.extend(_repeated([indexed.runs[index] for index in some], points, terms, whole))
    for machine, number in indexed.machines.items():
        out = points.machine == number
        if machine[1] and out.any() and (~out).sum() >= 2:
            _, apart = _apart(points, terms, out, grid, growth)
            found.append(Block(ELSEWHERE, tuple(apart.tolist()), machine))
    return found


def _apart(
    points: Points, terms: Terms, out: Indices, grid: Array, growth: Array, entries: Indices | None = None
) -> tuple[Fit, Array]:
    """The fit without these points, and how far off its predictions for them are, in standard deviations. With
    `entries`, those of the grid that are near what all points make likely, that is several times quicker."""
    fitted = fit(points.chosen(~out), terms.chosen(~out), grid, growth, entries)
    middle, down, up = predict(fitted, points.chosen(out), terms.chosen(out))
    off = points.log_seconds[out] - middle
    return fitted, np.abs(off) / np.where(off < 0, down, up)


def _repeated(runs: Sequence[Sequence[float]], points: Points, terms: Terms, whole: Fit) -> Iterator[Block]:
    """Single runs held against the others that are equal to them, where there are several: medians of them, which
    stand for groups above, are closer together than runs are."""
    several = np.array([len(group) >= FEWEST_EQUAL for group in runs], dtype=bool)
    if not several.any():
        return
    _, down, up = predict(whole, points.chosen(several), terms.chosen(several))
    equal = [group for group, is_one in zip(runs, several.tolist(), strict=True) if is_one]
    for group, below, above in zip(equal, down.tolist(), up.tolist(), strict=True):
        off = [one - median([*group[:place], *group[place + 1 :]]) for place, one in enumerate(group)]
        yield Block(KNOWN, tuple(abs(one) / (below if one < 0 else above) for one in off))


def kinds_of(fitted: Fit, queries: Points, machine: Indices) -> Indices:
    """Which kind of question each of the queries is to what is known, on a machine each; or on all machines of a row:
    places in `KINDS`."""
    known, largest = fitted.points, fitted.largest_there
    sizes, is_key_known = fitted.varying(queries), (queries.key[:, None] == known.key).any(axis=1)
    if machine.ndim > 1:
        sizes, is_key_known = sizes[:, None], is_key_known[:, None]
    most = largest[np.where(machine < 0, len(largest) - 1, np.minimum(machine, len(largest) - 1))]
    found = np.where(sizes > most + MUCH_LARGER, KINDS.index(LARGER), KINDS.index(KNOWN))
    found = np.where(np.isnan(most), KINDS.index(ELSEWHERE), found)
    found = np.where(is_key_known, found, KINDS.index(UNLIKE))
    if not np.isnan(known.log_size).all():
        found = np.where(np.isnan(sizes), KINDS.index(UNSIZED), found)
    return found


def few_accelerators(count: int) -> float:
    """Factor on bands of what never ran on an accelerator, while only so many kinds of accelerators are known.

    Kinds of work differ fourfold and more in how much a faster accelerator helps (Gavel's published rates), and so does
    that from one pair of accelerators to the next: what two or three show is a sample of so few, and Student's
    distribution says how much wider a band of 80 % must be then.
    """
    return STUDENT[min(max(count, 2), len(STUDENT) + 1) - 2]


def factors(found: Iterable[Block]) -> Mapping[str, float]:
    """By kind of question, the factor on the width of bands that would have made them hold eight runs of ten.

    What was held out is never as far from the rest as what will be asked for. So only what is known gets narrower
    bands; and larger inputs, of which the held-out ones show how well laws of growth hold here, half as much narrower.
    """
    by_kind: dict[str, list[Block]] = defaultdict(list)
    for block in found:
        if block.machine is None:
            by_kind[block.kind].append(block)
    wanted = {kind: _factor(some) for kind, some in by_kind.items()}
    return {kind: factor if factor > 1 else factor ** NARROWED.get(kind, 0.0) for kind, factor in wanted.items()}


def accelerator_factors(found: Iterable[Block]) -> Mapping[Machine, float]:
    """By kind of accelerator, the factor on bands of what never ran there: some differ from all others more than others
    do. By the mean squared error of what did run there, drawn to 1 while that is little."""
    by_machine: dict[Machine, list[Block]] = defaultdict(list)
    for block in found:
        if block.machine is not None:
            by_machine[block.machine].append(block)
    factors: dict[Machine, float] = {}
    for machine, some in by_machine.items():
        off = math.sqrt(sum(value**2 for block in some for value in block.apart) / sum(len(one.apart) for one in some))
        count = sum(math.sqrt(len(block.apart)) for block in some)
        factor = max(off, 0.1) ** (count / (count + PRIOR_ON_ACCELERATOR))
        factors[machine] = min(max(factor, NARROWEST), WIDEST)
    return factors


def _factor(found: Sequence[Block]) -> float:
    apart = np.array([value for block in found for value in block.apart])
    weight = np.array([1 / len(block.apart) for block in found for _ in block.apart])
    order = np.argsort(apart)
    passed = np.cumsum(weight[order]) / weight.sum()
    needed = float(apart[order][min(int(np.searchsorted(passed, SHARE)), len(apart) - 1)]) / Z90
    count = sum(math.sqrt(len(block.apart)) for block in found)
    factor = math.exp(count / (count + PRIOR_BLOCKS) * math.log(min(max(needed, 0.1), 10.0)))
    return min(max(factor, NARROWEST), WIDEST)


def _left_out(points: Points) -> Iterator[Indices]:
    """What to leave out, as truth values per point; at least two points stay each time."""
    count = len(points.weight)
    places = np.arange(count)
    for fold in range(FOLDS):
        yield places % FOLDS == fold
    machines, counts = np.unique(points.machine, return_counts=True)
    most = machines[np.argsort(-counts, kind="stable")][:MOST_MACHINES]
    wanted = [points.machine == machine for machine in most] if len(machines) > 1 else []
    wanted.extend(_largest(points, points.machine == machine) for machine in most)
    yield from (out for out in wanted if out.any() and (~out).sum() >= 2)


def _largest(points: Points, there: Indices) -> Indices:
    """The runs of one machine with the largest inputs, where sizes differ much."""
    sizes = points.log_size[there]
    if np.isnan(sizes).any() or np.ptp(sizes) <= 2 * MUCH_LARGER:
        return np.zeros(len(there), dtype=bool)
    out: Indices = there & (points.log_size > np.quantile(sizes, 0.5) + MUCH_LARGER)
    return out


__all__ = [
    "ELSEWHERE",
    "KINDS",
    "KNOWN",
    "LARGER",
    "UNSIZED",
    "Block",
    "accelerator_factors",
    "blocks",
    "factors",
    "few_accelerators",
    "kinds_of",
]
