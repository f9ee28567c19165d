"""Estimates count as much as their bands deserve: narrow ones by their word, wide ones drawn towards the others."""

from __future__ import annotations

import numpy as np
import pytest

from server.planning.believing import ASSUMED_VARIANCE, belief_of
from server.planning.problem import NEVER


def told(seconds: list[list[float]], spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As estimates come: one row per task, the same spread everywhere."""
    table = np.array(seconds, np.float32)
    return table, np.full_like(table, spread), np.arange(len(table), dtype=np.int32)


def means_over_medians(seconds: np.ndarray, spread: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return belief_of(seconds, spread, rows).means_over_medians(seconds, spread)


def test_certain_estimates_stay_as_they_are() -> None:
    assert means_over_medians(*told([[1.0, 2.0], [50.0, 100.0], [7.0, 7.0]], 0.0)) == pytest.approx([1, 1, 1])


def test_wide_estimates_are_drawn_towards_the_others_and_keep_their_order() -> None:
    seconds, spread, rows = told([[1.0], [10.0], [100.0]] * 20, 0.8)
    short, middle, long = (means_over_medians(seconds, spread, rows) * seconds[:, 0])[:3]
    assert 1.5 < short < middle < long < 100
    assert middle == pytest.approx(10 * np.exp(belief_of(seconds, spread, rows).weight(spread[0, 0]) * 0.32), rel=1e-5)


def test_where_errors_explain_all_differences_estimates_hardly_count() -> None:
    rng = np.random.default_rng(5)
    seconds, spread, rows = told([[value] for value in 30 * np.exp(0.6 * rng.standard_normal(500))], 0.6)
    believed = means_over_medians(seconds, spread, rows) * seconds[:, 0]
    assert np.log(believed).std() < 0.1
    assert np.median(believed) == pytest.approx(30, rel=0.15)


def test_what_is_believed_is_nearer_to_the_truth_than_what_is_told() -> None:
    rng = np.random.default_rng(6)
    truth = rng.normal(3, 0.9, 400)
    seconds, spread, rows = told([[value, 2 * value] for value in np.exp(truth + rng.normal(0, 0.6, 400))], 0.6)
    belief = belief_of(seconds, spread, rows)
    assert belief.variance == pytest.approx(0.81, rel=0.2)
    weight = float(belief.weight(np.array(0.6)))
    believed = np.log(means_over_medians(seconds, spread, rows) * seconds[:, 0]) - weight * 0.18
    told_error, error = (np.square(one - truth).mean() for one in (np.log(seconds[:, 0]), believed))
    assert error < 0.8 * told_error


def test_a_lone_task_is_believed() -> None:
    assert means_over_medians(*told([[40.0, 80.0]], 0.5)) == pytest.approx([np.exp(0.125 * 1 / 1.25)], rel=0.1)


def test_rows_that_can_run_nowhere_tell_nothing() -> None:
    seconds, spread, rows = told([[NEVER, NEVER], [10.0, NEVER], [10.0, 20.0]], 0.3)
    assert np.isfinite(means_over_medians(seconds, spread, rows)).all()
    nowhere = belief_of(*told([[NEVER, NEVER]], 0.3))
    assert nowhere.variance == ASSUMED_VARIANCE


def test_the_median_of_one_estimate_and_its_spread_shrink_together() -> None:
    belief = belief_of(*told([[1.0], [10.0], [100.0]] * 20, 0.8))
    assert belief.median(10.0, 0.8)[0] == pytest.approx(10)
    seconds, spread = belief.median(100.0, 0.8)
    assert 10 < seconds < 100
    assert spread < 0.8
    assert belief.median(100.0, 0.0) == (pytest.approx(100), 0)
