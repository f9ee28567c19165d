"""Quantiles where some values are only known to be greater than what was seen of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.components.explaining.censored import quantiles

SHARES = (0.1, 0.5, 0.9)
numbers = st.lists(st.floats(-100, 100), max_size=30)


def test_with_all_known_the_kth_of_n_is_below_k_in_n_and_one_more() -> None:
    assert quantiles(list(range(1, 10)), [], SHARES) == pytest.approx((1, 5, 9))
    assert quantiles(list(range(1, 10)), [], (0.25,)) == pytest.approx((2.5,))


def test_what_is_still_awaited_moves_the_upper_quantiles_and_not_the_lowest() -> None:
    known = quantiles(list(range(20)), [], SHARES)
    found = quantiles(list(range(20)), [10.0] * 10, SHARES)
    assert found[0] < 3
    assert found[1] > known[1]
    assert found[2] >= known[2]


def test_quantiles_of_a_sample_that_is_seen_in_part_are_about_those_of_the_whole() -> None:
    rng = random.Random(3)
    values = [rng.gauss(0, 1) for _ in range(2000)]
    seen = [rng.gauss(0.5, 1) for _ in values]
    known = [value for value, until in zip(values, seen, strict=True) if value <= until]
    still = [until for value, until in zip(values, seen, strict=True) if value > until]
    low, middle, high = quantiles(known, still, SHARES)
    assert (low, middle, high) == pytest.approx((-1.28, 0.0, 1.28), abs=0.15)
    assert quantiles(known, [], SHARES)[2] < 1.1


@given(numbers.filter(bool), numbers)
def test_quantiles_are_in_order_and_among_the_values(known: list[float], still: list[float]) -> None:
    found = quantiles(known, still, SHARES)
    assert list(found) == sorted(found)
    assert min(known) <= found[0]
    assert found[-1] <= max([*known, *still])


def test_a_quantile_between_equal_values_is_not_rounded_beyond_them() -> None:
    found = quantiles([53.0, 53.0, -75.25914342714212], [], SHARES)
    assert list(found) == sorted(found)
    assert found[-1] == 53.0
