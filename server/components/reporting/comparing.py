"""Placed runs against those that were left out, pipeline by pipeline, with an interval by bootstrap.

Pipelines are compared with themselves: a difference is the mean over pipelines of (placed - left out), weighed by how
many runs of each were placed. The interval is the middle 95 % of 2,000 differences, each of runs drawn again within
their pipeline and side (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 8, 13); residuals are widened
by sqrt(n / (n - 1)), which small samples need.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

DRAWS = 2000
FEWEST_PER_SIDE = 2
FEWEST_LEFT_OUT = 5
SLOWER = 1.05
MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class RunFact:
    """A run that succeeded: how long it took, and what it used. `money` is None where no rate is known."""

    run_id: str
    pipeline: str
    is_left_out: bool
    turnaround_seconds: float
    node_hours: float
    gpu_hours: float
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Means over the matched runs, and the difference per placed run with its interval of 95 %.

    `change` is placed over left out, minus 1, with its interval; None where what was left out used nothing.
    """

    placed: float
    left_out: float
    difference: float
    low: float
    high: float
    change: float | None
    change_low: float | None
    change_high: float | None


@dataclass(frozen=True, slots=True)
class PipelineLine:
    """One pipeline: counts of both sides, and its turnaround."""

    pipeline: str
    placed_runs: int
    left_out_runs: int
    turnaround: Difference


@dataclass(frozen=True, slots=True)
class Measured:
    """The whole comparison. `slower` names placed runs that took longer than their pipeline does when left out (mean),
    with the factor, worst first; `slower_runs` counts them."""

    placed_runs: int
    left_out_runs: int
    unmatched_runs: int
    turnaround: Difference
    node_hours: Difference
    gpu_hours: Difference
    money: Difference | None
    pipelines: tuple[PipelineLine, ...]
    slower_runs: int
    slower: tuple[tuple[str, str, float], ...]


def measure(facts: Sequence[RunFact], *, seed: int = 0) -> Measured | None:
    """Compare; None where too few runs were left out, or no pipeline has enough on both sides."""
    sides = _matched(facts)
    placed = [one for side in sides.values() for one in side[0]]
    left_out = [one for side in sides.values() for one in side[1]]
    if len(left_out) < FEWEST_LEFT_OUT:
        return None
    rng = random.Random(seed)
    is_priced = all(one.money is not None for one in (*placed, *left_out))
    slower = _slower(sides)
    return Measured(
        placed_runs=len(placed),
        left_out_runs=len(left_out),
        unmatched_runs=len(facts) - len(placed) - len(left_out),
        turnaround=_difference(sides, lambda one: one.turnaround_seconds, rng),
        node_hours=_difference(sides, lambda one: one.node_hours, rng),
        gpu_hours=_difference(sides, lambda one: one.gpu_hours, rng),
        money=_difference(sides, lambda one: one.money or 0.0, rng) if is_priced else None,
        pipelines=tuple(
            PipelineLine(
                name, len(side[0]), len(side[1]), _difference({name: side}, lambda one: one.turnaround_seconds, rng)
            )
            for name, side in sides.items()
        ),
        slower_runs=len(slower),
        slower=tuple(slower[:MOST_NAMED]),
    )


Side = tuple[Sequence[RunFact], Sequence[RunFact]]


def _matched(facts: Sequence[RunFact]) -> dict[str, Side]:
    """Pipelines with enough runs on both sides: (placed, left out), by name."""
    found: dict[str, tuple[list[RunFact], list[RunFact]]] = {}
    for one in sorted(facts, key=lambda one: (one.pipeline, one.run_id)):
        found.setdefault(one.pipeline, ([], []))[int(one.is_left_out)].append(one)
    return {name: side for name, side in found.items() if min(map(len, side)) >= FEWEST_PER_SIDE}


def _difference(sides: Mapping[str, Side], read: Callable[[RunFact], float], rng: random.Random) -> Difference:
    values = [([read(one) for one in placed], [read(one) for one in left]) for placed, left in sides.values()]
    total = sum(len(placed) for placed, _ in values)
    weights = [len(placed) / total for placed, _ in values]
    widened = [(_widened(placed), _widened(left)) for placed, left in values]
    first = _means([(fmean(placed), fmean(left)) for placed, left in values], weights)
    drawn = [
        _means([(_drawn_mean(placed, rng), _drawn_mean(left, rng)) for placed, left in widened], weights)
        for _ in range(DRAWS)
    ]
    low, high = _middle([placed - left for placed, left in drawn])
    ratios = [placed / left - 1 for placed, left in drawn if left > 0]
    is_known = first[1] > 0 and len(ratios) == len(drawn)
    change_low, change_high = _middle(ratios) if is_known else (None, None)
    change = first[0] / first[1] - 1 if is_known else None
    return Difference(*first, first[0] - first[1], low, high, change, change_low, change_high)


def _widened(values: Sequence[float]) -> list[float]:
    middle, factor = fmean(values), math.sqrt(len(values) / (len(values) - 1))
    return [middle + (value - middle) * factor for value in values]


def _drawn_mean(values: Sequence[float], rng: random.Random) -> float:
    return fmean(rng.choices(values, k=len(values)))


def _means(pairs: Sequence[tuple[float, float]], weights: Sequence[float]) -> tuple[float, float]:
    placed = math.fsum(weight * pair[0] for weight, pair in zip(weights, pairs, strict=True))
    return placed, math.fsum(weight * pair[1] for weight, pair in zip(weights, pairs, strict=True))


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 %."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(0.025 * last)], ordered[round(0.975 * last)]


def _slower(sides: Mapping[str, Side]) -> list[tuple[str, str, float]]:
    found = []
    for name, (placed, left_out) in sides.items():
        usual = fmean(one.turnaround_seconds for one in left_out)
        found += [
            (one.run_id, name, one.turnaround_seconds / usual)
            for one in placed
            if one.turnaround_seconds > SLOWER * usual > 0
        ]
    return sorted(found, key=lambda one: -one[2])


__all__ = ["Difference", "Measured", "PipelineLine", "RunFact", "measure"]
