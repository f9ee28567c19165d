"""Cron expressions in time zones, over the nights on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.components.recurring.calendar import read_calendar
from server.domain.errors import InvalidRequestError

BERLIN = "Europe/Berlin"


def instants(cron: str, first: datetime, count: int, zone: str = BERLIN) -> list[str]:
    """The next due times, in UTC."""
    calendar, found = read_calendar(cron, zone), [first]
    for _ in range(count):
        following = calendar.after(found[-1])
        assert following is not None
        found.append(following)
    return [f"{one:%m-%d %H:%M}" for one in found[1:]]


def test_a_daily_time_stays_where_it_is_on_the_wall(  # 06:30 in Berlin is 05:30 UTC in winter, 04:30 in summer
) -> None:
    found = instants("30 6 * * *", datetime(2026, 3, 28, tzinfo=UTC), 3)
    assert found == ["03-28 05:30", "03-29 04:30", "03-30 04:30"]


def test_a_time_that_the_clock_jumps_over_comes_right_after_the_jump() -> None:
    found = instants("30 2 * * *", datetime(2026, 3, 28, tzinfo=UTC), 3)
    assert found == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_a_time_that_the_clock_shows_twice_comes_once() -> None:
    found = instants("30 2 * * *", datetime(2026, 10, 24, tzinfo=UTC), 3)
    assert found == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_an_hourly_time_comes_every_hour_that_passes() -> None:
    found = instants("0 * * * *", datetime(2026, 10, 24, 23, 30, tzinfo=UTC), 4)
    assert found == ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]


def test_other_hemispheres_and_half_hours_are_known() -> None:
    found = instants("0 9 * * 1", datetime(2026, 4, 3, tzinfo=UTC), 2, "Australia/Lord_Howe")
    assert found == ["04-05 22:30", "04-12 22:30"]


@settings(deadline=None, max_examples=50)
@given(
    cron=st.sampled_from(["30 2 * * *", "*/20 * * * *", "0 * * * *", "15 1-3 * * *", "0 0 29 2 *", "0 3 * * 0"]),
    zone=st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    minutes=st.integers(0, 700 * 24 * 60),
    hours=st.integers(1, 72),
)
def test_looking_back_finds_what_looking_ahead_finds(cron: str, zone: str, minutes: int, hours: int) -> None:
    calendar = read_calendar(cron, zone)
    after = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    until = after + timedelta(hours=hours)
    ahead, at = [], calendar.after(after)
    while at is not None and at <= until:
        ahead.append(at)
        at = calendar.after(at)
    assert calendar.between(after, until, 1000) == ahead
    assert calendar.between(after, until, 2) == ahead[-2:]


def test_names_for_common_times_are_read() -> None:
    assert read_calendar("@daily", BERLIN).cron == "0 0 * * *"


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "a b c d e", "0 0 31 2 *", "0 25 * * *", "@never"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(InvalidRequestError, match="the cron expression"):
        read_calendar(cron, BERLIN)
