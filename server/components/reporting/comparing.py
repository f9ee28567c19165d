"""Placed runs against those that were left out, like with like, with an interval by bootstrap.

Pipelines are compared with themselves, and where a pipeline ran often with the same parameters, those runs among
themselves: a run of a large input is no yardstick for one of a small one. What is a group of its own is told by how
many runs there are of it in all, and not by who was left out, so that chance alone decides who is on which side.

A difference is the mean over groups of (placed - left out), weighed by how many runs of each were placed. The interval
of 95 % comes from 2,000 differences, each of runs drawn again within their group and side (Efron & Tibshirani, An
Introduction to the Bootstrap, 1993, ch. 8, 13); residuals are widened by sqrt(n / (n - 1)), and the interval by what
Student's distribution has over the normal one, with degrees of freedom by Welch and Satterthwaite: small samples need
both (Hesterberg, What Teachers Should Know About the Bootstrap, 2015, sec. 5).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np

from server.planning.problem import Floats

DRAWS = 2000
FEWEST_PER_SIDE = 2
FEWEST_LEFT_OUT = 5
FEWEST_EXPECTED = 5.0
"""A group of runs with equal parameters is one of its own where so many of it can be expected on either side."""

SLOWER = 1.05
MOST_NAMED = 10
MOST_DRAWN_AT_ONCE = 1_000_000
"""Values that are in memory together."""


@dataclass(frozen=True, slots=True)
class RunFact:
    """A run that succeeded: how long it took, and what it used. `money` is None where no rate is known; `inputs` are
    its parameters as a text: runs of equal ones are alike."""

    run_id: str
    pipeline: str
    is_left_out: bool
    turnaround_seconds: float
    node_hours: float
    gpu_hours: float
    money: float | None = None
    inputs: str = ""


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
    """The whole comparison. `slower` names placed runs that took longer than runs like them do when left out (mean),
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
        pipelines=tuple(_line(name, own, rng) for name, own in _by_pipeline(sides).items()),
        slower_runs=len(slower),
        slower=tuple(slower[:MOST_NAMED]),
    )


Side = tuple[Sequence[RunFact], Sequence[RunFact]]
"""Placed and left out."""

Group = tuple[str, str]
"""A pipeline, and the parameters of its runs; empty for all that are no group of their own."""


def _matched(facts: Sequence[RunFact]) -> dict[Group, Side]:
    """Groups of like runs with enough on both sides: (placed, left out)."""
    found: dict[Group, tuple[list[RunFact], list[RunFact]]] = {}
    groups = _groups(facts)
    for one in sorted(facts, key=lambda one: (one.pipeline, one.run_id)):
        group = (one.pipeline, one.inputs if (one.pipeline, one.inputs) in groups else "")
        found.setdefault(group, ([], []))[int(one.is_left_out)].append(one)
    return {name: side for name, side in found.items() if min(map(len, side)) >= FEWEST_PER_SIDE}


def _groups(facts: Sequence[RunFact]) -> set[Group]:
    """Pipelines with parameters that came often enough, by how large either side is among all runs."""
    share = fmean(one.is_left_out for one in facts) if facts else 0.0
    often = Counter((one.pipeline, one.inputs) for one in facts)
    return {group for group, count in often.items() if count * min(share, 1 - share) >= FEWEST_EXPECTED}


def _by_pipeline(sides: Mapping[Group, Side]) -> dict[str, dict[Group, Side]]:
    found: dict[str, dict[Group, Side]] = {}
    for group, side in sides.items():
        found.setdefault(group[0], {})[group] = side
    return found


def _line(name: str, sides: Mapping[Group, Side], rng: np.random.Generator) -> PipelineLine:
    placed, left_out = (sum(len(side[index]) for side in sides.values()) for index in (0, 1))
    return PipelineLine(name, placed, left_out, _difference(sides, lambda one: one.turnaround_seconds, rng))


def _difference(sides: Mapping[Group, Side], read: Callable[[RunFact], float], rng: np.random.Generator) -> Difference:
    values = [[np.array([read(one) for one in side]) for side in pair] for pair in sides.values()]
    counts = np.array([len(placed) for placed, _ in values])
    weights = counts / counts.sum()
    placed, left_out = (float(mean) for mean in weights @ [[side.mean() for side in pair] for pair in values])
    drawn = np.array([[_drawn_means(_widened(side), rng) for side in pair] for pair in values])
    drawn_placed, drawn_left = np.einsum("p,psd->sd", weights, drawn)
    wider = _wider(values, weights)
    low, high = _around(placed - left_out, drawn_placed - drawn_left, wider)
    if left_out > 0 and placed > 0 and (drawn_left > 0).all() and (drawn_placed > 0).all():
        middle = math.log(placed / left_out)
        ratios = _around(middle, np.log(drawn_placed / drawn_left), wider)
        changes = [math.expm1(one) for one in (middle, *ratios)]
        return Difference(placed, left_out, placed - left_out, low, high, changes[0], changes[1], changes[2])
    return Difference(placed, left_out, placed - left_out, low, high, None, None, None)


def _wider(values: Sequence[Sequence[Floats]], weights: Floats) -> float:
    """How many times as far as a normal distribution's the ends of an interval have to be, for samples as small."""
    parts = [
        (weight**2 * float(side.var(ddof=1)) / len(side), len(side) - 1)
        for weight, pair in zip(weights, values, strict=True)
        for side in pair
    ]
    below = sum(part**2 / freedom for part, freedom in parts)
    freedom = float(sum(part for part, _ in parts) ** 2 / below) if below > 0 else math.inf
    return student(freedom) / student(math.inf)


def student(freedom: float) -> float:
    """The 97.5 % point of Student's distribution, by its expansion for large degrees of freedom (Abramowitz & Stegun,
    26.7.5); below 2 that of 2, where the expansion ends to hold."""
    z, n = NormalDist().inv_cdf(0.975), max(freedom, 2.0)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / n**power for power, term in enumerate(terms, 1))


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


def _around(middle: float, values: Floats, wider: float) -> tuple[float, float]:
    """The middle 95 %, with both ends so many times as far from the middle."""
    ordered = np.sort(values)
    last = len(ordered) - 1
    low, high = (float(ordered[round(share * last)]) for share in (0.025, 0.975))
    return middle + wider * min(low - middle, 0.0), middle + wider * max(high - middle, 0.0)


def _slower(sides: Mapping[Group, Side]) -> list[tuple[str, str, float]]:
    found = []
    for (name, _), (placed, left_out) in sides.items():
        usual = fmean(one.turnaround_seconds for one in left_out)
        found += [
            (one.run_id, name, one.turnaround_seconds / usual)
            for one in placed
            if one.turnaround_seconds > SLOWER * usual > 0
        ]
    return sorted(found, key=lambda one: -one[2])


__all__ = ["FEWEST_LEFT_OUT", "Difference", "Measured", "PipelineLine", "RunFact", "measure"]
