"""From a plan and bands of run times to bands of ends: when will each task, and so each run, probably be done.

The plan's own order is kept: a task starts after what it waits for, and after what is planned to make its room on the
same node. Run times are drawn, evenly over the lognormal distribution that a band stands for (a Latin hypercube); a
running task's is conditioned on having run so long already. Where it is known how long tasks take to start, they start
so much later (a node pulls an image once, for whoever is first); where the network is known, when their inputs have
come, by the cards that transfers share.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from server.domain.network import NodeNetwork
from server.domain.placement import TaskRef
from server.planning.fetching import fetch_seconds
from server.planning.steps import Step

SAMPLES = 64
FEWEST_SAMPLES = 8
MOST_DRAWS = 100_000
"""Larger plans get fewer samples, so that a forecast stays a matter of a second."""

SAME_TIME_SECONDS = 0.05
AT_ONCE_SECONDS, SLACK_SHARE = 0.001, 0.1
FETCH_SPREAD = 0.4
"""Standard deviation of the logarithm of the time that inputs take to arrive: others come, and go."""

_NORMAL = NormalDist()


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
        if not step.is_running and step.start > AT_ONCE_SECONDS:
            waits += _makes_room(by_node[step.node], step)
        found[step.key] = tuple(dict.fromkeys(waits))
    return found


def forecast(
    steps: Iterable[Step],
    groups: Mapping[str, Sequence[TaskRef]],
    seed: int = 0,
    network: NodeNetwork | None = None,
) -> Forecast:
    """Bands of all starts and ends, and of the last end of each group of steps."""
    ordered = sorted(steps, key=lambda step: (not step.is_running, step.start, step.fetches_since is None, step.finish))
    before = predecessors(ordered)
    fetched = fetch_seconds(ordered, before, network) if network is not None else {}
    count = max(FEWEST_SAMPLES, min(SAMPLES, MOST_DRAWS // max(len(ordered), 1)))
    draws = _Draws(random.Random(seed), count)
    starts: dict[TaskRef, list[float]] = {}
    ends: dict[TaskRef, list[float]] = {}
    brought: dict[tuple[str, str], list[float]] = {}
    for step in ordered:
        if step.is_running:
            starts[step.key] = [step.start] * count
            ends[step.key] = [step.start + whole for whole in draws.longer_than(-step.start, step.p50, step.spread)]
            continue
        waited = [ends[key] for key in before[step.key] if key in ends]
        begins = [max(0.0, *(other[index] for other in waited), 0.0) for index in range(count)]
        fetching = fetched.get(step.key, 0.0)
        begun = _begun(step, begins, fetching, draws)
        if step.pulls is not None:
            image = step.node, step.pulls
            if image in brought:
                begun = _begun_later(step, begins, fetching, draws, begun, brought[image])
            brought[image] = [min(pair) for pair in zip(begun, brought.get(image, begun), strict=True)]
        starts[step.key] = begun
        ends[step.key] = [
            at + took for at, took in zip(starts[step.key], draws.around(step.p50, step.spread), strict=True)
        ]
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


class _Draws:
    """Draws of times, spread evenly over their distribution."""

    def __init__(self, rng: random.Random, count: int) -> None:
        self._rng, self._count = rng, count
        self._chances = [(index + 0.5) / count for index in range(count)]
        self._normal = [_NORMAL.inv_cdf(chance) for chance in self._chances]

    def around(self, middle: float, spread: float) -> list[float]:
        """Times with this median."""
        return [middle * math.exp(spread * z) for z in self._rng.sample(self._normal, self._count)]

    def longer_than(self, passed: float, middle: float, spread: float) -> list[float]:
        """Of times with this median, those that are longer than what has passed already."""
        return [_longer_than(passed, middle, spread, chance) for chance in self._rng.sample(self._chances, self._count)]


def _begun(step: Step, begins: list[float], fetching: float, draws: _Draws) -> list[float]:
    """When it has started and its inputs have come; what is under way takes longer than it has taken."""
    seconds = step.begins_p50 + fetching
    if seconds <= 0:
        return begins
    spread = (step.begins_p50 * step.begins_spread + fetching * FETCH_SPREAD) / seconds
    if step.fetches_since is not None:
        since = min(step.fetches_since, 0.0)
        return [max(since + took, 0.0) for took in draws.longer_than(-since, seconds, spread)]
    return [at + took for at, took in zip(begins, draws.around(seconds, spread), strict=True)]


def _begun_later(
    step: Step, begins: list[float], fetching: float, draws: _Draws, alone: list[float], brought: list[float]
) -> list[float]:
    """When it has started on a node to which others bring its image at these times; `alone`: if nobody did."""
    there = _begun(replace(step, begins_p50=step.brought_p50, fetches_since=None), begins, fetching, draws)
    return [min(own, max(pair)) for own, *pair in zip(alone, there, brought, strict=True)]


def _makes_room(on_node: Sequence[tuple[float, Step]], step: Step) -> list[TaskRef]:
    """What is planned to end on the node just before `step` starts there, or as it does."""
    index = bisect_right(on_node, step.start + SAME_TIME_SECONDS, key=lambda pair: pair[0]) - 1
    found: list[TaskRef] = []
    latest: float | None = None
    while index >= 0 and (latest is None or on_node[index][0] >= latest - SAME_TIME_SECONDS):
        finish, other = on_node[index]
        index -= 1
        is_later = (other.start, other.finish) >= (step.start, step.finish)
        is_beside = step.start < finish - _slack(other) or (finish <= 0 and step.start < SAME_TIME_SECONDS)
        if other.key == step.key or is_later or is_beside:
            continue
        latest = finish if latest is None else latest
        found.append(other.key)
    return found


def _slack(step: Step) -> float:
    """How much before its end another may already follow it: plans are not exact, and short tasks need them to be."""
    return max(SLACK_SHARE * (step.finish - max(step.start, 0.0)), AT_ONCE_SECONDS)


def _longer_than(passed: float, middle: float, spread: float, chance: float) -> float:
    """A time that is longer than what has passed, not exceeded with this chance."""
    centre = math.log(max(middle, 1e-9))
    if passed > 0:
        done = _NORMAL.cdf((math.log(passed) - centre) / spread)
        if done > 1 - 1e-6:  # it took longer than anybody thought: it may end any moment, or take as long again
            return passed * (1 + chance)
        chance = done + (1 - done) * chance
    return math.exp(centre + spread * _NORMAL.inv_cdf(min(max(chance, 1e-9), 1 - 1e-9)))


def _percentiles(values: Sequence[float]) -> Percentiles:
    ordered = sorted(values)
    last = len(ordered) - 1
    low, middle, high = (ordered[round(last * share)] for share in (0.1, 0.5, 0.9))
    return Percentiles(low, middle, high)


__all__ = ["Forecast", "Percentiles", "forecast", "predecessors"]
