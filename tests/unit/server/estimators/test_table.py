"""The table of estimates: shared rows, every pair answered, and quick."""

from __future__ import annotations

import pytest

from server.domain.placement import TaskOption
from server.estimators.chain import ChainEstimator
from server.estimators.history import HistoryEstimator
from server.estimators.interface import Profile
from server.estimators.table import EstimateTable, build_estimates
from server.testing.contracts.estimator import FOREST, an_observation
from server.testing.contracts.placement_requests import a_node, a_run, a_task, amounts


def test_equal_tasks_share_a_row_and_different_hints_do_not() -> None:
    runs = [
        a_run("a", a_task("a", workload=dict(FOREST)), a_task("a", "other")),
        a_run("b", a_task("b", workload=dict(FOREST))),
        a_run("c", a_task("c", workload={**FOREST, "task_kind": "evaluation"})),
    ]
    found = build_estimates(runs, [a_node("one"), a_node("two", speed=2)], ChainEstimator())
    assert len(found.table) == 3
    assert found.seconds(runs[0].tasks[0].ref, "two") == found.seconds(runs[1].tasks[0].ref, "two")
    assert found.seconds(runs[0].tasks[0].ref, "two") != found.seconds(runs[2].tasks[0].ref, "two")


def test_every_option_has_its_own_estimate() -> None:
    options = (TaskOption("gpu", amounts(gpus=1)), TaskOption("cpu", amounts(cpus=8)))
    run = a_run("a", a_task("a", options=options, workload=FOREST))
    found = build_estimates([run], [a_node("one", gpus=1)], ChainEstimator())
    ref = run.tasks[0].ref
    assert found.seconds(ref, "one", "gpu") < found.seconds(ref, "one", "cpu")


def test_where_an_estimator_knows_nothing_a_guess_stands() -> None:
    run = a_run("a", a_task("a"))
    found = build_estimates([run], [a_node("one")], HistoryEstimator())
    assert found.of(run.tasks[0].ref, "one").source == "a guess"


def test_a_part_of_the_inputs_is_not_taken_for_all_of_them() -> None:
    estimator = ChainEstimator()
    for megabytes in (1, 2, 4, 8, 16):
        profile = Profile("join", "v1", "default", 1000, input_bytes=1e6 * megabytes, given={"rows": megabytes})
        estimator.observe([an_observation(profile, a_node("one"), 3.0 * megabytes)])
    half = a_task("a", "join", input_bytes=1e6, given={"rows": 16}, is_input_known=False)
    found = build_estimates([a_run("a", half)], [a_node("one")], estimator)
    assert found.seconds(half.ref, "one") == pytest.approx(48, rel=0.15)


def test_nothing_to_estimate_gives_an_empty_table() -> None:
    assert build_estimates([], [a_node("one")], ChainEstimator()).table == ()
    run = a_run("a", a_task("a"))
    assert build_estimates([run], [], ChainEstimator()).table == ((),)


def test_rows_stay_the_same_values_while_nothing_is_learnt() -> None:
    runs, nodes = [a_run("a", a_task("a", workload=dict(FOREST)), a_task("a", "other"))], [a_node("one"), a_node("two")]
    table = EstimateTable(ChainEstimator())
    before, after = table.of(runs, nodes).table, table.of(runs, nodes).table
    assert [id(row) for row in after] == [id(row) for row in before]
    assert table.of(runs, nodes[:1]).table == tuple(row[:1] for row in before)


def test_ten_thousand_tasks_share_the_rows_of_their_components() -> None:
    cluster = [
        a_node(f"n{index}", speed=1 + index % 20, labels={"worker_type": f"c{index % 20}"}) for index in range(1000)
    ]
    runs = [
        a_run(f"r{number}", *[a_task(f"r{number}", f"c{(number * 10 + step) % 200}") for step in range(10)])
        for number in range(1000)
    ]
    found = build_estimates(runs, cluster, ChainEstimator())
    assert len(found.table) == 200
    assert len(found.profile_of) == 10_000


def test_other_parameters_make_another_row() -> None:
    runs = [a_run(name, a_task(name, parameters={"trees": trees})) for name, trees in (("a", 10), ("b", 10), ("c", 20))]
    found = build_estimates(runs, [a_node("one")], ChainEstimator())
    assert len(found.table) == 2
