"""Quantities as Kubernetes writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.kube.quantities import LARGEST, millis, quantity, units


@pytest.mark.parametrize(
    ("text", "millicores"),
    [
        ("2", 2000),
        ("1500m", 1500),
        ("0.1", 100),
        (".5", 500),
        ("2.", 2000),
        ("1e3", 1_000_000),
        ("100u", 1),
        ("1n", 1),
        ("0", 0),
        ("+1", 1000),
    ],
)
def test_processors_are_counted_in_thousandths_rounded_up(text: str, millicores: int) -> None:
    assert millis(quantity(text)) == millicores


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0.5Gi", 2**29),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("12e-1", 2),
        ("1500m", 2),
        ("128974848", 128974848),
        ("129M", 129_000_000),
        ("123Mi", 123 * 2**20),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5T", 1_500_000_000_000),
        ("1Pi", 2**50),
        ("1000E", LARGEST),
    ],
)
def test_bytes_are_counted_whole_rounded_up(text: str, size: int) -> None:
    assert units(quantity(text)) == size


@pytest.mark.parametrize(
    "text", ["", "x", "1 Gi", "1gi", "1K", "-1", "1e", "1e3Mi", "0x10", "1_000", "١", ".", "1.2.3"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a quantity|is negative"):
        quantity(text)


@given(st.integers(0, 10**12))
def test_a_quantity_is_exact(number: int) -> None:
    assert quantity(f"{number}m") == Fraction(number, 1000)
    assert quantity(f"{number}Mi") == number * 2**20
