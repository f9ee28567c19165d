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


def laws_told(asked: Sequence[Asked]) -> list[float]:
    """Relative errors of: for each component the law of growth, of six usual ones fitted to its small runs, that turns
    out best, times the machine's best factor."""
    small = {one.small for one in asked}
    by_law = {runs: [_safe(law) for law in _laws(runs)] for runs in small}
    of_component: dict[Small, list[Asked]] = defaultdict(list)
    for one in asked:
        of_component[one.small].append(one)
    chosen: Mapping[Small, int] = dict.fromkeys(small, PLAIN)
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


def _line(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    if np.ptp(x) == 0:
        return float(np.median(y)), 0.0
    middle, unit = float(x.mean()), float(np.ptp(x))
    table = np.column_stack([weight, weight * (x - middle) / unit])
    level, slope = np.linalg.lstsq(table, weight * y, rcond=None)[0]
    return float(level - slope * middle / unit), float(slope / unit)


__all__ = ["Asked", "Small", "full_run_told", "laws_told"]
