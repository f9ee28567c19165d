"""What each estimator makes of hints and past runs."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.placement import Estimate
from server.estimators.chain import ChainEstimator
from server.estimators.declared import DeclaredEstimator
from server.estimators.history import HistoryEstimator
from server.estimators.interface import EstimatorInterface, Profile
from server.testing.contracts.estimator import FOREST, an_observation
from server.testing.contracts.placement_requests import a_node

SLOW = a_node("slow", speed=0.5, labels={"worker_type": "low"})
TWIN = a_node("twin", speed=0.5, labels={"worker_type": "low"})
FAST = a_node("fast", speed=2.0, labels={"worker_type": "high-cpu"})
TRAIN = Profile("train", "v1", "default", 1000)


def only(estimator: EstimatorInterface, profile: Profile = TRAIN, node: object = SLOW) -> Estimate:
    ((found,),) = estimator.estimate([profile], [node])  # type: ignore[list-item]  # always a node
    assert found is not None
    return found


def taught(*seconds: float, node: object = SLOW, profile: Profile = TRAIN) -> HistoryEstimator:
    estimator = HistoryEstimator()
    estimator.observe([an_observation(profile, node, run) for run in seconds])  # type: ignore[arg-type]  # a node
    return estimator


def test_declared_seconds_are_operations_over_speed_plus_the_overhead() -> None:
    estimator = DeclaredEstimator(overhead_seconds=3, operations_per_second=1e6)
    profile = Profile("train", "v1", "default", 1000, workload={"operations": 4e6})
    assert only(estimator, profile, FAST).p50 == pytest.approx(3 + 2)
    assert only(estimator, profile, SLOW).p50 == pytest.approx(3 + 8)


def test_half_a_processor_takes_twice_as_long() -> None:
    estimator = DeclaredEstimator(overhead_seconds=0, operations_per_second=1e6)
    whole = only(estimator, Profile("a", "a", "default", 1000, workload={"operations": 4e6}))
    half = only(estimator, Profile("a", "a", "default", 500, workload={"operations": 4e6}))
    assert half.p50 == pytest.approx(2 * whole.p50)


def test_more_processors_help_only_what_can_use_them() -> None:
    estimator = DeclaredEstimator(overhead_seconds=0)
    forest = [only(estimator, Profile("f", "f", "default", cpus, workload=FOREST)).p50 for cpus in (1000, 8000)]
    tree = {**FOREST, "model": {"type": "decision_tree", "params": {}}}
    single = [only(estimator, Profile("t", "t", "default", cpus, workload=tree)).p50 for cpus in (1000, 8000)]
    assert forest[1] < forest[0] / 4
    assert single[1] == single[0]


def test_an_accelerator_is_worth_more_than_one_processor() -> None:
    estimator = DeclaredEstimator(overhead_seconds=0)
    cpu = only(estimator, Profile("f", "f", "cpu", 1000, workload=FOREST))
    gpu = only(estimator, Profile("f", "f", "gpu", 1000, (("gpu", 1),), workload=FOREST))
    assert gpu.p50 < cpu.p50 / 5


def test_without_hints_nothing_is_declared() -> None:
    assert DeclaredEstimator().estimate([TRAIN], [SLOW]) == [[None]]


def test_one_run_already_helps() -> None:
    found = only(taught(20.0))
    assert found.p50 == pytest.approx(20.0)
    assert found.source == "from 1 run on slow"


def test_history_is_the_median_and_an_outlier_does_not_move_it() -> None:
    assert only(taught(20, 21, 19, 20, 900)).p50 == pytest.approx(20, rel=0.02)


def test_the_band_narrows_with_runs_that_agree_and_widens_with_runs_that_do_not() -> None:
    one, many = only(taught(20)), only(taught(*[20.0] * 20))
    wild = only(taught(*[5.0, 20.0, 80.0] * 7))
    assert many.p90 - many.p10 < one.p90 - one.p10 < wild.p90 - wild.p10


def test_runs_on_a_node_teach_about_its_class() -> None:
    found = only(taught(*[20.0] * 14), node=TWIN)
    assert found.p50 == pytest.approx(20.0)
    assert found.source == "from 14 runs on low nodes"


def test_runs_elsewhere_are_scaled_by_speed_with_a_wider_band() -> None:
    history = taught(*[20.0] * 5)
    here, there = only(history, node=SLOW), only(history, node=FAST)
    assert there.p50 == pytest.approx(5.0)
    assert there.p90 / there.p10 > here.p90 / here.p10
    assert there.source == "from 5 runs on other nodes, scaled by speed"


def test_a_node_that_is_slower_than_its_class_is_found_out() -> None:
    history = taught(*[20.0] * 20, node=SLOW)
    history.observe([an_observation(TRAIN, TWIN, 60.0) for _ in range(10)])
    assert only(history, node=TWIN).p50 > 40
    assert only(history, node=SLOW).p50 < 25


def test_failed_runs_teach_nothing() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, SLOW, 1.0, state=state) for state in ("failed", "oom", "timeout")])
    assert history.estimate([TRAIN], [SLOW]) == [[None]]


def test_recent_runs_count_when_the_code_became_slower_elsewhere() -> None:
    assert only(taught(*[10.0] * 40, *[30.0] * 40)).p50 == pytest.approx(30.0)


def test_options_are_learnt_apart() -> None:
    history = taught(20.0)
    assert history.estimate([Profile("train", "v1", "gpu", 1000)], [SLOW]) == [[None]]


def test_run_time_follows_the_size_of_the_inputs_once_runs_show_it() -> None:
    history = HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32, 64):
        seen = Profile("load", "v1", "default", 1000, input_bytes=megabytes * 1e6)
        history.observe([an_observation(seen, SLOW, 3.0 * megabytes)])
    found = only(history, Profile("load", "v1", "default", 1000, input_bytes=128e6))
    assert found.p50 == pytest.approx(3.0 * 128, rel=0.05)


def test_the_largest_peak_of_memory_is_remembered() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, SLOW, 5.0, peak_memory_bytes=peak) for peak in (1e9, 3e9, 2e9)])
    assert only(history).peak_memory_bytes == 3e9


def test_what_history_keeps_is_bounded() -> None:
    history = HistoryEstimator()
    for number in range(6_000):
        profile = Profile("c", f"v{number}", "default", 1000)
        history.observe([an_observation(profile, a_node(f"n{number}"), 5.0)])
    history.observe([an_observation(TRAIN, a_node(f"n{number}"), 5.0) for number in range(1_000)])
    assert len(history._records) <= 5_000
    record = history._records["v1", "default"]
    assert len(record.by_node) <= 256
    assert len(record.by_class) <= 64


def test_the_chain_prefers_runs_then_earlier_versions_then_hints_then_a_guess() -> None:
    chain = ChainEstimator()
    hinted = Profile("train", "v1", "default", 1000, workload=FOREST)
    assert only(chain).source == "a guess"
    assert only(chain, hinted).source == "from the hints"
    chain.observe([an_observation(Profile("train", "v0", "default", 1000), SLOW, 12.0)])
    earlier = only(chain, hinted)
    assert earlier.source == "from 1 run of other versions on slow"
    chain.observe([an_observation(TRAIN, SLOW, 15.0)])
    own = only(chain, hinted)
    assert own.source == "from 1 run on slow"
    assert own.p50 == pytest.approx(15.0)
    assert own.p90 / own.p10 < earlier.p90 / earlier.p10


def test_even_a_guess_tells_fast_from_slow() -> None:
    chain = ChainEstimator(default_seconds=30, overhead_seconds=0)
    assert only(chain, node=FAST).p50 == pytest.approx(15)
    assert only(chain, node=SLOW).p50 == pytest.approx(60)


@given(sigma=st.floats(0.05, 0.5), seed=st.integers(0, 1000))
def test_history_comes_close_to_the_true_median(sigma: float, seed: int) -> None:
    chance = random.Random(seed)
    found = only(taught(*[chance.lognormvariate(3, sigma) for _ in range(32)]))
    assert abs(math.log(found.p50) - 3) < 4 * sigma * 1.2533 / math.sqrt(32)
