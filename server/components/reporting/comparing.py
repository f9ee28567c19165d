"""Placed runs against those that were left out, pipeline by pipeline, with an interval by bootstrap.

Pipelines are compared with themselves: a difference is the mean over pipelines of (placed - left out), weighed by how
many runs of each were placed. The interval is the middle 95 % of 2,000 differences, each of runs drawn again within
their pipeline and side (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 8, 13); residuals are widened
by sqrt(n / (n - 1)), which small samples need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from server.planning.problem import Floats

DRAWS = 2000
FEWEST_PER_SIDE = 2
FEWEST_LEFT_OUT = 5
SLOWER = 1.05
MOST_NAMED = 10
MOST_DRAWN_AT_ONCE = 1_000_000
"""Values that are in memory together."""


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
    rng = np.random.default_rng(seed)
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


def _difference(sides: Mapping[str, Side], read: Callable[[RunFact], float], rng: np.random.Generator) -> Difference:
    values = [[np.array([read(one) for one in side]) for side in pair] for pair in sides.values()]
    counts = np.array([len(placed) for placed, _ in values])
    weights = counts / counts.sum()
    placed, left_out = (float(mean) for mean in weights @ [[side.mean() for side in pair] for pair in values])
    drawn = np.array([[_drawn_means(_widened(side), rng) for side in pair] for pair in values])
    drawn_placed, drawn_left = np.einsum("p,psd->sd", weights, drawn)
    low, high = _middle(drawn_placed - drawn_left)
    if left_out > 0 and (drawn_left > 0).all():
        change = placed / left_out - 1
        return Difference(
            placed, left_out, placed - left_out, low, high, change, *_middle(drawn_placed / drawn_left - 1)
        )
    return Difference(placed, left_out, placed - left_out, low, high, None, None, None)


def _widened(values: Floats) -> Floats:
    middle: float = values.mean()
    return middle + (values - middle) * math.sqrt(len(values) / (len(values) - 1))


def _drawn_means(values: Floats, rng: np.random.Generator) -> Floats:
    """[DRAWS] means of as many values as there are, each drawn from all of them."""
    at_once = max(1, MOST_DRAWN_AT_ONCE // len(values))
    parts = [
        rng.choice(values, (min(at_once, DRAWS - begun), len(values))).mean(axis=1)
        for begun in range(0, DRAWS, at_once)
    ]
    return np.concatenate(parts)


def _middle(values: Floats) -> tuple[float, float]:
    """The middle 95 %."""
    ordered = np.sort(values)
    last = len(ordered) - 1
    return float(ordered[round(0.025 * last)]), float(ordered[round(0.975 * last)])


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
