"""Bands that past forecasts correct kind by kind still fit together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from server.components.explaining.calibrating import Foretold, calibrated, corrected
from server.components.explaining.scene import Scene
from server.components.explaining.track import ForecastTrack, Kind, Subject
from server.components.explaining.values import Band
from server.domain.node import Snapshot
from server.domain.placement import Estimates
from server.domain.run import TaskKey

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FIRST, LAST = ("r", TaskKey("first")), ("r", TaskKey("last"))


def band(*seconds: float) -> Band:
    low, middle, high = (NOW + timedelta(seconds=one) for one in seconds)
    return Band(low, middle, high)


def only_task_ends_are_doubled(
    kind: Kind, strategy: str, bands: Mapping[Subject, Band], now: datetime
) -> Mapping[Subject, Band]:
    by = 2 if kind == "task-ends" else 1
    return {of: Band(*(NOW + by * (one - NOW) for one in (b.p10, b.p50, b.p90))) for of, b in bands.items()}


def test_no_run_ends_before_its_tasks_and_no_task_before_it_starts() -> None:
    starts = {FIRST: band(1, 1, 1), LAST: band(30, 35, 90)}
    ends = {FIRST: band(5, 6, 7), LAST: band(20, 25, 30)}
    found = corrected(Foretold(starts, ends, {"r": band(21, 26, 31)}), only_task_ends_are_doubled, "s", NOW, ())
    assert found.starts == starts
    assert found.ends == {FIRST: band(10, 12, 14), LAST: band(40, 50, 90)}
    assert found.run_ends == {"r": band(40, 50, 90)}


def test_no_task_starts_before_what_it_waits_for_ends() -> None:
    starts = {LAST: band(3, 6, 8), FIRST: band(1, 1, 1)}
    ends = {LAST: band(9, 10, 30), FIRST: band(5, 6, 7)}
    raw = Foretold(starts, ends, {"r": band(9, 10, 30)}, waits_for={LAST: (FIRST,)})
    found = corrected(raw, only_task_ends_are_doubled, "s", NOW, ())
    assert found.ends[FIRST] == band(10, 12, 14)
    assert found.starts == {FIRST: band(1, 1, 1), LAST: band(10, 12, 14)}


def test_a_run_ends_with_the_task_that_comes_after_all_its_others() -> None:
    starts, ends = {FIRST: band(-9, -9, -9), LAST: band(5, 6, 7)}, {FIRST: band(5, 6, 7), LAST: band(7, 8, 9)}
    raw = Foretold(starts, ends, {"r": band(1, 6, 90)}, waits_for={LAST: (FIRST,)}, last={"r": LAST})
    found = corrected(raw, only_task_ends_are_doubled, "s", NOW, ())
    assert found.run_ends["r"] == found.ends[LAST] == band(14, 16, 90)
    alone = Foretold({LAST: starts[LAST]}, {LAST: ends[LAST]}, {"r": band(1, 6, 90)}, last={"r": LAST})
    found = corrected(alone, only_task_ends_are_doubled, "s", NOW, ())
    assert found.run_ends["r"] == found.ends[LAST] == band(14, 16, 18)


def test_bands_are_judged_as_they_were_told() -> None:
    scene = Scene(
        now=NOW,
        snapshot=Snapshot(NOW, ()),
        estimates=Estimates({}, {}, ()),
        plan={},
        positions={},
        starts={LAST: band(-5, -5, -5)},
        ends={LAST: band(5, 6, 7)},
        run_ends={"r": band(1, 6, 90)},
        runs=frozenset("r"),
        silent={},
        strategy="s",
        last={"r": LAST},
    )
    track = ForecastTrack()
    assert calibrated(scene, track, ()).run_ends == {"r": band(5, 6, 7)}
    track.came("run-ends", ("r", None), NOW + timedelta(seconds=30))
    assert [(one.asked, one.inside) for one in track.reliabilities() if one.kind == "run-ends"] == [(1, 0)]


def test_what_is_silent_stays_as_it_is_but_for_its_order() -> None:
    raw = Foretold({FIRST: band(1, 1, 1)}, {FIRST: band(5, 6, 7)}, {"r": band(5, 6, 9), "other": band(1, 2, 3)})
    assert corrected(raw, only_task_ends_are_doubled, "s", NOW, {"r"}) == raw
