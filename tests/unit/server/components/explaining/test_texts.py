"""Spans and ranges of spans as people read them, the same in the server's sentences and in the command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlopx.cli import output
from server.components.explaining.texts import between, span, spans


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (5.0, 12.0, "5.0 to 12 s"),
        (77.0, 114.0, "1 min 17 s to 1 min 54 s"),
        (40.0, 114.0, "40 s to 1 min 54 s"),
        (70.0, 99.0, "70 to 99 s"),
        (40.1, 40.2, "40 s"),
        (100.0, 7500.0, "1 min 40 s to 2 h 05 min"),
    ],
)
def test_both_ends_of_a_range_are_said_alike(low: float, high: float, said: str) -> None:
    assert spans(low, high) == said


def test_a_minute_is_not_passed_by_rounding() -> None:
    assert span(99.4) == "99 s"
    assert span(119.6) == "2 min 00 s"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (5.0, 12.0, "5.0 to 12.0 s"),
        (77.0, 114.0, "1 min 17 s to 1 min 54 s"),
        (5.0, 114.0, "5.0 s to 1 min 54 s"),
        (3.0, 3.0, "3.0 s"),
    ],
)
def test_the_command_says_them_alike_too(low: float, high: float, said: str) -> None:
    assert output.between(low, high) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(5, 12, "in 5.0 to 12 s"), (0.2, 12, "within 12 s"), (-3, 90, "within 90 s"), (-3, 0.5, "any moment now")],
)
def test_what_may_come_at_once_is_expected_within_a_span(low: float, high: float, said: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert between(now, now + timedelta(seconds=low), now + timedelta(seconds=high)) == said
