"""Two plans for one request, compared by one rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from server.components.placer_registry import placers
from server.components.shadows.comparing import compare
from server.domain.placement import Placement, PlacementPlan, PlacementRequest
from server.domain.run import TaskKey
from server.testing.contracts.placement_requests import a_node, a_request, a_run, a_task, requests


def plan(request: PlacementRequest, nodes: dict[str, str], **more: Any) -> PlacementPlan:
    """Every task on the node named for it."""
    return PlacementPlan(
        tuple(Placement(task.run_id, task.key, nodes[task.key.path], **more) for task in request.tasks())
    )


def question() -> PlacementRequest:
    """A chain of two tasks; `quick` needs 10 s for each, `slow` 30 s."""
    tasks = (a_task("r", "load"), a_task("r", "train", is_ready=False, waits_for=("load",)))
    seconds = {(task.component, node): s for task in tasks for node, s in (("quick", 10.0), ("slow", 30.0))}
    nodes = [a_node("quick", cpus=1), a_node("slow", cpus=1)]
    return a_request(nodes, [a_run("r", *tasks, submitted_seconds_ago=5)], seconds=seconds)


def test_a_chain_takes_as_long_as_its_nodes_need() -> None:
    asked = question()
    found = compare(
        asked, plan(asked, {"load": "quick", "train": "quick"}), plan(asked, {"load": "quick", "train": "slow"})
    )
    assert (found.live_seconds, found.shadow_seconds) == (25.0, 45.0)
    assert (found.tasks, found.same, found.ready, found.same_ready, found.runs) == (2, 1, 1, 1, 1)
    assert found.differences == (("r", "train", "quick", "slow"),)


def test_a_task_waits_for_room_on_its_node() -> None:
    tasks = (a_task("r", "one"), a_task("r", "two"))
    asked = a_request([a_node("only", cpus=1), a_node("other", cpus=1)], [a_run("r", *tasks)], seconds=10.0)
    found = compare(asked, plan(asked, {"one": "only", "two": "only"}), plan(asked, {"one": "only", "two": "other"}))
    assert (found.live_seconds, found.shadow_seconds) == (20.0, 10.0)


def test_a_planned_start_is_waited_for() -> None:
    asked = question()
    late = plan(asked, {"load": "quick", "train": "quick"}, planned_start_at=asked.now + timedelta(seconds=100))
    assert compare(asked, late, late).live_seconds == pytest.approx(125.0)


def test_a_run_that_one_plan_leaves_open_is_compared_by_nodes_alone() -> None:
    asked = question()
    whole = plan(asked, {"load": "quick", "train": "quick"})
    half = PlacementPlan((Placement("r", TaskKey("load"), "slow"),))
    found = compare(asked, whole, half)
    assert (found.runs, found.live_seconds, found.shadow_seconds) == (0, None, None)
    assert (found.tasks, found.same) == (1, 0)


@settings(deadline=None)
@given(requests())
def test_a_plan_is_the_same_as_itself(asked: PlacementRequest) -> None:
    made = placers["fifo_greedy"]().place(asked)
    found = compare(asked, made, made)
    assert found.same == found.tasks
    assert found.live_seconds == found.shadow_seconds
    assert found.differences == ()
