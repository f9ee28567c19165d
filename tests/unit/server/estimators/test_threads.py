"""Cycles, plans and explanations ask at once, about clusters of different sizes: nobody gets others' rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.estimators.chain import ChainEstimator
from server.estimators.interface import Profile
from server.testing.contracts.placement_requests import a_node


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_every_answer_is_as_wide_as_its_question() -> None:
    estimator = ChainEstimator()
    profiles = [Profile(f"c{number}", f"d{number}", "default", 1000, (), 0.0, {}, {}) for number in range(20)]
    clusters = [[a_node(f"n{index}", speed=1.0 + index) for index in range(width)] for width in (2, 3, 5)]

    def ask(turn: int) -> bool:
        nodes = clusters[turn % 3]
        return all(len(row) == len(nodes) for row in estimator.estimate(profiles, nodes))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(300)))
