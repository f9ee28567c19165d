"""How far ends were from what was foretold, and bands that allow for it.

A forecast knows the spread of run times; it does not know what else moves ends: plans that change, work that comes,
room that is free sooner elsewhere. That shows in how past forecasts turned out: the ratio of the seconds that it really
took to the foretold median. Bands are made of the quantiles of those ratios among forecasts that looked about as far
ahead (split conformal prediction: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005, ch. 4).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.components.explaining.values import Band

FEWEST = 20
"""Fewer past forecasts of a kind say nothing: then the band stays as it is."""

MOST_KEPT = 300
MOST_PER_RUN = 12
NEXT_AFTER_SHARE = 0.15
"""A run is noted again when this part of what was foretold has passed."""

SHARES = (0.065, 0.5, 0.915)
"""Wider than 0.1 to 0.9: forecasts of one moment err alike, so that so many of them know less than as many others."""

SHORTEST_SECONDS = 0.1
LARGEST_RATIO = 20.0


@dataclass(slots=True)
class _Noted:
    at: datetime
    seconds: float


class EndTrack:
    """Remembers forecasts of live runs, and the ratios of those that ended."""

    def __init__(self) -> None:
        self._noted: dict[str, list[_Noted]] = {}
        self._ratios: dict[int, deque[float]] = {}

    def note(self, bands: Mapping[str, Band], now: datetime) -> None:
        """Keep what is foretold now, by run; not too often for each."""
        for run_id, band in bands.items():
            seconds = max((band.p50 - now).total_seconds(), SHORTEST_SECONDS)
            kept = self._noted.setdefault(run_id, [])
            last = kept[-1] if kept else None
            is_due = last is None or (now - last.at).total_seconds() >= NEXT_AFTER_SHARE * last.seconds
            if is_due and len(kept) < MOST_PER_RUN:
                kept.append(_Noted(now, seconds))

    def ended(self, run_id: str, at: datetime) -> None:
        """A run ended by itself: its forecasts can be judged."""
        for noted in self._noted.pop(run_id, ()):
            took = max((at - noted.at).total_seconds(), SHORTEST_SECONDS)
            ratio = min(max(math.log(took / noted.seconds), -math.log(LARGEST_RATIO)), math.log(LARGEST_RATIO))
            self._ratios.setdefault(_horizon(noted.seconds), deque(maxlen=MOST_KEPT)).append(ratio)

    def forget(self, run_id: str) -> None:
        """A run was stopped: its end says nothing."""
        self._noted.pop(run_id, None)

    def adjusted(self, band: Band, now: datetime) -> Band:
        """The band that past forecasts of this kind allow for."""
        seconds = max((band.p50 - now).total_seconds(), SHORTEST_SECONDS)
        ratios = self._near(_horizon(seconds))
        if len(ratios) < FEWEST:
            return band
        low, middle, high = (now + timedelta(seconds=seconds * math.exp(_quantile(ratios, share))) for share in SHARES)
        return Band(low, middle, high)

    def _near(self, horizon: int) -> list[float]:
        """Ratios of forecasts that looked as far ahead; where these are few, about as far."""
        found = sorted(self._ratios.get(horizon, ()))
        if len(found) >= FEWEST:
            return found
        return sorted(ratio for near in (horizon - 1, horizon, horizon + 1) for ratio in self._ratios.get(near, ()))


def _horizon(seconds: float) -> int:
    """How far ahead, in steps of four times."""
    return math.floor(math.log(seconds, 4))


def _quantile(ordered: list[float], share: float) -> float:
    """What a new value is below with this chance: the share (n + 1)-th of n values, or between two."""
    place = share * (len(ordered) + 1) - 1
    low = min(max(math.floor(place), 0), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * min(max(place - low, 0.0), 1.0)


__all__ = ["EndTrack"]
