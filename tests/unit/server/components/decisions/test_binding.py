"""What of a plan happens now, and what the other ready tasks are told."""

from __future__ import annotations

from datetime import timedelta

from mlopx.spec import Requirement
from server.components.decisions.binding import BoundNow, bind_ready
from server.domain.node import Occupancy
from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest
from server.domain.run import TaskKey
from server.planning.needs import NeedsTable
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts

TRAIN = TaskKey("train")
LATER = NOW + timedelta(minutes=5)


def bound(request: PlacementRequest, *placements: Placement, holds: tuple[Hold, ...] = ()) -> BoundNow:
    return bind_ready(request, PlacementPlan(placements, holds), NeedsTable(request.snapshot.nodes))


def runs_of(found: BoundNow) -> list[str]:
    return [placement.run_id for placement in found.bind_now]


def test_ready_tasks_are_bound_in_plan_order_while_room_lasts() -> None:
    request = a_request([a_node("one", cpus=2)], [a_run(name, a_task(name)) for name in "abc"])
    found = bound(request, *[Placement(name, TRAIN, "one") for name in "cab"])
    assert runs_of(found) == ["c", "a"]
    assert found.holds == {("b", TRAIN): "waits for room on node one; too little cpu free on 1 of 1 nodes"}


def test_tasks_that_are_not_ready_are_neither_bound_nor_held() -> None:
    run = a_run("a", a_task("a", "first"), a_task("a", "second", waits_for=["first"]))
    request = a_request([a_node("one")], [run])
    found = bound(request, *[Placement("a", task.key, "one", planned_start_at=NOW) for task in run.tasks])
    assert [placement.key.path for placement in found.bind_now] == ["first"]
    assert found.holds == {}


def test_a_strategys_own_hold_keeps_its_words() -> None:
    request = a_request([a_node("one")], [a_run("a", a_task("a"))])
    assert bound(request, holds=(Hold("a", TRAIN, "it is Sunday"),)).holds == {("a", TRAIN): "it is Sunday"}


def test_the_first_in_line_is_told_when_and_the_others_that_they_wait_in_line() -> None:
    taken = [Occupancy("one", amounts(cpus=4), "x", "y", LATER)]
    request = a_request([a_node("one")], [a_run(name, a_task(name)) for name in "ab"], occupancies=taken)
    found = bound(request, *[Placement(name, TRAIN, "one", planned_start_at=LATER) for name in "ab"])
    assert found.holds == {
        ("a", TRAIN): "waits for room on node one, expected free at 14:05 UTC; too little cpu free on 1 of 1 nodes",
        ("b", TRAIN): "waits in line for room on node one; too little cpu free on 1 of 1 nodes",
    }


def test_why_other_nodes_cannot_help_is_said_too() -> None:
    taken = [Occupancy("one", amounts(cpus=4), "x", "y", LATER)]
    wants = (Requirement(label="disk", values=("ssd",)),)
    nodes = [a_node("one", labels={"disk": "ssd"}), a_node("two"), a_node("three")]
    request = a_request(nodes, [a_run("a", a_task("a", requirements=wants))], occupancies=taken)
    (text,) = bound(request, Placement("a", TRAIN, "one", planned_start_at=LATER)).holds.values()
    assert text.endswith("too little cpu free on 1 of 3 nodes; label disk In (ssd) does not hold on 2")


def test_room_that_the_plan_keeps_for_an_earlier_task_is_left_alone() -> None:
    big = a_run("big", a_task("big", "first"), a_task("big", "train", cpus=4, waits_for=["first"]))
    request = a_request([a_node("one"), a_node("two")], [big, a_run("small", a_task("small"))])
    found = bound(
        request,
        Placement("big", TaskKey("first"), "two", planned_start_at=NOW),
        Placement("big", TRAIN, "one", planned_start_at=LATER),
        Placement("small", TRAIN, "one", planned_start_at=LATER + timedelta(minutes=1)),
    )
    assert runs_of(found) == ["big"]
    (text,) = found.holds.values()
    assert text == "waits for node one, whose room is kept for a task planned before it, expected free at 14:06 UTC"


def test_a_start_planned_later_without_anybody_before_it_happens_now() -> None:
    request = a_request([a_node("one")], [a_run("a", a_task("a"))])
    assert runs_of(bound(request, Placement("a", TRAIN, "one", planned_start_at=LATER))) == ["a"]


def test_nothing_is_bound_to_a_node_that_is_not_there_yet() -> None:
    node = a_node("soon", is_virtual=True, group="spot", startup_seconds=90)
    request = a_request([node], [a_run("a", a_task("a"))])
    found = bound(request, Placement("a", TRAIN, "soon", planned_start_at=LATER))
    assert found.bind_now == ()
    assert found.holds == {("a", TRAIN): "waits for a new node of group spot, expected free at 14:05 UTC"}
