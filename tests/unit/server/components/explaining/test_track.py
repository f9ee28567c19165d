"""Bands learn from how forecasts turned out, per kind and strategy."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from server.components.explaining.track import FEWEST, KINDS, MOST_OPEN, ForecastTrack, Kind
from server.components.explaining.values import Band
from server.domain.run import TaskKey

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TASK = TaskKey("train")


def band(seconds: float, spread: float = 1.1) -> Band:
    return Band(*(NOW + timedelta(seconds=one) for one in (seconds / spread, seconds, seconds * spread)))


def learned(factor: float, sigma: float, count: int, kind: Kind = "run-ends", strategy: str = "a") -> ForecastTrack:
    """A track of forecasts of 100 s that took `factor` times as long, give or take."""
    track, rng = ForecastTrack(), random.Random(5)
    for number in range(count):
        track.shown(kind, strategy, {(f"r{number}", TASK): band(100)}, NOW)
        took = 100 * factor * math.exp(rng.gauss(0, sigma))
        track.came(kind, (f"r{number}", TASK), NOW + timedelta(seconds=took))
    return track


def wide(seconds: float, kind: Kind = "run-ends") -> Band:
    """The band of a track without experience."""
    return ForecastTrack().adjusted(kind, "a", band(seconds), NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_without_experience_a_band_is_somewhat_wider_than_its_run_times_make_it(kind: Kind) -> None:
    found = wide(100, kind)
    assert (found.p50 - NOW).total_seconds() == pytest.approx(100)
    if kind == "running-ends":
        assert (found.p10 - NOW).total_seconds() == pytest.approx(100 / 1.1)
        assert (found.p90 - NOW).total_seconds() == pytest.approx(100 * 1.1)
    else:
        widest = 1.45 if kind == "run-ends" else 1.3
        assert 100 / widest < (found.p10 - NOW).total_seconds() < 85
        assert 120 < (found.p90 - NOW).total_seconds() < 100 * widest
    assert learned(2.0, 0.1, FEWEST - 1, kind).adjusted(kind, "a", band(100), NOW) == found


def test_few_forecasts_count_for_little_and_many_for_nearly_all() -> None:
    found = [
        (learned(2.0, 0.1, count).adjusted("run-ends", "a", band(100), NOW).p50 - NOW).total_seconds()
        for count in (0, FEWEST, 3 * FEWEST, 30 * FEWEST)
    ]
    assert found == sorted(found)
    assert found[1] < 140 < found[2] < 180 < found[3] < 210


def test_what_is_awaited_for_long_counts_before_it_comes() -> None:
    """Half of the runs take a tenth of the time and end; the others are not there after ten times as long."""
    track = ForecastTrack()
    for number in range(60):
        track.shown("run-ends", "a", {(f"r{number}", None): band(100)}, NOW)
        if number % 2:
            track.came("run-ends", (f"r{number}", None), NOW + timedelta(seconds=10))
    later = NOW + timedelta(seconds=1000)
    moved = Band(*(later + timedelta(seconds=one) for one in (90, 100, 110)))
    found = track.adjusted("run-ends", "a", moved, later)
    assert (found.p10 - later).total_seconds() < 20
    assert (found.p90 - later).total_seconds() > 500


def test_a_band_is_judged_when_its_end_has_passed_and_not_again_when_it_comes() -> None:
    def high_share(track: ForecastTrack) -> float:
        (document,) = track.documents().values()
        return float(document["shares"][1])

    track = ForecastTrack()
    track.shown("run-ends", "a", {("r", None): band(100)}, NOW)
    before = high_share(track)
    track.adjusted("run-ends", "a", band(1000), NOW + timedelta(seconds=500))
    after_passing = high_share(track)
    assert after_passing > before
    track.came("run-ends", ("r", None), NOW + timedelta(seconds=600))
    assert high_share(track) == after_passing


@pytest.mark.parametrize("kind", KINDS)
def test_a_band_moves_to_where_ends_came(kind: Kind) -> None:
    found = learned(2.0, 0.2, 100, kind).adjusted(kind, "a", band(100), NOW)
    assert (found.p50 - NOW).total_seconds() == pytest.approx(200, rel=0.1)
    assert (found.p10 - NOW).total_seconds() == pytest.approx(200 * math.exp(-1.28 * 0.2), rel=0.2)
    assert (found.p90 - NOW).total_seconds() == pytest.approx(200 * math.exp(1.28 * 0.2), rel=0.2)


def test_what_was_learnt_far_ahead_says_nothing_of_the_next_second() -> None:
    assert learned(2.0, 0.2, 100).adjusted("run-ends", "a", band(1), NOW) == wide(1)


def test_kinds_learn_apart_and_a_new_strategy_begins_with_what_others_know() -> None:
    track = learned(2.0, 0.2, 100, "task-starts")
    assert track.adjusted("task-ends", "a", band(100), NOW) == wide(100, "task-ends")
    assert track.adjusted("task-starts", "b", band(100), NOW).p50 > band(150).p50
    for number in range(100):
        track.shown("task-starts", "b", {(f"b{number}", TASK): band(100)}, NOW)
        track.came("task-starts", (f"b{number}", TASK), NOW + timedelta(seconds=100))
    assert (track.adjusted("task-starts", "b", band(100), NOW).p50 - NOW).total_seconds() == pytest.approx(100, rel=0.1)


def test_what_was_stopped_teaches_nothing() -> None:
    track = ForecastTrack()
    for number in range(2 * FEWEST):
        run = f"r{number}"
        track.shown("run-ends", "a", {(run, None): band(100)}, NOW)
        track.shown("task-ends", "a", {(run, TASK): band(100)}, NOW)
        track.forget("task-ends", (run, TASK))
        track.forget_run(run)
        track.came("run-ends", (run, None), NOW + timedelta(seconds=500))
        track.came("task-ends", (run, TASK), NOW + timedelta(seconds=500))
    assert track.adjusted("run-ends", "a", band(100), NOW) == wide(100)
    assert track.judged == 0


def test_one_run_counts_only_so_often_and_few_are_open_at_once() -> None:
    track = ForecastTrack()
    for _ in range(1000):
        track.shown("run-ends", "a", {("r", None): band(100)}, NOW)
    track.came("run-ends", ("r", None), NOW + timedelta(seconds=500))
    assert track.judged == 1
    track.shown("run-ends", "a", {(f"r{number}", None): band(100) for number in range(2 * MOST_OPEN)}, NOW)
    for number in range(2 * MOST_OPEN):
        track.came("run-ends", (f"r{number}", None), NOW)
    assert track.judged == 1 + MOST_OPEN


def test_bands_that_fail_too_often_become_wider_even_where_errors_keep_growing() -> None:
    """Each is a little later than all before it: quantiles of the past alone would always be too low."""
    track, outside = ForecastTrack(), 0
    for number in range(600):
        shown = track.shown("task-ends", "a", {("r", TASK): band(100)}, NOW)["r", TASK]
        came = NOW + timedelta(seconds=100 * math.exp(0.002 * number + random.Random(number).gauss(0, 0.3)))
        outside += number >= 100 and not shown.p10 <= came <= shown.p90
        track.came("task-ends", ("r", TASK), came)
    assert 0.15 <= outside / 500 <= 0.25
    (found,) = track.reliabilities()
    assert found.coverage is not None
    assert 0.75 <= found.coverage <= 0.85


def test_plans_keep_their_medians() -> None:
    found = learned(2.0, 0.2, 100).around("run-ends", "a", {("r", None): band(100)}, NOW)["r", None]
    assert found.p50 == band(100).p50
    assert found.p10 == band(100).p50
    assert (found.p90 - NOW).total_seconds() > 220


def test_all_experience_can_be_written_down_and_read_back() -> None:
    track = learned(2.0, 0.2, 100)
    again = ForecastTrack()
    for document in track.documents().values():
        again.learn(json.loads(json.dumps(document)))
    assert again.reliabilities() == track.reliabilities()
    one, other = (each.adjusted("run-ends", "a", band(100), NOW) for each in (again, track))
    assert (one.p90 - NOW).total_seconds() == pytest.approx((other.p90 - NOW).total_seconds(), rel=1e-3)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "weather", "strategy": "a", "shares": [0.1, 0.9], "samples": []},
        {"kind": "run-ends", "strategy": "a", "shares": ["x", 1], "samples": []},
        {"kind": "run-ends", "strategy": "a", "shares": [0.1, 0.9], "samples": [[1]]},
    ],
)
def test_what_is_no_experience_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        ForecastTrack().learn(document)
