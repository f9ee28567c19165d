"""How far starts and ends were from what was foretold, and bands that allow for it.

A forecast knows the spread of run times; it does not know what else moves starts and ends: plans that change, work that
comes, room that is free sooner elsewhere. That shows in how past forecasts turned out: the ratio of the seconds that it
really took to the foretold median. Bands are made of the quantiles of those ratios among forecasts of the same kind,
under the same strategy, that looked about as far ahead (split conformal prediction: Vovk, Gammerman & Shafer,
Algorithmic Learning in a Random World, 2005, ch. 4). Which quantiles is corrected by every band that is judged, so that
eight of ten hold where forecasts of one moment err alike or a strategy's habits drift (Gibbs & Candès, Adaptive
Conformal Inference Under Distribution Shift, 2021).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from server.components.explaining.values import Band
from server.domain.instants import after
from server.domain.run import TaskKey

Kind = Literal["run-ends", "task-starts", "task-ends", "running-ends"]
"""Ends of runs; starts and ends of tasks that have not started; ends of tasks that run."""

Subject = tuple[str, TaskKey | None]
"""A run, or a task of it."""

KINDS: tuple[Kind, ...] = get_args(Kind)
FEWEST = 20
"""Fewer past forecasts of a kind say nothing: then the band stays as it is."""

ENOUGH = 60
WIDEST_STEPS = 2
MOST_KEPT = 150
"""Of a kind and a horizon, the newest."""

MOST_PER_SUBJECT = 12
MOST_OPEN = 4_000
NEXT_AFTER_SHARE = 0.15
"""A subject is noted again when this part of what was foretold has passed."""

FIRST_SHARES: Mapping[Kind, tuple[float, float]] = {
    "run-ends": (0.07, 0.915),
    "task-starts": (0.085, 0.905),
    "task-ends": (0.085, 0.905),
    "running-ends": (0.09, 0.9),
}
"""Wider than 0.1 to 0.9: forecasts of one moment err alike, so that so many of them know less than as many others."""

OUTSIDE = 0.1
PACE = 0.008
LOWEST, HIGHEST = (0.005, 0.3), (0.7, 0.995)
SOFT_SECONDS = 1.0
"""Added to both sides of a ratio: whether something takes a tenth of a second or two tells little."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of the bands of one kind under one strategy that were judged lately: how many, and how many held."""

    kind: Kind
    strategy: str
    asked: int
    inside: int

    @property
    def coverage(self) -> float | None:
        """The share that held; 0.8 is right. None before the first."""
        return self.inside / self.asked if self.asked else None


@dataclass(frozen=True, slots=True)
class _Sample:
    """A forecast that was judged: how far it looked ahead (see `_horizon`), log ratio, and whether its band held."""

    horizon: int
    score: float
    is_inside: bool


@dataclass(frozen=True, slots=True)
class _Noted:
    """A forecast that waits to be judged. Instants of the band as it was shown."""

    strategy: str
    at: datetime
    seconds: float
    low: datetime
    high: datetime
    is_learned: bool


@dataclass(slots=True)
class _Experience:
    """What one kind of forecast under one strategy taught."""

    low: float
    high: float
    by_horizon: dict[int, deque[_Sample]] = field(default_factory=dict)
    factors: dict[int, tuple[float, float, float] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: Kind) -> _Experience:
        """None yet."""
        return cls(*FIRST_SHARES[kind])

    def add(self, sample: _Sample) -> None:
        self.by_horizon.setdefault(sample.horizon, deque(maxlen=MOST_KEPT)).append(sample)
        self.factors.clear()

    def judge(self, *, is_below: bool, is_above: bool) -> None:
        """Move the shares that bands are made of by how the last one did."""
        self.low = min(max(self.low + PACE * (OUTSIDE - is_below), LOWEST[0]), LOWEST[1])
        self.high = min(max(self.high - PACE * (OUTSIDE - is_above), HIGHEST[0]), HIGHEST[1])

    def samples(self) -> Iterable[_Sample]:
        return (one for kept in self.by_horizon.values() for one in kept)


