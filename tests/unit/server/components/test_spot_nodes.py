"""Long tasks keep off spot nodes, the more so the more often those are taken away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from mlopx import component, pipeline
from server.components.spot_nodes import SpotNodes
from server.domain import events as happened
from server.domain.graph import compile_graph
from server.domain.lifecycle import Change, apply, start_run
from server.domain.node import Node
from server.domain.placement import Estimate, Estimates, WaitingTask
from server.domain.run import RunOptions, TaskKey
from server.domain.spot import AVOIDED, is_spot
from server.planning.needs import NeedsTable
from server.testing.contracts.placement_requests import a_node, a_run, a_task

HOUR = 3600.0
STEADY, SPOT = (
    a_node("steady"),
    a_node("spot", labels={"eks.amazonaws.com/capacityType": "SPOT", "worker_type": "cheap"}),
)
NODES = (STEADY, SPOT)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@component
def step() -> int:
    return 1


@pipeline
def one():
    step()


def lasting(*tasks: WaitingTask, seconds: float) -> Estimates:
    rows = {(task.run_id, task.key, task.options[0].name): 0 for task in tasks}
    return Estimates(rows, {node.name: index for index, node in enumerate(NODES)}, ((Estimate(seconds, 1, 1e9),) * 2,))


def advised(spot_nodes: SpotNodes, seconds: float, *, is_interruptible: bool = False) -> WaitingTask:
    task = a_task("a", is_interruptible=is_interruptible)
    (run,) = spot_nodes.advised([a_run("a", task)], NODES, lasting(task, seconds=seconds))
    return run.tasks[0]


def ended(node: str, hours: float, *, is_lost: bool) -> Change:
    """One attempt on a node, from its start to its end."""
    run = start_run("r", compile_graph(one.build()), parameters={}, options=RunOptions(), at=BEGIN).run
    key, end = TaskKey("step"), BEGIN + timedelta(hours=hours)
    for event in (
        happened.TaskPlaced(at=BEGIN, key=key, attempt=1, node=node),
        happened.TaskQueued(at=BEGIN, key=key, attempt=1),
        happened.TaskStarted(at=BEGIN, key=key, attempt=1, node=node),
    ):
        run = apply(run, event).run
    last = happened.TaskLost(at=end, key=key, attempt=1, reason="taken away") if is_lost else None
    return apply(run, last or happened.TaskSucceeded(at=end, key=key, attempt=1, outputs={}))


def known(nodes: Mapping[str, Node]) -> SpotNodes:
    return SpotNodes(nodes.get)


def everything() -> SpotNodes:
    return known({node.name: node for node in NODES})


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"karpenter.sh/capacity-type": "spot"}, True),
        ({"karpenter.sh/capacity-type": "on-demand"}, False),
        ({"cloud.google.com/gke-spot": "true"}, True),
        ({"mlopx.dev/spot": "True"}, True),
        ({}, False),
    ],
)
def test_spot_nodes_are_known_by_their_labels(labels: dict[str, str], expected: bool) -> None:
    assert is_spot(a_node("n", labels=labels)) is expected


def test_a_long_task_avoids_spot_nodes_and_a_short_one_does_not() -> None:
    assert advised(everything(), 3 * HOUR).spot_nodes == ("spot",)
    assert advised(everything(), 60).spot_nodes == ()


def test_an_interruptible_task_takes_spot_nodes_however_long_it_is() -> None:
    assert advised(everything(), 100 * HOUR, is_interruptible=True).spot_nodes == ()


def test_what_is_seen_of_interruptions_moves_the_border() -> None:
    shaky, calm = everything(), everything()
    for _ in range(20):
        shaky.notice(ended("spot", 0.5, is_lost=True))
        calm.notice(ended("spot", 50, is_lost=False))
    assert advised(shaky, 900).spot_nodes == ("spot",)
    assert advised(calm, 10 * HOUR).spot_nodes == ()
    assert shaky.rates()["cheap/amd64"] > 0.5 > 0.01 > calm.rates()["cheap/amd64"]


def test_a_loss_with_a_node_that_is_gone_by_now_counts_too() -> None:
    nodes = {node.name: node for node in NODES}
    spot_nodes = known(nodes)
    advised(spot_nodes, 60)
    before = spot_nodes.per_hour("cheap/amd64")
    del nodes["spot"]
    spot_nodes.notice(ended("spot", 0.1, is_lost=True))
    assert spot_nodes.per_hour("cheap/amd64") > before


def test_losses_elsewhere_say_nothing_of_spot_nodes() -> None:
    spot_nodes = everything()
    spot_nodes.notice(ended("steady", 0.1, is_lost=True))
    assert spot_nodes.rates() == {}


def test_without_spot_nodes_nothing_is_touched() -> None:
    task = a_task("a")
    runs = [a_run("a", task)]
    assert everything().advised(runs, (STEADY,), lasting(task, seconds=9 * HOUR)) is runs


def test_avoided_spot_nodes_are_named_and_still_used_where_there_is_nothing_else() -> None:
    task = advised(everything(), 3 * HOUR)
    needs = NeedsTable(NODES).of(task)
    assert needs.nodes == (0,)
    assert needs.rejected == {AVOIDED: 1}
    only_spot = NeedsTable((SPOT,)).of(task)
    assert only_spot.nodes == (0,)
    assert only_spot.rejected == {}
