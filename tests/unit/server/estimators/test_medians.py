"""Medians of many mixtures at once are those of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from server.estimators.predicting import FEW_MEANS, _medians


@pytest.mark.parametrize("spread", [0.0, 1e-6, 0.01, 1.0, 30.0])
@pytest.mark.parametrize("columns", [1, 2, 3, 40, 300])
def test_many_medians_are_those_of_each_row(spread: float, columns: int) -> None:
    chance = np.random.default_rng(columns)
    rows = FEW_MEANS // columns + 50
    means = chance.normal(size=(rows, 1)) * 5 + spread * chance.normal(size=(rows, columns))
    shares = chance.dirichlet(np.full(columns, 0.3))
    found = _medians(means, shares)
    alone = np.array([_medians(row[None, :], shares)[0] for row in means])
    assert (found == alone).all()


def test_one_of_all_the_weight_is_the_median() -> None:
    means = np.tile([3.0, 1.0, 2.0], (FEW_MEANS, 1))
    assert (_medians(means, np.array([1.0, 0.0, 0.0])) == 3.0).all()


def test_of_two_halves_the_lower_is_the_median() -> None:
    means = np.tile([3.0, 1.0, 2.0, 4.0], (FEW_MEANS, 1))
    assert (_medians(means, np.full(4, 0.25)) == 2.0).all()