class ForecastTrack:
    """Remembers forecasts of what is to come, and how those turned out that came."""

    def __init__(self) -> None:
        self._open: dict[str, dict[tuple[Kind, TaskKey | None], list[_Noted]]] = {}
        self._count = 0
        self._known: dict[tuple[Kind, str], _Experience] = {}
        self.judged = 0
        """Forecasts judged since this track was made: tells whether there is something new to be kept."""

    def shown(self, kind: Kind, strategy: str, bands: Mapping[Subject, Band], now: datetime) -> dict[Subject, Band]:
        """The bands that past forecasts allow for; they are noted, to be judged when what they foretell comes."""
        found = {subject: self.adjusted(kind, strategy, band, now) for subject, band in bands.items()}
        for subject, band in bands.items():
            self._note(kind, strategy, subject, band, found[subject], now)
        return found

    def around(self, kind: Kind, strategy: str, bands: Mapping[Subject, Band], now: datetime) -> dict[Subject, Band]:
        """Bands as wide as past forecasts allow, around the medians as they are; nothing is noted. For plans of what
        will not come to pass, whose parts must fit each other."""
        found = {}
        for subject, band in bands.items():
            wide = self.adjusted(kind, strategy, band, now)
            found[subject] = Band(min(wide.p10, band.p50), band.p50, max(wide.p90, band.p50))
        return found

    def adjusted(self, kind: Kind, strategy: str, band: Band, now: datetime) -> Band:
        """One band, without noting it. Where a strategy has no experience, that of all others serves."""
        seconds = max((band.p50 - now).total_seconds(), 0.0)
        factors = self._factors(kind, strategy, _horizon(seconds))
        if factors is None:
            return band
        low, middle, high = (max((seconds + SOFT_SECONDS) * factor - SOFT_SECONDS, 0.0) for factor in factors)
        return Band(*(after(now, one) for one in (low, middle, high)))

    def came(self, kind: Kind, subject: Subject, at: datetime) -> None:
        """What was foretold came by itself: its forecasts are judged."""
        run_id, key = subject
        for noted in self._pop(run_id, kind, key):
            took = max((at - noted.at).total_seconds(), 0.0)
            known = self._experience(kind, noted.strategy)
            is_below, is_above = at < noted.low, at > noted.high
            if noted.is_learned:
                known.judge(is_below=is_below, is_above=is_above)
            score = math.log((took + SOFT_SECONDS) / (noted.seconds + SOFT_SECONDS))
            known.add(_Sample(_horizon(noted.seconds), score, not (is_below or is_above)))
            self.judged += 1

    def forget(self, kind: Kind, subject: Subject) -> None:
        """What was foretold will not come by itself: that says nothing."""
        self._pop(subject[0], kind, subject[1])

    def forget_run(self, run_id: str) -> None:
        """Nothing more comes of this run."""
        self._count -= sum(len(noted) for noted in self._open.pop(run_id, {}).values())

    def reliabilities(self) -> list[Reliability]:
        """By kind and strategy, as far as forecasts were judged."""
        found = []
        for (kind, strategy), known in sorted(self._known.items()):
            samples = list(known.samples())
            found.append(Reliability(kind, strategy, len(samples), sum(one.is_inside for one in samples)))
        return found

    def documents(self) -> dict[str, dict[str, Any]]:
        """All experience as plain values, by a name."""
        return {
            f"{kind}/{strategy}": {
                "kind": kind,
                "strategy": strategy,
                "shares": [known.low, known.high],
                "samples": [[one.horizon, round(one.score, 4), int(one.is_inside)] for one in known.samples()],
            }
            for (kind, strategy), known in self._known.items()
        }

    def learn(self, document: Mapping[str, Any]) -> None:
        """Take one of `documents` back. Raises KeyError, TypeError or ValueError where it is none."""
        if document["kind"] not in KINDS:
            raise ValueError(f"no forecasts are called {document['kind']!r}")
        low, high = document["shares"]
        known = _Experience(float(low), float(high))
        for horizon, score, is_inside in document["samples"]:
            known.add(_Sample(int(horizon), float(score), bool(is_inside)))
        self._known[document["kind"], str(document["strategy"])] = known

    def _note(self, kind: Kind, strategy: str, subject: Subject, raw: Band, shown: Band, now: datetime) -> None:
        run_id, key = subject
        kept = self._open.setdefault(run_id, {}).setdefault((kind, key), [])
        last = kept[-1] if kept else None
        is_due = last is None or (now - last.at).total_seconds() >= NEXT_AFTER_SHARE * (last.seconds + SOFT_SECONDS)
        if is_due and len(kept) < MOST_PER_SUBJECT and self._count < MOST_OPEN:
            seconds = max((raw.p50 - now).total_seconds(), 0.0)
            kept.append(_Noted(strategy, now, seconds, shown.p10, shown.p90, shown is not raw))
            self._count += 1

    def _pop(self, run_id: str, kind: Kind, key: TaskKey | None) -> list[_Noted]:
        found = self._open.get(run_id, {}).pop((kind, key), [])
        self._count -= len(found)
        return found

    def _experience(self, kind: Kind, strategy: str) -> _Experience:
        return self._known.setdefault((kind, strategy), _Experience.of(kind))

    def _factors(self, kind: Kind, strategy: str, horizon: int) -> tuple[float, float, float] | None:
        """What to multiply the foretold seconds with for the low end, the middle and the high end of a band."""
        own = self._experience(kind, strategy)
        if horizon not in own.factors:
            others = [known for (other, _), known in self._known.items() if other == kind]
            scores = _near([own], horizon) or _near(others, horizon)
            shares = (own.low, 0.5, own.high)
            quantiles = tuple(math.exp(_quantile(scores, share)) for share in shares) if scores else None
            own.factors[horizon] = None if quantiles is None else (quantiles[0], quantiles[1], quantiles[2])
        return own.factors[horizon]


def _near(known: Iterable[_Experience], horizon: int) -> list[float]:
    """Scores of forecasts that looked as far ahead, in order; where these are few, about as far. Empty: too few."""
    found: list[float] = []
    for step in range(WIDEST_STEPS + 1):
        for place in {horizon - step, horizon + step}:
            found += [one.score for each in known for one in each.by_horizon.get(place, ())]
        if len(found) >= ENOUGH:
            break
    return sorted(found) if len(found) >= FEWEST else []


def _horizon(seconds: float) -> int:
    """How far ahead, in steps of two times."""
    return math.floor(math.log2(seconds + SOFT_SECONDS))


def _quantile(ordered: list[float], share: float) -> float:
    """What a new value is below with this chance: the share (n + 1)-th of n values, or between two."""
    place = share * (len(ordered) + 1) - 1
    low = min(max(math.floor(place), 0), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * min(max(place - low, 0.0), 1.0)


__all__ = ["KINDS", "ForecastTrack", "Kind", "Reliability", "Subject"]
