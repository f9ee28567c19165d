"""What each estimator makes of hints and past runs."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators import history as history_module
from server.estimators.chain import ChainEstimator
from server.estimators.declared import DeclaredEstimator
from server.estimators.history import HistoryEstimator
from server.estimators.interface import EstimatorInterface, Profile
from server.estimators.machines import MachineSpeeds
from server.estimators.records import Record
from server.testing.contracts.estimator import FOREST, an_observation
from server.testing.contracts.placement_requests import a_node

SLOW = a_node("slow", speed=0.5, labels={"worker_type": "low"})
TWIN = a_node("twin", speed=0.5, labels={"worker_type": "low"})
FAST = a_node("fast", speed=2.0, labels={"worker_type": "high-cpu"})
TRAIN = Profile("train", "v1", "default", 1000)


def only(estimator: EstimatorInterface, profile: Profile = TRAIN, node: Node = SLOW) -> Estimate:
    ((found,),) = estimator.estimate([profile], [node])
    assert found is not None
    return found


def taught(*seconds: float, node: Node = SLOW, spread_over_nodes: bool = False) -> HistoryEstimator:
    estimator = HistoryEstimator()
    twins = [a_node(f"twin-{number}", speed=node.speed, labels=node.labels) for number in range(len(seconds))]
    for run, twin in zip(seconds, twins, strict=True):
        estimator.observe([an_observation(TRAIN, twin if spread_over_nodes else node, run)])
    return estimator


def sized(megabytes: float) -> Profile:
    return Profile("load", "v1", "default", 1000, input_bytes=megabytes * 1e6)


def trained(**parameters: object) -> Profile:
    return Profile("train", "v1", "default", 1000, parameters=parameters)


def width(estimate: Estimate) -> float:
    return math.log(estimate.p90 / estimate.p10)


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
    assert found.p50 == pytest.approx(20.0, rel=0.05)
    assert found.source == "from 1 run on slow"


def test_an_outlier_does_not_move_the_estimate() -> None:
    assert only(taught(20, 21, 19, 20, 900)).p50 == pytest.approx(20, rel=0.05)


def test_an_outlier_among_runs_that_are_all_different_counts_little() -> None:
    history = HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32, 64):
        history.observe([an_observation(sized(megabytes), SLOW, (90 if megabytes == 8 else 3) * megabytes)])
    assert only(history, sized(8)).p50 < 60
    assert only(history, sized(40)).p50 == pytest.approx(120, rel=0.25)


@pytest.mark.parametrize("strange", range(4))
def test_one_strange_run_of_six_hardly_moves_what_is_said_of_larger_inputs(strange: int) -> None:
    runs = {1: 13.5, 2: 15.8, 4: 22.4, 8: 34.2, 16: 57.5, 32: 107.0}
    alike, odd = HistoryEstimator(), HistoryEstimator()
    for number, (megabytes, seconds) in enumerate(runs.items()):
        alike.observe([an_observation(sized(megabytes), SLOW, seconds)])
        odd.observe([an_observation(sized(megabytes), SLOW, seconds * (4 if number == strange else 1))])
    expected, found = only(alike, sized(128)), only(odd, sized(128))
    assert found.p50 == pytest.approx(expected.p50, rel=0.1)
    assert width(found) < 1.3 * width(expected)


def test_the_largest_runs_say_most_of_still_larger_inputs() -> None:
    steady, bent = HistoryEstimator(), HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32, 64):
        steady.observe([an_observation(sized(megabytes), SLOW, 4.0 * megabytes)])
        bent.observe([an_observation(sized(megabytes), SLOW, 4.0 * megabytes * (1 if megabytes > 8 else 2))])
    assert only(bent, sized(512)).p50 == pytest.approx(only(steady, sized(512)).p50, rel=0.25)


def test_the_band_narrows_with_runs_that_agree_and_widens_with_runs_that_do_not() -> None:
    one, many = only(taught(20)), only(taught(*[20.0] * 20))
    wild = only(taught(*[5.0, 20.0, 80.0] * 7, spread_over_nodes=True))
    assert width(many) < width(one) < width(wild)


def test_runs_on_a_node_teach_about_its_class() -> None:
    found = only(taught(*[20.0] * 14), node=TWIN)
    assert found.p50 == pytest.approx(20.0, rel=0.05)
    assert found.source == "from 14 runs on low nodes"


def test_runs_elsewhere_are_scaled_by_speed_with_a_wider_band() -> None:
    history = taught(*[20.0] * 5)
    here, there = only(history, node=SLOW), only(history, node=FAST)
    assert there.p50 == pytest.approx(5.0, rel=0.1)
    assert width(there) > width(here)
    assert there.source == "from 5 runs on other nodes, scaled by speed"


def test_what_one_component_shows_of_a_machine_helps_all_others() -> None:
    history = HistoryEstimator()
    for name in ("a", "b", "c", "d"):
        for node, seconds in ((SLOW, 40.0), (FAST, 20.0)):  # the fast one is twice, not four times, as fast
            history.observe([an_observation(Profile(name, name, "default", 1000), node, seconds)])
    history.observe([an_observation(TRAIN, SLOW, 80.0)])
    assert only(history, node=FAST).p50 == pytest.approx(40.0, rel=0.12)


def test_the_profile_counts_by_kind_of_work_where_there_is_one() -> None:
    quick = a_node("quick", speeds={"single": 2.0, "gemm": 2.0, "memory": 2.0, "disk": 2.0})
    mixed = a_node("mixed", speeds={"single": 2.0, "memory": 1.0, "disk": 1.0})
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, a_node("plain", speeds={"single": 1.0, "memory": 1.0}), 60.0)])
    assert only(history, node=quick).p50 == pytest.approx(30.0, rel=0.05)
    assert 30.0 < only(history, node=mixed).p50 < 60.0
    assert width(only(history, node=mixed)) > width(only(history, node=quick))


def test_work_on_accelerators_says_nothing_of_a_machines_processors() -> None:
    history = HistoryEstimator()
    for name in "abcd":
        for node, seconds in ((SLOW, 40.0), (FAST, 4.0)):
            on_gpu = Profile(name, name, "gpu", 1000, (("gpu", 1),))
            history.observe([an_observation(on_gpu, node, seconds)])
    history.observe([an_observation(TRAIN, SLOW, 80.0)])
    assert only(history, node=FAST).p50 == pytest.approx(20.0, rel=0.1)


def test_a_node_that_is_slower_than_its_class_is_found_out() -> None:
    history = taught(*[20.0] * 20, node=SLOW)
    history.observe([an_observation(TRAIN, TWIN, 60.0) for _ in range(10)])
    assert only(history, node=TWIN).p50 > 40
    assert only(history, node=SLOW).p50 < 25


def test_failures_teach_nothing() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, SLOW, 1.0, state=state) for state in ("failed", "lost")])
    assert history.estimate([TRAIN], [SLOW]) == [[None]]


def test_a_run_that_was_cut_off_would_have_taken_longer() -> None:
    history = taught(20.0, 22.0)
    before = only(history).p50
    history.observe([an_observation(TRAIN, SLOW, 60.0, state="timeout") for _ in range(4)])
    assert only(history).p50 > before * 1.3
    history = taught(20.0, 22.0)
    history.observe([an_observation(TRAIN, SLOW, 2.0, state="timeout") for _ in range(4)])
    assert only(history).p50 == pytest.approx(before, rel=0.1)
    alone = HistoryEstimator()
    alone.observe([an_observation(TRAIN, SLOW, 60.0, state="timeout")])
    assert only(alone).p50 > 60


def test_limits_say_nothing_of_how_much_longer_a_run_would_have_taken() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, SLOW, 10.0, state="timeout") for _ in range(5)])
    found = only(history)
    assert 9 < found.p10 < 15 < found.p50 < 40 < found.p90

    grown = HistoryEstimator()
    grown.observe([an_observation(sized(size), SLOW, 10.0 * size) for size in (1, 2, 3, 4)])
    grown.observe([an_observation(sized(size), SLOW, 45.0, state="timeout") for size in (5, 6, 7, 8, 9, 10)])
    assert only(grown, sized(10)).p50 == pytest.approx(100, rel=0.05)
    assert 1.1 < width(only(grown, sized(10))) / width(only(grown, sized(4))) < 30


def test_inputs_of_unknown_size_have_a_band_as_wide_as_times_are_apart() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(sized(size), SLOW, 10.0 * size) for size in (1, 2, 4, 8, 16, 32)])
    history.settle()
    found = only(history, Profile("load", "v1", "default", 1000))
    assert found.p10 < 25 < found.p50 < 100 < found.p90
    assert width(only(history, sized(8))) < 0.2


def test_runs_of_unknown_size_do_not_hide_what_the_others_show() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(sized(size), SLOW, 10.0 * size) for size in (1, 2, 4, 8, 16, 32)])
    history.observe(
        [an_observation(Profile("load", "v1", "default", 1000), SLOW, seconds) for seconds in (11, 150, 300)]
    )
    found = only(history, sized(20))
    assert found.p50 == pytest.approx(200, rel=0.15)
    assert width(found) < 1


def test_times_that_are_apart_without_end_have_a_band_without_end() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, SLOW, 10.0 ** (run % 7 - 2)) for run in range(35)])
    assert only(history).p10 < 0.2
    assert only(history).p90 > 1_000


def test_a_class_of_nodes_that_is_new_is_estimated_for_more_components_than_are_fitted_at_once() -> None:
    known = [a_node(name, speed=speed, labels={"worker_type": name}) for name, speed in (("a", 2.0), ("m", 1.0))]
    new = a_node("z", speed=4.0, labels={"worker_type": "z"})
    profiles = [Profile(f"c{number}", "v1", "default", 1000) for number in range(20)]
    history = HistoryEstimator(most_fits=8)
    for profile in profiles:
        history.observe([an_observation(profile, node, 10 / node.speed) for node in known])
    for _ in range(4):
        history.estimate(profiles, known)
    rows = history.estimate(profiles, [*known, new])
    assert [row[2].p50 for row in rows if row[2]] == pytest.approx([2.5] * 20, rel=0.2)


def test_what_many_runs_are_compared_with_is_as_good_as_what_is_estimated() -> None:
    chance = random.Random(4)
    seen = [an_observation(sized(size), SLOW, 5 + 3 * size) for size in (chance.uniform(1, 100) for _ in range(150))]
    quick, careful = HistoryEstimator(), HistoryEstimator()
    for estimator in (quick, careful):
        estimator.observe(seen[:80])
        only(estimator, sized(50))
    for late, one in enumerate(seen[80:]):
        found = quick.estimate_one(one)
        assert found is not None
        if late % 20 == 19:
            best = only(careful, one.profile)
            assert found.p50 == pytest.approx(best.p50, rel=0.05)
            assert width(found) == pytest.approx(width(best), rel=0.6, abs=0.1)
        quick.observe([one])
        careful.observe([one])
    assert only(quick, sized(50)) == only(careful, sized(50))


def test_a_word_that_never_ran_has_a_band_as_wide_as_words_are_apart() -> None:
    chance = random.Random(3)
    history = HistoryEstimator()
    for _ in range(30):
        for kind, seconds in (("fast", 3.0), ("slow", 60.0)):
            parameters = {"kind": kind, "rate": round(chance.uniform(0.01, 1), 4)}
            history.observe([an_observation(trained(**parameters), SLOW, seconds * chance.lognormvariate(0, 0.1))])
    history.settle()
    assert width(only(history, trained(kind="slow", rate=0.5))) < 1.6
    new = only(history, trained(kind="other", rate=0.5))
    assert new.p10 < 5 < 40 < new.p90


def test_recent_runs_count_when_the_code_became_slower_elsewhere() -> None:
    assert only(taught(*[10.0] * 40, *[30.0] * 40)).p50 == pytest.approx(30.0, rel=0.05)


def test_options_are_learnt_apart() -> None:
    history = taught(20.0)
    assert history.estimate([Profile("train", "v1", "gpu", 1000)], [SLOW]) == [[None]]


def test_an_edited_component_inherits_with_a_wider_band_and_then_stands_on_its_own() -> None:
    history = taught(*[20.0] * 10)
    edited = Profile("train", "v2", "default", 1000)
    inherited = only(history, edited)
    assert inherited.p50 == pytest.approx(20.0, rel=0.05)
    assert width(inherited) > 1.5 * width(only(history))
    assert inherited.source == "from 10 runs of other versions on slow"
    history.observe([an_observation(edited, SLOW, 40.0) for _ in range(3)])
    assert only(history, edited).p50 == pytest.approx(40.0, rel=0.15)
    assert only(history, TRAIN).p50 == pytest.approx(20.0, rel=0.1)


@pytest.mark.parametrize("exponent", [1.0, 1.25])
def test_run_time_follows_the_size_of_the_inputs_once_runs_show_it(exponent: float) -> None:
    history = HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32, 64):
        history.observe([an_observation(sized(megabytes), SLOW, 3.0 * megabytes**exponent)])
    assert only(history, sized(256)).p50 == pytest.approx(3.0 * 256**exponent, rel=0.1)


def test_a_fixed_part_of_the_run_time_does_not_grow_with_the_inputs() -> None:
    history = HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32):
        history.observe([an_observation(sized(megabytes), SLOW, 60.0 + megabytes)])
    assert only(history, sized(512)).p50 == pytest.approx(572, rel=0.3)
    assert only(history, sized(0.1)).p50 == pytest.approx(60, rel=0.1)


def test_inputs_that_change_nothing_are_not_believed_to() -> None:
    history = HistoryEstimator()
    for megabytes in (1, 4, 16, 64, 256):
        history.observe([an_observation(sized(megabytes), SLOW, 30.0 + megabytes % 3)])
    assert only(history, sized(1024)).p50 == pytest.approx(31, rel=0.15)


def test_time_follows_the_part_of_the_inputs_that_varies() -> None:
    history = HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32):  # beside a reference of three gigabytes that every run reads
        history.observe([an_observation(sized(3000 + megabytes), SLOW, 2 + 3 * megabytes)])
    assert only(history, sized(3010)).p50 == pytest.approx(32, rel=0.15)
    assert only(history, sized(3200)).p50 == pytest.approx(602, rel=0.3)


def test_a_constant_part_is_not_imagined_where_sizes_hardly_matter() -> None:
    history = HistoryEstimator()
    for number in range(12):
        history.observe([an_observation(sized(3000 + number), SLOW, 60 + number % 3)])
    assert only(history, sized(3012)).p50 == pytest.approx(61, rel=0.05)


def test_sizes_that_differ_little_are_equal_where_others_differ_much() -> None:
    wide, narrow = Record(), Record()
    for record, largest in ((wide, 300), (narrow, 3.06)):
        for megabytes in (3, largest, 3.03):
            record.add(an_observation(sized(megabytes), SLOW, 10), MachineSpeeds.of(SLOW, False))
    assert len(wide.groups) == 2
    assert len(narrow.groups) == 3
    assert wide.described(sized(3.04)) == wide.described(sized(3.01))
    assert narrow.described(sized(3.04)) != narrow.described(sized(3.01))


def test_sizes_that_are_never_the_same_twice_make_few_groups() -> None:
    chance, record = random.Random(4), Record()
    for _ in range(500):
        record.add(an_observation(sized(100 * chance.lognormvariate(0, 0.01)), SLOW, 10), MachineSpeeds.of(SLOW, False))
    assert len(record.groups) < 60


def test_bands_widen_with_how_much_larger_inputs_are_than_any_that_ran() -> None:
    history = HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32, 64, 128):
        history.observe([an_observation(sized(megabytes), SLOW, 3 * megabytes)])
    known, larger, largest = (width(only(history, sized(megabytes))) for megabytes in (128, 1280, 12_800))
    assert larger > known + 0.1
    assert largest > larger + 0.1


def test_what_was_not_measured_of_a_machine_is_taken_to_differ_half_as_much() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, a_node("plain", speeds={"single": 1.0, "memory": 1.0}), 60.0)])
    halves = {"single": 0.5, "memory": 0.5, "disk": 0.5}
    partly, wholly = a_node("partly", speeds=halves), a_node("wholly", speeds={**halves, "gemm": 0.5})
    assert only(history, node=wholly).p50 == pytest.approx(120.0, rel=0.05)
    assert 105.0 < only(history, node=partly).p50 < only(history, node=wholly).p50


def test_a_number_among_the_parameters_is_learnt_from() -> None:
    history = HistoryEstimator()
    for trees in (10, 20, 40, 80, 160):
        history.observe([an_observation(trained(trees=trees), SLOW, 0.5 * trees)])
    assert only(history, trained(trees=320)).p50 == pytest.approx(160, rel=0.3)


@pytest.mark.parametrize("with_sizes", [False, True], ids=["number alone", "times the size"])
def test_time_follows_a_number_with_a_part_that_does_not(with_sizes: bool) -> None:
    history = HistoryEstimator()

    def boosted(rounds: int, step: int) -> Profile:
        size = 1e6 * 2**step if with_sizes else 0.0
        return Profile("boost", "v1", "default", 1000, input_bytes=size, parameters={"rounds": rounds})

    def seconds(rounds: int, step: int) -> float:
        return 3 + 0.05 * rounds * (2**step if with_sizes else 1)

    for step, rounds in enumerate((5, 10, 20, 40, 80, 160)):
        for size in (step % 3, (step + 1) % 3):
            history.observe([an_observation(boosted(rounds, size), SLOW, seconds(rounds, size))])
    assert only(history, boosted(400, 2)).p50 == pytest.approx(seconds(400, 2), rel=0.22)


def test_more_of_a_whole_number_that_never_varied_takes_longer_by_some_and_a_fraction_does_not() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(trained(folds=2, rate=0.1), SLOW, 20 + run) for run in range(4)])
    named = only(history, trained(folds=2_000_000, rate=0.1))
    same, more, faster = (
        only(history, trained(**given))
        for given in ({"folds": 2, "rate": 0.1}, {"folds": 4, "rate": 0.1}, {"folds": 2, "rate": 0.2})
    )
    assert 1.2 * same.p50 < more.p50 < 2 * same.p50
    assert more.p10 < same.p50
    assert more.p90 > 2 * same.p50
    assert faster.p50 == pytest.approx(same.p50, rel=0.01)
    assert named.p50 == pytest.approx(same.p50, rel=0.05)


def test_a_number_that_hardly_varied_is_not_what_time_follows() -> None:
    history = HistoryEstimator()
    for megabytes in (1, 2, 4, 8, 16, 32):
        profile = replace(sized(megabytes), parameters={"rate": 0.1 + megabytes / 1e4})
        history.observe([an_observation(profile, SLOW, 2.0 * megabytes)])
    asked = only(history, replace(sized(32), parameters={"rate": 0.4}))
    assert asked.p50 == pytest.approx(64, rel=0.2)


def test_a_number_that_is_not_known_yet_makes_a_band_as_wide_as_times_are_apart() -> None:
    history = HistoryEstimator()
    for rows in (10, 20, 30, 50, 80, 100):
        history.observe([an_observation(trained(rows=rows), SLOW, rows / 5)])
    known, unknown = only(history, trained(rows=40)), only(history, trained())
    assert known.p50 == pytest.approx(8.0, rel=0.1)
    assert width(unknown) > 2.5 * width(known)
    assert unknown.p10 < 4.0 < 15.0 < unknown.p90


def coming(**given: object) -> Profile:
    """A task whose inputs are still being made, in a run that was given this."""
    return Profile("train", "v1", "default", 1000, given=given, is_input_known=False)


def fed(**given: float) -> Profile:
    """The same once its inputs are there: a thousand bytes for each row."""
    rows = given["rows"]
    return Profile("train", "v1", "default", 1000, input_bytes=1000 * rows, parameters={"kept": rows / 2}, given=given)


@pytest.mark.parametrize(("rows", "expected"), [(15, 3.0), (40, 8.0), (200, 40.0)])
def test_inputs_that_are_not_there_yet_are_foretold_from_what_the_run_was_given(rows: int, expected: float) -> None:
    history = HistoryEstimator()
    for seen in (10, 20, 30, 50, 80, 100):
        history.observe([an_observation(fed(rows=seen, depth=seen % 3), SLOW, seen / 5)])
    found, known = only(history, coming(rows=rows, depth=1)), only(history, fed(rows=rows, depth=1))
    assert found.p50 == pytest.approx(known.p50, rel=0.1) == pytest.approx(expected, rel=0.2)
    assert width(known) <= width(found) < 1.5 * width(known)
    assert width(only(history, coming())) > 2 * width(found)


def test_many_runs_that_were_given_ever_other_numbers_share_few_estimates() -> None:
    history = HistoryEstimator()
    for seen in range(10, 100, 3):
        history.observe([an_observation(fed(rows=seen), SLOW, seen / 5)])
    rows = history.estimate([coming(rows=seen / 7) for seen in range(70, 700)], [SLOW])
    assert len({id(row) for row in rows}) < 80
    assert [row[0].p50 for row in rows if row[0]] == pytest.approx([seen / 35 for seen in range(70, 700)], rel=0.15)


def test_what_a_run_was_given_and_never_differed_makes_bands_wide_once_it_does() -> None:
    history = HistoryEstimator()
    for _ in range(5):
        history.observe([an_observation(fed(rows=10), SLOW, 2.0)])
    assert width(only(history, coming(rows=100))) > 3 * width(only(history, coming(rows=10)))


def test_a_word_that_a_run_was_given_tells_how_large_inputs_will_be() -> None:
    history = HistoryEstimator()
    for data, size in (("small", 1e6), ("large", 64e6)) * 3:
        profile = Profile("train", "v1", "default", 1000, input_bytes=size, given={"data": data})
        history.observe([an_observation(profile, SLOW, size / 1e6)])
    assert only(history, coming(data="large")).p50 == pytest.approx(64, rel=0.2)
    assert only(history, coming(data="small")).p50 == pytest.approx(1, rel=0.2)


def test_words_among_the_parameters_tell_runs_apart() -> None:
    history = HistoryEstimator()
    for number in range(8):
        for dataset, seconds in (("iris", 2.0), ("higgs", 300.0), ("adult", 20.0)):
            history.observe([an_observation(trained(dataset=dataset), SLOW, seconds + number / 10)])
    assert only(history, trained(dataset="iris")).p50 == pytest.approx(2.3, rel=0.15)
    assert only(history, trained(dataset="higgs")).p50 == pytest.approx(300, rel=0.05)
    assert width(only(history, trained(dataset="new"))) > 5 * width(only(history, trained(dataset="higgs")))


@pytest.mark.parametrize(("seen", "asked"), [((2,), 4), ((2, 3), 5)], ids=["never varied", "varied"])
def test_a_word_that_is_known_tells_much_beside_a_new_number(seen: tuple[int, ...], asked: int) -> None:
    history = HistoryEstimator()
    for number in range(6):
        for family, seconds in (("linear", 2.0), ("forest", 60.0), ("boosting", 600.0)):
            profile = trained(family=family, folds=seen[number % len(seen)])
            history.observe([an_observation(profile, SLOW, seconds + number / 10)])
    assert 1.2 < only(history, trained(family="linear", folds=asked)).p50 < 6
    assert 35 < only(history, trained(family="forest", folds=asked)).p50 < 110
    assert 250 < only(history, trained(family="boosting", folds=asked)).p50 < 1200
    known, new = (only(history, trained(family="forest", folds=folds)) for folds in (seen[0], asked))
    assert width(new) > width(known)


def test_peak_memory_has_a_usual_value_and_one_to_request() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, SLOW, 5.0, peak_memory_bytes=peak) for peak in (1e9, 3e9, 2e9)])
    found = only(history)
    assert found.peak_memory_bytes == pytest.approx(2e9, rel=0.15)
    assert found.peak_memory_p90_bytes is not None
    assert found.peak_memory_p90_bytes > 2.8e9


def test_peak_memory_follows_the_inputs() -> None:
    history = HistoryEstimator()
    for megabytes in (10, 20, 40, 80):
        peak = 200e6 + megabytes * 8e6
        history.observe([an_observation(sized(megabytes), SLOW, 5.0, peak_memory_bytes=peak)])
    assert only(history, sized(400)).peak_memory_bytes == pytest.approx(3.4e9, rel=0.2)


def test_a_run_that_ran_out_of_memory_needs_more_than_it_had() -> None:
    history = HistoryEstimator()
    history.observe([an_observation(TRAIN, SLOW, 5.0, peak_memory_bytes=1e9)])
    history.observe([an_observation(TRAIN, SLOW, 5.0, state="oom", peak_memory_bytes=2e9)])
    found = only(history)
    assert found.peak_memory_p90_bytes is not None
    assert found.peak_memory_p90_bytes > 2.2e9


def test_what_history_keeps_is_bounded() -> None:
    history = HistoryEstimator()
    for number in range(6_000):
        profile = Profile(f"c{number}", "v", "default", 1000)
        history.observe([an_observation(profile, a_node(f"n{number}"), 5.0)])
    history.observe([an_observation(TRAIN, a_node(f"n{number}"), 5.0) for number in range(1_000)])
    assert len(history._records) <= 5_000
    assert len(history._records["train", "default"].groups) <= 96
    assert len(history._machines.known) <= 256


def test_what_one_question_asks_for_is_kept_for_the_next_however_much_it_is() -> None:
    history = taught(3.0, 4.0, 5.0)
    many = [trained(rows=rows) for rows in range(1, 400)]
    first = history.estimate(many, [SLOW])
    assert only(history) is not None  # a question in between, about little
    again = history.estimate(many, [SLOW])
    assert [id(row) for row in again] == [id(row) for row in first]
    (kept,) = history._kept.values()
    for start in range(400, 4_000, 200):
        history.estimate([trained(rows=rows) for rows in range(start, start + 200)], [SLOW])
    assert len(kept.predicted) + len(kept.older[0]) <= 400


def test_a_node_that_appears_changes_nothing_for_the_others() -> None:
    history = taught(*[20.0] * 3)
    before = history.estimate([TRAIN], [SLOW, FAST])[0]
    assert history.estimate([TRAIN], [FAST, TWIN, SLOW])[0][::2] == before[::-1]


def test_the_chain_prefers_runs_then_earlier_versions_then_hints_then_a_guess() -> None:
    chain = ChainEstimator()
    hinted = Profile("train", "v1", "default", 1000, workload=FOREST)
    assert only(chain).source == "a guess"
    assert only(chain, hinted).source == "from the hints"
    chain.observe([an_observation(Profile("train", "v0", "default", 1000), SLOW, 12.0)])
    earlier = only(chain, hinted)
    assert earlier.source.startswith("from 1 run of other versions on slow")
    chain.observe([an_observation(TRAIN, SLOW, 15.0)])
    own = only(chain, hinted)
    assert own.source.startswith("from 1 run on slow")
    assert own.p50 == pytest.approx(15.0, rel=0.1)
    assert own.p90 / own.p10 < earlier.p90 / earlier.p10


def test_hints_count_beside_few_runs_and_not_beside_many() -> None:
    hinted = Profile("train", "v1", "default", 1000, workload={"operations": 2e9 * 100})  # 100 s at speed 1, so 200 s
    new_version = Profile("train", "v2", "default", 1000, workload={"operations": 2e9 * 100})
    chain = ChainEstimator()
    chain.observe([an_observation(TRAIN, FAST, 5.0)])  # 20 s on the slow one, as far as one run elsewhere tells
    few = only(chain, new_version)
    assert 20 < few.p50 < 60
    assert few.source.endswith("with the hints")
    chain.observe([an_observation(hinted, SLOW, 20.0) for _ in range(20)])
    assert only(chain, hinted).p50 == pytest.approx(20, rel=0.05)


def test_hints_that_never_change_do_not_blur_what_runs_tell_apart() -> None:
    chain = ChainEstimator()

    def tried(kind: str, folds: int) -> Profile:
        return Profile("try", "v1", "default", 1000, workload=FOREST, parameters={"kind": kind, "folds": folds})

    for kind, seconds in (("fast", 2.0), ("slow", 20.0)):
        chain.observe([an_observation(tried(kind, 2), SLOW, seconds * (1 + run / 20)) for run in range(4)])
    fast, slow = (only(chain, tried(kind, 4)) for kind in ("fast", "slow"))
    assert not slow.source.endswith("with the hints")
    assert slow.p50 > 4 * fast.p50


def test_hints_that_were_wrong_the_same_way_every_time_are_corrected() -> None:
    chain = ChainEstimator(overhead_seconds=0)
    for number in range(20):
        profile = Profile(f"c{number}", "v", "default", 1000, workload={"operations": 2e9 * (number + 1)})
        chain.observe([an_observation(profile, a_node("plain"), 5.0 * (number + 1))])
    unseen = Profile("unseen", "v", "default", 1000, workload={"operations": 2e9 * 7})
    found = only(chain, unseen, a_node("plain"))
    assert found.p50 == pytest.approx(35, rel=0.4)
    assert width(found) < width(only(ChainEstimator(), unseen, a_node("plain")))


def test_even_a_guess_tells_fast_from_slow() -> None:
    chain = ChainEstimator(default_seconds=30, overhead_seconds=0)
    assert only(chain, node=FAST).p50 == pytest.approx(15)
    assert only(chain, node=SLOW).p50 == pytest.approx(60)


@given(sigma=st.floats(0.05, 0.5), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_history_comes_close_to_the_true_median(sigma: float, seed: int) -> None:
    chance = random.Random(seed)
    found = only(taught(*[chance.lognormvariate(3, sigma) for _ in range(32)]))
    assert abs(math.log(found.p50) - 3) < 0.03 + 4 * sigma * 1.2533 / math.sqrt(16)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_more_work_is_never_predicted_to_take_less_time(seed: int) -> None:
    chance = random.Random(seed)
    history = HistoryEstimator()
    for _ in range(12):
        megabytes = chance.uniform(1, 100)
        history.observe([an_observation(sized(megabytes), SLOW, (5 + megabytes) * chance.lognormvariate(0, 0.2))])
    medians = [only(history, sized(megabytes)).p50 for megabytes in (150, 300, 600, 1200)]
    assert all(one <= other * 1.02 for one, other in itertools.pairwise(medians))


def test_past_runs_are_taught_at_once_and_only_the_latest_are_compared() -> None:
    chance = random.Random(3)
    runs = [
        an_observation(Profile(f"c{number % 5}", "v1", "default", 1000), SLOW, chance.lognormvariate(3, 0.1))
        for number in range(1000)
    ]
    chain, slowly = ChainEstimator(), ChainEstimator()
    chain.teach(runs[:500])
    chain.teach(runs[500:])
    chain.settle()
    slowly.observe(runs)
    assert 0 < chain.calibration.runs <= 64
    profile = Profile("c1", "v1", "default", 1000)
    assert only(chain, profile).p50 == pytest.approx(only(slowly, profile).p50, rel=0.05)
    assert only(chain, profile).source == only(slowly, profile).source


def test_few_past_runs_are_not_compared_with_guesses_from_even_fewer() -> None:
    chain = ChainEstimator()
    chain.teach([an_observation(TRAIN, SLOW, 20.0 + number) for number in range(3)])
    chain.settle()
    assert chain.calibration.runs == 0
    assert only(chain).p50 == pytest.approx(21.0, rel=0.1)


def test_operations_of_trees_cost_more_than_those_of_dense_arithmetic() -> None:
    shape = {"n_samples": 30_000, "n_features": 23}
    tree, dense = (
        Profile("m", "v1", "default", 1000, workload=hints)
        for hints in (
            {**FOREST, "model": {"type": "decision_tree"}, "dataset": {"original": shape}},
            {**FOREST, "model": {"type": "svm", "params": {"n_iter": 15}}, "dataset": {"original": shape}},
        )
    )
    estimator = DeclaredEstimator(overhead_seconds=0, operations_per_second=1e6)
    assert only(estimator, tree).p50 > 4 * only(estimator, dense).p50


def test_without_anything_else_a_guess_is_longer_for_training_than_for_the_rest() -> None:
    chain = ChainEstimator()
    kinds = ("training", "preprocessing", "evaluation", "other")
    found = [only(chain, Profile("m", "v1", "default", 1000, workload={"task_kind": kind})).p50 for kind in kinds]
    assert found == sorted(found, reverse=True)
    assert only(chain, Profile("m", "v1", "default", 1000)).p50 == found[0]


@pytest.mark.parametrize("runs", [1, 3])
def test_a_number_that_never_differed_may_matter_once_it_does(runs: int) -> None:
    """Where all runs slept for a second, nobody knows yet what `seconds=40` means."""
    history = HistoryEstimator()
    history.observe([an_observation(trained(seconds=1), FAST, 1.1 + 0.01 * number) for number in range(runs)])
    same, other, far = (only(history, trained(seconds=value), FAST) for value in (1, 40, 10**9))
    assert same.p90 < 2 * same.p50
    assert other.p90 > 5 * other.p50
    assert other.p90 < far.p90 < 100 * far.p50
    history.observe([an_observation(trained(seconds=40), FAST, 40.1)])
    assert only(history, trained(seconds=40), FAST).p50 == pytest.approx(40, rel=0.05)


def test_learning_a_run_fits_anew_or_compares_and_never_both(monkeypatch: pytest.MonkeyPatch) -> None:
    work: list[str] = []

    def counted(name: str) -> Callable[..., object]:
        found = getattr(history_module, name)

        def call(*given: object, **named: object) -> object:
            work.append(name)
            return found(*given, **named)

        return call

    for name in ("fit", "fit_roughly", "estimates"):
        monkeypatch.setattr(history_module, name, counted(name))
    chance, chain = random.Random(8), ChainEstimator()
    for number in range(90):
        size = chance.uniform(1, 100)
        times = 5.0 if number % 17 == 5 else 1.0
        seen = an_observation(sized(size), (SLOW, FAST)[number % 2], (5 + size) * times, state="succeeded")
        work.clear()
        chain.observe([seen])
        assert len(work) <= (1 if number > 1 else 2)
    overall = chain.calibration.overall()
    assert overall is not None
    assert overall.runs >= 60
