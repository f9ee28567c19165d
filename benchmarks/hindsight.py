"""How much can be had at all on public traces: predictors that are told what they should foretell.

Each is given, from the very runs that are asked for, what makes its own errors small: one factor per machine, and the
law of growth of every component or even its full run on the known machine. What then is left is hardly to be had by one
who knows the small runs and the machines' scores alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from server.estimators.machines import Array

ROUNDS = 5
EXPONENTS = tuple(step / 20 for step in range(61))
SIZE_STEP, FEWEST_FITTED = 0.02, 2
"""Sizes whose logarithms differ by less are equal; a line is laid through more points than so many."""
PLAIN = 3
"""Place of the straight line by least squares among the laws: the one to begin with."""
SMALLEST = 1e-3


@dataclass(frozen=True, slots=True)
class Small:
    """The small runs that are known of a component: pairs of size and seconds, of one training set."""

    label: str
    component: str
    runs: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A full run elsewhere, and how long the same took where the small runs were (None: it never ran there)."""

    small: Small
    machine: str
    size: float
    seconds: float
    full: float | None


Law = Callable[[float], float]
"""Seconds on the known machine by size."""


def full_run_told(asked: Sequence[Asked]) -> list[float]:
    """Relative errors of: the full run on the known machine, which is told, times the machine's best factor."""
    known = [(one, math.log(one.full)) for one in asked if one.full is not None]
    factors = _factors(known)
    return [_error(level + factors[one.machine], one) for one, level in known]


def alike_told(asked: Sequence[Asked]) -> list[float]:
    """Relative errors of: the middle of the very runs of one component on one machine with inputs of one size; of those
    that ran there more than once. What is left is noise, and work that its inputs' size does not show."""
    runs: dict[tuple[str, str, int], list[Asked]] = defaultdict(list)
    for one in (one for one in asked if one.small.label == asked[0].small.label):
        step = round(math.log(one.size) / SIZE_STEP) if one.size > 0 else 0
        runs[one.small.component, one.machine, step].append(one)
    return [_error(_middle(some), one) for some in runs.values() if len(some) > 1 for one in some]


def own_law_told(asked: Sequence[Asked]) -> list[float]:
    """Relative errors of: the power of the size that fits a component's own full runs on each machine."""
    runs: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for one in (one for one in asked if one.small.label == asked[0].small.label):
        runs[one.small.component, one.machine].append(one)
    return [
        _error(level + slope * math.log(max(one.size, SMALLEST)), one)
        for some in runs.values()
        for level, slope in [_power(some)]
        for one in some
    ]


def exponents_told(asked: Sequence[Asked]) -> list[float]:
    """Relative errors of: for each component the exponent that turns out best, through the middle of its small runs,
    times the machine's best factor."""
    laws = {runs: [_safe(law) for law in _powers(runs)] for runs in {one.small for one in asked}}
    return _best(asked, laws, EXPONENTS.index(1.0))


def components_told(asked: Sequence[Asked], log_seconds: Sequence[float]) -> list[float]:
    """Relative errors of predictions times each component's best factor: those of machines and sizes alone."""
    apart: dict[Small, list[float]] = defaultdict(list)
    for one, level in zip(asked, log_seconds, strict=True):
        apart[one.small].append(math.log(one.seconds) - level)
    return [_error(level + median(apart[one.small]), one) for one, level in zip(asked, log_seconds, strict=True)]


def machines_told(asked: Sequence[Asked], log_seconds: Sequence[float]) -> list[float]:
    """Relative errors of predictions times each machine's best factor: those of components and sizes alone."""
    factors = _factors(list(zip(asked, log_seconds, strict=True)))
    return [_error(level + factors[one.machine], one) for one, level in zip(asked, log_seconds, strict=True)]


def laws_told(asked: Sequence[Asked]) -> list[float]:
    """Relative errors of: for each component the law of growth, of six usual ones fitted to its small runs, that turns
    out best, times the machine's best factor."""
    small = {one.small for one in asked}
    by_law = {runs: [_safe(law) for law in _laws(runs)] for runs in small}
    return _best(asked, by_law, PLAIN)


