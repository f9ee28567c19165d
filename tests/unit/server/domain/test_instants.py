"""Instants never leave the calendar."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.instants import FIRST, LAST, after

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@given(st.floats(min_value=-1e9, max_value=1e9))
def test_a_usual_time_is_just_added(seconds: float) -> None:
    assert after(NOW, seconds) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [2.6e11, 1e14, 1e300, math.inf])
def test_what_is_beyond_the_calendar_ends_with_it(seconds: float) -> None:
    assert after(NOW, seconds) == LAST
    assert after(NOW, -seconds) == FIRST


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_later_stays_later(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert after(NOW, low) <= after(NOW, high)
    assert after(NOW, low).astimezone().isoformat()
