"""How far starts and ends were from what was foretold, and bands that allow for it.

A forecast knows the spread of run times; it does not know what else moves starts and ends: plans that change, work that
comes, room that is free sooner elsewhere. That shows in how past forecasts turned out: the ratio of the seconds that it
really took to the foretold median. Bands are made of the quantiles of those ratios among forecasts of the same kind,
under the same strategy, that looked about as far ahead (split conformal prediction: Vovk, Gammerman & Shafer,
Algorithmic Learning in a Random World, 2005, ch. 4). What was foretold and has not come yet counts for as long as it is
awaited (`censored`): where much comes late, the soon is known first. Few forecasts count for little: the band as it was
made, somewhat widened, counts for some more, or what forecasts under other strategies taught. Which quantiles is
corrected by every band that is judged, so that eight of ten hold where forecasts of one moment err alike or a
strategy's habits drift (Gibbs & Candès, Adaptive Conformal Inference Under Distribution Shift, 2021); a band is judged
as soon as its end has passed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from server.components.explaining.censored import quantiles
from server.components.explaining.values import Band
from server.domain.instants import after
from server.domain.run import TaskKey

Kind = Literal["run-ends", "task-starts", "task-ends", "running-ends"]
"""Ends of runs; starts and ends of tasks that have not started; ends of tasks that run."""

Subject = tuple[str, TaskKey | None]
"""A run, or a task of it."""

KINDS: tuple[Kind, ...] = get_args(Kind)
FEWEST = 5
"""Fewer past forecasts of a kind say nothing."""

ASSUMED = 10
"""So many past forecasts weigh as much as what is assumed before there are any."""

WIDENED, MARGIN = 1.4, 0.1
"""What is assumed of a band before anything is known: so many times as wide, and a tenth more on either side (both of
logarithms), but for tasks that run, of which little but the run time is unknown."""

RUN_WIDENED, RUN_MARGIN = 1.6, 0.2
"""The same of ends of runs: the plans of all their tasks may change, and the latest task decides."""

ENOUGH = 60
WIDEST_STEPS = 2
MOST_KEPT = 150
"""Of a kind and a horizon, the newest."""

MOST_PER_SUBJECT = 12
MOST_OPEN = 4_000
NEXT_AFTER_SHARE = 0.15
"""A subject is noted again when this part of what was foretold has passed."""

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


@dataclass(slots=True)
class _Noted:
    """A forecast that waits for what it foretold. Instants of the band as it was shown; `is_judged`: what it foretold
    comes later than that."""

    strategy: str
    at: datetime
    seconds: float
    low: datetime
    high: datetime
    is_judged: bool = False

    def score(self, at: datetime) -> float:
        """Logarithm of the ratio of the seconds until an instant to those that were foretold."""
        took = max((at - self.at).total_seconds(), 0.0)
        return math.log((took + SOFT_SECONDS) / (self.seconds + SOFT_SECONDS))


@dataclass(slots=True)
class _Experience:
    """What one kind of forecast under one strategy taught."""

    low: float = OUTSIDE
    high: float = 1 - OUTSIDE
    by_horizon: dict[int, deque[_Sample]] = field(default_factory=dict)

    def add(self, sample: _Sample) -> None:
        self.by_horizon.setdefault(sample.horizon, deque(maxlen=MOST_KEPT)).append(sample)

    def judge(self, *, is_below: bool, is_above: bool) -> None:
        """Move the shares that bands are made of by how the last one did."""
        self.low = min(max(self.low + PACE * (OUTSIDE - is_below), LOWEST[0]), LOWEST[1])
        self.high = min(max(self.high - PACE * (OUTSIDE - is_above), HIGHEST[0]), HIGHEST[1])

    def samples(self) -> Iterable[_Sample]:
        return (one for kept in self.by_horizon.values() for one in kept)


_Factors = tuple[float, float, float]
"""Logarithms of the low end, the middle and the high end of what came, over the seconds that were foretold."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What so many past forecasts say."""

    count: int
    factors: _Factors

    def after(self, before: _Factors) -> _Factors:
        """Together with what was assumed before."""
        share = self.count / (self.count + ASSUMED)
        low, middle, high = (
            share * learned + (1 - share) * old for learned, old in zip(self.factors, before, strict=True)
        )
        return low, middle, high


