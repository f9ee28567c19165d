"""Bands learn from how forecasts turned out."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from server.components.explaining.end_track import FEWEST, EndTrack
from server.components.explaining.values import Band

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def band(seconds: float, spread: float = 1.1) -> Band:
    return Band(*(NOW + timedelta(seconds=one) for one in (seconds / spread, seconds, seconds * spread)))


def learned(factor: float, sigma: float, count: int) -> EndTrack:
    """A track of forecasts of 100 s that took `factor` times as long, give or take."""
    track, rng = EndTrack(), random.Random(5)
    for number in range(count):
        track.note({f"r{number}": band(100)}, NOW)
        track.ended(f"r{number}", NOW + timedelta(seconds=100 * factor * math.exp(rng.gauss(0, sigma))))
    return track


def test_without_experience_a_band_stays_as_it_is() -> None:
    assert EndTrack().adjusted(band(100), NOW) == band(100)
    assert learned(2.0, 0.1, FEWEST - 1).adjusted(band(100), NOW) == band(100)


def test_a_band_moves_to_where_ends_came() -> None:
    found = learned(2.0, 0.2, 100).adjusted(band(100), NOW)
    assert (found.p50 - NOW).total_seconds() == pytest.approx(200, rel=0.1)
    assert (found.p10 - NOW).total_seconds() == pytest.approx(200 * math.exp(-1.28 * 0.2), rel=0.15)
    assert (found.p90 - NOW).total_seconds() == pytest.approx(200 * math.exp(1.28 * 0.2), rel=0.15)


def test_what_was_learnt_far_ahead_says_nothing_of_the_next_second() -> None:
    assert learned(2.0, 0.2, 100).adjusted(band(1), NOW) == band(1)


def test_a_run_that_was_stopped_teaches_nothing() -> None:
    track = EndTrack()
    for number in range(2 * FEWEST):
        track.note({f"r{number}": band(100)}, NOW)
        track.forget(f"r{number}")
        track.ended(f"r{number}", NOW + timedelta(seconds=500))
    assert track.adjusted(band(100), NOW) == band(100)


def test_one_run_counts_only_so_often() -> None:
    track = EndTrack()
    for _ in range(1000):
        track.note({"r": band(100)}, NOW)
    track.ended("r", NOW + timedelta(seconds=500))
    assert track.adjusted(band(100), NOW) == band(100)
