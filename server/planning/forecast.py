"""From a plan and bands of run times to bands of ends: when will each task, and so each run, probably be done.

The plan's own order is kept: a task starts after what it waits for, and after what is planned to make its room on the
same node. Run times are drawn, evenly over the lognormal distribution that a band stands for (a Latin hypercube); a
running task's is conditioned on having run so long already.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from server.domain.placement import TaskRef

SAMPLES = 64
FEWEST_SAMPLES = 8
MOST_DRAWS = 100_000
"""Larger plans get fewer samples, so that a forecast stays a matter of a second."""

Z90 = 1.2815515655446004
SMALLEST_SPREAD = 1e-3
SAME_TIME_SECONDS = 0.05
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a plan; all times in seconds from now.

    Attributes:
        start, finish: as planned; of a running task, `start` is negative.
        p10, p50, p90: its predicted run time.
        waits_for: the steps that must end first.
        is_running: whether it has started.
    """

    key: TaskRef
    node: str
    start: float
    finish: float
    p10: float
    p50: float
    p90: float
    waits_for: tuple[TaskRef, ...] = ()
    is_running: bool = False


@dataclass(frozen=True, slots=True)
class Percentiles:
    """10th, 50th and 90th percentile, in seconds from now."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Starts and ends by step, and the ends of groups of steps."""

    starts: Mapping[TaskRef, Percentiles]
    ends: Mapping[TaskRef, Percentiles]
    group_ends: Mapping[str, Percentiles]


def predecessors(steps: Sequence[Step]) -> dict[TaskRef, tuple[TaskRef, ...]]:
    """By step: what it waits for, and what is planned to end last on its node before it starts."""
    known = {step.key for step in steps}
    by_node: dict[str, list[tuple[float, Step]]] = {}
    for step in sorted(steps, key=lambda one: one.finish):
        by_node.setdefault(step.node, []).append((step.finish, step))
    found: dict[TaskRef, tuple[TaskRef, ...]] = {}
    for step in steps:
        waits = [] if step.is_running else [key for key in step.waits_for if key in known]
        if not step.is_running and step.start > SAME_TIME_SECONDS:
            waits += _makes_room(by_node[step.node], step)
        found[step.key] = tuple(dict.fromkeys(waits))
    return found


def forecast(steps: Iterable[Step], groups: Mapping[str, Sequence[TaskRef]], seed: int = 0) -> Forecast:
    """Bands of all starts and ends, and of the last end of each group of steps."""
    ordered = sorted(steps, key=lambda step: (not step.is_running, step.start, step.finish))
    before = predecessors(ordered)
    count = max(FEWEST_SAMPLES, min(SAMPLES, MOST_DRAWS // max(len(ordered), 1)))
    rng = random.Random(seed)
    chances = [(index + 0.5) / count for index in range(count)]
    normal = [_NORMAL.inv_cdf(chance) for chance in chances]
    starts: dict[TaskRef, list[float]] = {}
    ends: dict[TaskRef, list[float]] = {}
    for step in ordered:
        waited = [ends[key] for key in before[step.key] if key in ends]
        if step.is_running:
            starts[step.key] = [step.start] * count
        else:
            starts[step.key] = [max(0.0, *(other[index] for other in waited), 0.0) for index in range(count)]
        if step.is_running:
            ends[step.key] = [step.start + _rest_of(step, chance) for chance in rng.sample(chances, count)]
            continue
        spread, draws = _spread(step), rng.sample(normal, count)
        ends[step.key] = [at + step.p50 * math.exp(spread * z) for at, z in zip(starts[step.key], draws, strict=True)]
    grouped = {name: [ends[key] for key in keys if key in ends] for name, keys in groups.items()}
    return Forecast(
        starts={key: _percentiles(values) for key, values in starts.items()},
        ends={key: _percentiles(values) for key, values in ends.items()},
        group_ends={
            name: _percentiles([max(column) for column in zip(*rows, strict=True)])
            for name, rows in grouped.items()
            if rows
        },
    )


def _makes_room(on_node: Sequence[tuple[float, Step]], step: Step) -> list[TaskRef]:
    """What is planned to end on the node just before `step` starts there."""
    index = bisect_right(on_node, step.start + SAME_TIME_SECONDS, key=lambda pair: pair[0]) - 1
    found: list[TaskRef] = []
    latest: float | None = None
    while index >= 0 and (latest is None or on_node[index][0] >= latest - SAME_TIME_SECONDS):
        finish, other = on_node[index]
        index -= 1
        if other.key == step.key or (other.start, other.finish) >= (step.start, step.finish):
            continue
        latest = finish if latest is None else latest
        found.append(other.key)
    return found


def _spread(step: Step) -> float:
    """Standard deviation of the logarithm of its run time."""
    return max(math.log(max(step.p90, 1e-9) / max(step.p10, 1e-9)) / (2 * Z90), SMALLEST_SPREAD)


def _rest_of(step: Step, chance: float) -> float:
    """A running task's whole run time: one that is longer than it has run, not exceeded with this chance."""
    spread, centre = _spread(step), math.log(max(step.p50, 1e-9))
    if step.start < 0:
        done = _NORMAL.cdf((math.log(-step.start) - centre) / spread)
        if done > 1 - 1e-6:  # it ran longer than anybody thought: it may end any moment, or take as long again
            return -step.start * (1 + chance)
        chance = done + (1 - done) * chance
    return math.exp(centre + spread * _NORMAL.inv_cdf(min(max(chance, 1e-9), 1 - 1e-9)))


def _percentiles(values: Sequence[float]) -> Percentiles:
    ordered = sorted(values)
    last = len(ordered) - 1
    low, middle, high = (ordered[round(last * share)] for share in (0.1, 0.5, 0.9))
    return Percentiles(low, middle, high)


__all__ = ["Forecast", "Percentiles", "Step", "forecast", "predecessors"]