class ForecastTrack:
    """Remembers forecasts of what is to come, and how those turned out that came."""

    def __init__(self) -> None:
        self._open: dict[str, dict[tuple[Kind, TaskKey | None], list[_Noted]]] = {}
        self._count = 0
        self._known: dict[tuple[Kind, str], _Experience] = {}
        self._seen_at: datetime | None = None
        self._awaited: dict[tuple[Kind, str], dict[int, list[float]]] = {}
        self.judged = 0
        """Forecasts judged since this track was made: tells whether there is something new to be kept."""

    def shown(self, kind: Kind, strategy: str, bands: Mapping[Subject, Band], now: datetime) -> dict[Subject, Band]:
        """The bands that past forecasts allow for; they are noted, to be judged when what they foretell comes."""
        found = self.corrected(kind, strategy, bands, now)
        self.note(kind, strategy, bands, found, now)
        return found

    def note(
        self,
        kind: Kind,
        strategy: str,
        bands: Mapping[Subject, Band],
        shown: Mapping[Subject, Band],
        now: datetime,
    ) -> None:
        """Note what is foretold and what of it is shown, to be judged when it comes."""
        for subject, band in bands.items():
            self._note(kind, strategy, subject, band, shown[subject], now)

    def corrected(self, kind: Kind, strategy: str, bands: Mapping[Subject, Band], now: datetime) -> dict[Subject, Band]:
        """The bands that past forecasts allow for; nothing is noted."""
        if self._seen_at != now:
            self._look(now)
        lessons: dict[int, list[_Lesson]] = {}
        found = {}
        for subject, band in bands.items():
            low, seconds, high = (max((at - now).total_seconds(), 0.0) for at in (band.p10, band.p50, band.p90))
            horizon = _horizon(seconds)
            if horizon not in lessons:
                lessons[horizon] = self._lessons(kind, strategy, horizon)
            middle = math.log(seconds + SOFT_SECONDS)
            below, above = (math.log(end + SOFT_SECONDS) - middle for end in (low, high))
            factors = _assumed(kind, below, above)
            for lesson in lessons[horizon]:
                factors = lesson.after(factors)
            ends = (max(math.exp(middle + factor) - SOFT_SECONDS, 0.0) for factor in factors)
            found[subject] = Band(*(after(now, one) for one in ends))
        return found

    def around(self, kind: Kind, strategy: str, bands: Mapping[Subject, Band], now: datetime) -> dict[Subject, Band]:
        """Bands as wide as past forecasts allow, around the medians as they are; nothing is noted. For plans of what
        will not come to pass, whose parts must fit each other."""
        found = self.corrected(kind, strategy, bands, now)
        for subject, band in bands.items():
            wide = found[subject]
            found[subject] = Band(min(wide.p10, band.p50), band.p50, max(wide.p90, band.p50))
        return found

    def adjusted(self, kind: Kind, strategy: str, band: Band, now: datetime) -> Band:
        """One band, without noting it."""
        return self.corrected(kind, strategy, {("", None): band}, now)["", None]

    def came(self, kind: Kind, subject: Subject, at: datetime) -> None:
        """What was foretold came by itself: its forecasts are judged."""
        run_id, key = subject
        for noted in self._pop(run_id, kind, key):
            known = self._experience(kind, noted.strategy)
            is_below, is_above = at < noted.low, at > noted.high
            if not noted.is_judged:
                known.judge(is_below=is_below, is_above=is_above)
            known.add(_Sample(_horizon(noted.seconds), noted.score(at), not (is_below or is_above)))
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
            kept.append(_Noted(strategy, now, seconds, shown.p10, shown.p90))
            self._count += 1

    def _pop(self, run_id: str, kind: Kind, key: TaskKey | None) -> list[_Noted]:
        found = self._open.get(run_id, {}).pop((kind, key), [])
        self._count -= len(found)
        return found

    def _experience(self, kind: Kind, strategy: str) -> _Experience:
        return self._known.setdefault((kind, strategy), _Experience())

    def _lessons(self, kind: Kind, strategy: str, horizon: int) -> list[_Lesson]:
        """What forecasts that looked about as far ahead taught: under all other strategies, and then under this."""
        own = self._experience(kind, strategy)
        others = [name for other, name in self._known if other == kind and name != strategy]
        lessons = (self._lesson(kind, names, horizon, own) for names in (others, [strategy]))
        return [lesson for lesson in lessons if lesson is not None]

    def _lesson(self, kind: Kind, strategies: Sequence[str], horizon: int, own: _Experience) -> _Lesson | None:
        """Of forecasts that looked as far ahead; where these are few, about as far."""
        came: list[float] = []
        awaited: list[float] = []
        for step in range(WIDEST_STEPS + 1):
            for place in {horizon - step, horizon + step}:
                for name in strategies:
                    came += [one.score for one in self._known[kind, name].by_horizon.get(place, ())]
                    awaited += self._awaited.get((kind, name), {}).get(place, ())
            if len(came) >= ENOUGH:
                break
        if len(came) < FEWEST:
            return None
        low, middle, high = quantiles(came, awaited, (own.low, 0.5, own.high))
        return _Lesson(len(came), (low, middle, high))

    def _look(self, now: datetime) -> None:
        """Count for how long what is open was awaited by now, and judge bands that have passed."""
        self._seen_at = now
        self._awaited = {}
        for subjects in self._open.values():
            for (kind, _), kept in subjects.items():
                for noted in kept:
                    if not noted.is_judged and noted.high < now:
                        noted.is_judged = True
                        self._experience(kind, noted.strategy).judge(is_below=False, is_above=True)
                    by_horizon = self._awaited.setdefault((kind, noted.strategy), {})
                    by_horizon.setdefault(_horizon(noted.seconds), []).append(noted.score(now))


def _assumed(kind: Kind, below: float, above: float) -> _Factors:
    """Before anything is known of such forecasts: `below` and `above` are the ends of the band as it was made."""
    if kind == "running-ends":
        return below, 0.0, above
    if kind == "run-ends":
        return RUN_WIDENED * below - RUN_MARGIN, 0.0, RUN_WIDENED * above + RUN_MARGIN
    return WIDENED * below - MARGIN, 0.0, WIDENED * above + MARGIN


def _horizon(seconds: float) -> int:
    """How far ahead, in steps of two times."""
    return math.floor(math.log2(seconds + SOFT_SECONDS))


__all__ = ["KINDS", "ForecastTrack", "Kind", "Reliability", "Subject"]
