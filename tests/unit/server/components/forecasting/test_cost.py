"""What a plan costs is counted as reports count it: by the rates, and by the part of a node that a task takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.components.forecasting.changes import Changes, changed_snapshot
from server.components.forecasting.report import PlanReport, make_report
from server.components.reporting.rates import Rates
from server.domain.node import Node
from server.domain.placement import Placement, PlacementPlan
from server.domain.run import TaskKey
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task

TRAIN = TaskKey("train")
RATES = Rates(node_hour={"big": 8.0, "worker_type=low": 2.0}, gpu_hour={"gpu": 1.5})


def planned(*nodes: Node, on: str, rates: Rates | None, cpus: float = 1, gpus: int = 0) -> PlanReport:
    """A plan of one task that takes half an hour."""
    request = a_request(nodes, [a_run("r", a_task("r", cpus=cpus, gpus=gpus))], seconds=1800)
    return make_report(
        strategy="s",
        objective="turnaround",
        now=NOW,
        views=request.runs,
        attempts={},
        plan=PlacementPlan((Placement("r", TRAIN, on, "default"),)),
        estimates=request.estimates,
        snapshot=request.snapshot,
        subject="r",
        rates=rates,
    )


def test_a_task_costs_the_part_of_its_node_that_it_takes() -> None:
    assert planned(a_node("big", cpus=4), on="big", rates=RATES, cpus=1).cost == pytest.approx(0.5 * 8 / 4)
    assert planned(a_node("big", cpus=4), on="big", rates=RATES, cpus=4).cost == pytest.approx(0.5 * 8)


def test_accelerators_are_paid_on_top() -> None:
    assert planned(a_node("big", gpus=2), on="big", rates=RATES, gpus=1).cost == pytest.approx(0.5 * (8 / 2 + 1.5))


def test_rates_by_label_and_the_nodes_own_prices_count() -> None:
    low = a_node("x", labels={"worker_type": "low"}, price_per_hour=9.0)
    assert planned(low, on="x", rates=RATES, cpus=4).cost == pytest.approx(0.5 * 2)
    assert planned(low, on="x", rates=None, cpus=4).cost == pytest.approx(0.5 * 9)


def test_where_a_node_that_is_used_has_no_price_no_cost_is_told() -> None:
    assert planned(a_node("big"), a_node("free"), on="free", rates=RATES).cost is None
    assert planned(a_node("big"), a_node("free"), on="big", rates=RATES).cost is not None


def test_one_more_node_costs_what_the_node_costs_that_it_is_like() -> None:
    (named,) = (replace(one, price_per_hour=RATES.of_node(one)) for one in [a_node("big")])
    snapshot = changed_snapshot(a_request([named], []).snapshot, Changes(add_nodes=("big",)))
    assert [RATES.of_node(node) for node in snapshot.nodes] == [8.0, 8.0]
