"""Plans whose run times stand on past runs get bands as wide as past forecasts allow; their medians stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from server.components.explaining.track import ForecastTrack
from server.components.explaining.values import Band
from server.components.forecasting.report import Bar, PlanReport, with_experience
from server.domain.placement import Hold
from server.domain.run import TaskKey

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TASK = TaskKey("train")


def band(low: float, middle: float, high: float) -> Band:
    return Band(*(NOW + timedelta(seconds=one) for one in (low, middle, high)))


def bar(run: str, *, is_from_history: bool = True, starts: Band | None = None) -> Bar:
    return Bar(run, TASK, "n", "", False, is_from_history, starts or band(29, 30, 31), band(95, 100, 105))


def report(*bars: Bar, holds: tuple[Hold, ...] = ()) -> PlanReport:
    ends = {one.run_id: band(95, 100, 105) for one in bars}
    return PlanReport("a", "turnaround", NOW, bars, holds, ends, 100.0, (), "", None, None)


def experience() -> ForecastTrack:
    """Ends came 20 to 60 % later than foretold, starts 10 to 30 %."""
    track = ForecastTrack()
    for number in range(100):
        run, more = f"r{number}", number / 100
        track.shown("run-ends", "a", {(run, None): band(95, 100, 105)}, NOW)
        track.shown("task-ends", "a", {(run, TASK): band(95, 100, 105)}, NOW)
        track.shown("task-starts", "a", {(run, TASK): band(29, 30, 31)}, NOW)
        track.came("task-starts", (run, TASK), NOW + timedelta(seconds=30 * (1.1 + 0.2 * more)))
        track.came("task-ends", (run, TASK), NOW + timedelta(seconds=100 * (1.2 + 0.4 * more)))
        track.came("run-ends", (run, None), NOW + timedelta(seconds=100 * (1.2 + 0.4 * more)))
    return track


def test_bands_are_as_wide_as_past_forecasts_allow() -> None:
    found = with_experience(report(bar("x")), experience())
    for one in (found.bars[0].ends, found.ends["x"]):
        assert one.p50 == band(95, 100, 105).p50
        assert 150 <= (one.p90 - NOW).total_seconds() <= 160
    assert found.bars[0].starts.p50 == band(29, 30, 31).p50
    assert 38 <= (found.bars[0].starts.p90 - NOW).total_seconds() <= 39


def test_guesses_and_parts_of_what_is_held_stay_as_they_are() -> None:
    guess = report(bar("x", is_from_history=False), bar("y"), holds=(Hold("y", TaskKey("other"), "no room"),))
    assert with_experience(guess, experience()) == guess


def test_no_task_ends_before_it_starts() -> None:
    late = bar("x", starts=band(90, 98, 250))
    (found,) = with_experience(report(late), experience()).bars
    assert found.ends.p90 >= found.starts.p90
