"""Whole runs: who goes now, with which nodes behind the chosen one, and what those who wait or go without are told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.components.decision_unit import DecisionUnit, Outcome
from server.components.handing_over import next_release, placeable_part, whole_runs
from server.domain.events import RunPlaced, TaskHeld
from server.domain.node import Node
from server.domain.placement import PlacementRequest, WaitingRun
from server.domain.run import TaskKey
from server.domain.states import Binding
from server.planning.needs import NeedsTable
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task


def decided(request: PlacementRequest, *, max_hold_seconds: float | None = 0.0) -> Outcome:
    unit = DecisionUnit(
        placer="fifo_greedy",
        new_id=lambda: "d",
        in_process=True,
        binding=Binding.AT_SUBMISSION,
        max_hold_seconds=max_hold_seconds,
    )
    return unit.decide_now(request)


def events(runs: list[WaitingRun], nodes: list[Node], *, max_hold_seconds: float = 0.0) -> list[RunPlaced | TaskHeld]:
    table = NeedsTable(nodes)
    request = a_request(nodes, [placeable_part(run, table) for run in runs])
    outcome = decided(request, max_hold_seconds=max_hold_seconds)
    found = whole_runs(runs, outcome, NOW, max_hold_seconds=max_hold_seconds, table=table)
    return [event for _, event in found]


def test_the_next_best_nodes_are_named_by_rank() -> None:
    nodes = [a_node("slow"), a_node("fast"), a_node("medium")]
    seconds = {("train", "slow"): 90.0, ("train", "fast"): 10.0, ("train", "medium"): 40.0}
    run = a_run("r", a_task("r", "train"))
    outcome = decided(a_request(nodes, [run], seconds=seconds))
    [(_, placed)] = whole_runs([run], outcome, NOW, max_hold_seconds=0, table=NeedsTable(nodes))
    assert isinstance(placed, RunPlaced)
    ranked = [name for name in ("fast", "medium", "slow") if name != placed.tasks[0].node]
    assert list(placed.tasks[0].alternatives) == ranked


def test_what_no_node_can_run_goes_without_one_and_keeps_nobody_from_theirs() -> None:
    run = a_run("r", a_task("r", "train", gpus=1), a_task("r", "report", waits_for=["train"]))
    [placed] = events([run], [a_node("one")])
    assert isinstance(placed, RunPlaced)
    train, report = placed.tasks
    assert (train.node, report.node) == (None, "one")
    assert "left to the platform's own scheduler: no node can run it: too little gpu" in train.reason


@pytest.mark.parametrize("max_hold_seconds", [0, 600])
def test_what_only_a_growing_group_can_run_is_left_to_the_autoscaler_and_that_is_said(max_hold_seconds: float) -> None:
    """At once: a group grows for pods that are there, not for runs that are held here."""
    nodes = [a_node("one"), a_node("big", gpus=1, is_virtual=True, group="pool", startup_seconds=60)]
    run = a_run("r", a_task("r", "train", gpus=1))
    [placed] = events([run], nodes, max_hold_seconds=max_hold_seconds)
    assert isinstance(placed, RunPlaced)
    assert "left to the autoscaler" in placed.tasks[0].reason
    assert "pool" in placed.tasks[0].reason


def test_a_run_that_is_held_says_its_expected_gain_and_its_latest_release() -> None:
    first = a_run("first", a_task("first", "a", cpus=4))
    second = a_run("second", a_task("second", "b", cpus=4))
    placed, held = events([first, second], [a_node("one", cpus=4)], max_hold_seconds=90)
    assert isinstance(placed, RunPlaced)
    assert isinstance(held, TaskHeld)
    assert "expected gain: 0 s, no node has room now" in held.reason
    assert f"it goes at {NOW + timedelta(seconds=90):%H:%M:%S} UTC at the latest" in held.reason
    assert next_release([second], NOW, 90) == NOW + timedelta(seconds=90)
    assert next_release([second], NOW, None) is None


def test_nothing_is_held_by_default_and_what_goes_without_room_is_recorded_all_the_same() -> None:
    runs = [a_run(name, a_task(name, "a", cpus=4)) for name in ("first", "second")]
    found = events(runs, [a_node("one", cpus=4)])
    assert [type(event) for event in found] == [RunPlaced, RunPlaced]
    assert [event.tasks[0].decision_id for event in found if isinstance(event, RunPlaced)] == ["d", "d"]


def test_a_run_that_nothing_can_be_planned_for_is_not_held() -> None:
    runs = [a_run("first", a_task("first", "a")), a_run("second", a_task("second", "b", gpus=1))]
    found = events(runs, [a_node("one")], max_hold_seconds=600)
    assert [type(event) for event in found] == [RunPlaced, RunPlaced]


@pytest.mark.parametrize("middle_fits", [True, False])
def test_who_waits_for_what_is_left_open_waits_for_what_that_waits_for(middle_fits: bool) -> None:
    gpus = 0 if middle_fits else 1
    tasks = [a_task("r", "a"), a_task("r", "b", gpus=gpus, waits_for=["a"]), a_task("r", "c", waits_for=["b"])]
    run = a_run("r", *tasks)
    kept = {task.key.path: task for task in placeable_part(run, NeedsTable([a_node("one")])).tasks}
    assert kept["c"].waits_for == (TaskKey("b" if middle_fits else "a"),)
    assert ("b" in kept) is middle_fits


def test_a_run_that_its_cluster_would_not_start_stays_with_the_reason_however_long() -> None:
    nodes = [a_node("one")]
    late = a_run("late", a_task("late", "a"), a_task("late", "b", waits_for=["a"]), submitted_seconds_ago=9_000)
    other = a_run("other", a_task("other", "a"))
    outcome = decided(a_request(nodes, [late, other]))
    found = whole_runs(
        [late, other], outcome, NOW, max_hold_seconds=0, table=NeedsTable(nodes), barred={"late": "waits for quota q"}
    )
    (held_id, held), (placed_id, placed) = found
    assert (held_id, placed_id) == ("late", "other")
    assert isinstance(held, TaskHeld)
    assert (held.key, held.reason) == (TaskKey("a"), "waits for quota q")
    assert isinstance(placed, RunPlaced)