def _best(asked: Sequence[Asked], by_law: Mapping[Small, Sequence[Law]], first: int) -> list[float]:
    """Relative errors with each component's best law and each machine's best factor, found in turns."""
    of_component: dict[Small, list[Asked]] = defaultdict(list)
    for one in asked:
        of_component[one.small].append(one)
    chosen: Mapping[Small, int] = dict.fromkeys(by_law, first)
    factors: Mapping[str, float] = {}
    for _ in range(ROUNDS):
        factors = _factors([(one, by_law[one.small][chosen[one.small]](one.size)) for one in asked])
        chosen = {
            runs: min(
                range(len(laws)), key=lambda at, runs=runs, laws=laws: _off(laws[at], of_component[runs], factors)
            )
            for runs, laws in by_law.items()
        }
    return [_error(by_law[one.small][chosen[one.small]](one.size) + factors[one.machine], one) for one in asked]


def _off(law: Law, asked: Sequence[Asked], factors: Mapping[str, float]) -> float:
    return sum(min(_error(law(one.size) + factors[one.machine], one), 1.0) for one in asked)


def _error(log_seconds: float, one: Asked) -> float:
    return abs(math.exp(log_seconds) - one.seconds) / one.seconds


def _factors(predicted: Sequence[tuple[Asked, float]]) -> dict[str, float]:
    apart: dict[str, list[float]] = defaultdict(list)
    for one, level in predicted:
        apart[one.machine].append(math.log(one.seconds) - level)
    return {machine: median(values) for machine, values in apart.items()}


def _safe(law: Law) -> Law:
    return lambda size: math.log(max(law(size), SMALLEST))


def _laws(small: Small) -> list[Law]:
    sizes, seconds = np.array(small.runs).T
    usual, rate = float(np.median(seconds)), float(np.median(seconds / sizes))
    slopes = [
        (seconds[b] - seconds[a]) / (sizes[b] - sizes[a])
        for a in range(len(sizes))
        for b in range(a)
        if abs(sizes[b] - sizes[a]) > SMALLEST * sizes.max()
    ]
    slope = max(float(np.median(slopes)), 0.0) if slopes else 0.0
    base = max(float(np.median(seconds - slope * sizes)), 0.0)
    even = np.ones(len(sizes))
    plain, relative = _line(sizes, seconds, even), _line(sizes, seconds, 1 / seconds)
    power = _line(np.log(sizes), np.log(seconds), even)
    return [
        lambda size: usual,
        lambda size: rate * size,
        lambda size: base + slope * size,
        lambda size: plain[0] + plain[1] * size,
        lambda size: relative[0] + relative[1] * size,
        lambda size: math.exp(power[0] + power[1] * math.log(size)),
    ]


def _powers(small: Small) -> list[Law]:
    logs = [(math.log(max(size, SMALLEST)), math.log(seconds)) for size, seconds in small.runs]
    levels = [median(seconds - exponent * size for size, seconds in logs) for exponent in EXPONENTS]

    def law(exponent: float, level: float) -> Law:
        return lambda size: math.exp(level + exponent * math.log(max(size, SMALLEST)))

    return [law(exponent, level) for exponent, level in zip(EXPONENTS, levels, strict=True)]


def _power(some: Sequence[Asked]) -> tuple[float, float]:
    """Level and slope of logarithms; a level alone where sizes are too much alike, or too few."""
    sizes = np.array([math.log(max(one.size, SMALLEST)) for one in some])
    seconds = np.array([math.log(one.seconds) for one in some])
    if len(some) <= FEWEST_FITTED or np.ptp(sizes) <= SIZE_STEP:
        return float(np.median(seconds)), 0.0
    return _line(sizes, seconds, np.ones(len(some)))


def _middle(some: Sequence[Asked]) -> float:
    return median(math.log(one.seconds) for one in some)


def _line(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    if np.ptp(x) == 0:
        return float(np.median(y)), 0.0
    middle, unit = float(x.mean()), float(np.ptp(x))
    table = np.column_stack([weight, weight * (x - middle) / unit])
    level, slope = np.linalg.lstsq(table, weight * y, rcond=None)[0]
    return float(level - slope * middle / unit), float(slope / unit)


__all__ = [
    "Asked",
    "Small",
    "alike_told",
    "components_told",
    "exponents_told",
    "full_run_told",
    "laws_told",
    "machines_told",
    "own_law_told",
]
