"""Strategies plan around what runs that were handed over whole will take later on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from server.components.placer_registry import load_placer
from server.domain.node import Node
from server.domain.placement import PlacementPlan, PlacementRequest, Promise
from server.domain.resources import Resources
from server.domain.run import TaskKey
from server.placers.halves.timeline import NEVER, NodeTimeline
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts, requests

BY_FINISH = (
    "heft",
    "peft",
    "min_min",
    "max_min",
    "sufferage",
    "sjf_eft",
    "srpt_eft",
    "las_eft",
    "online",
    "anytime",
    "exact",
)
CORE = amounts(cpus=1, memory_gib=1)


def promise(node: str, begins: float, ends: float, requests: Resources = CORE) -> Promise:
    begin, end = (NOW + timedelta(seconds=seconds) for seconds in (begins, ends))
    return Promise(node, requests, "other", TaskKey("later"), begin, end)


def two_nodes() -> Sequence[Node]:
    return a_node("quick", cpus=1, speed=2.0), a_node("slow", cpus=1)


def asked(*promised: Promise) -> PlacementRequest:
    run = a_run("r", a_task("r", "first"), a_task("r", "second", waits_for=["first"]))
    return a_request(two_nodes(), [run], seconds=60.0, promised=promised)


def nodes_of(plan: PlacementPlan) -> dict[str, str]:
    return {str(one.key): one.node for one in plan.placements}


@pytest.mark.parametrize("name", BY_FINISH)
def test_a_node_that_is_promised_for_later_is_not_planned_for_then(name: str) -> None:
    placer = load_placer(name)()
    assert nodes_of(placer.place(asked())) == {"first": "quick", "second": "quick"}
    assert nodes_of(placer.place(asked(promise("quick", 40, 600)))) == {"first": "quick", "second": "slow"}


@pytest.mark.parametrize("name", BY_FINISH)
def test_what_ends_before_a_promise_is_kept_uses_the_node(name: str) -> None:
    placer = load_placer(name)()
    assert nodes_of(placer.place(asked(promise("quick", 90, 600)))) == {"first": "quick", "second": "quick"}


def test_the_least_loaded_node_is_one_that_nobody_was_promised() -> None:
    nodes = [a_node(name, cpus=1) for name in ("one", "two", "three")]
    run = a_run("r", a_task("r", "first"), a_task("r", "second", waits_for=["first"]))
    plan = load_placer("fifo_greedy")().place(
        a_request(nodes, [run], promised=(promise("one", 50, 600), promise("two", 50, 600)))
    )
    assert nodes_of(plan) == {"first": "three", "second": "three"}


@pytest.mark.parametrize("name", ["srpt_eft", "online", "heft", "exact"])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(request=requests())
def test_nothing_is_planned_into_promised_room(name: str, request: PlacementRequest) -> None:
    plan = load_placer(name)().place(request)
    room = {node.name: node.allocatable for node in request.snapshot.nodes}
    options = {(task.run_id, task.key): {one.name: one for one in task.options} for task in request.tasks()}
    for one in plan.placements:
        assert one.planned_start_at is not None
        if one.planned_finish_at is None or one.planned_finish_at - one.planned_start_at < timedelta(seconds=0.01):
            continue
        mine = options[one.run_id, one.key][one.option].requests
        for other in request.promised:
            overlap = min(other.ends_at, one.planned_finish_at) - max(other.begins_at, one.planned_start_at)
            if other.node == one.node and overlap > timedelta(seconds=0.01):
                assert mine.cpu_millicores + other.requests.cpu_millicores <= room[one.node].cpu_millicores


@pytest.mark.parametrize("name", ["srpt_eft", "online", "heft", "exact"])
def test_a_promise_that_ends_as_it_begins_is_in_nobodys_way(name: str) -> None:
    cluster = [a_node("one", cpus=1), a_node("slow", cpus=1, speed=0.01)]
    at_once = promise("one", 30, 30, amounts(cpus=64))
    plan = load_placer(name)().place(a_request(cluster, [a_run("run", a_task("run"))], promised=(at_once,)))
    assert nodes_of(plan) == {"train": "one"}
    assert [one.planned_start_at for one in plan.placements] == [NOW]


def test_a_timeline_takes_promised_room_when_its_time_comes() -> None:
    line = NodeTimeline(Resources(cpu_millicores=2000, memory_bytes=8 * 2**30, pods=9))
    two = amounts(cpus=2, memory_gib=1)
    line.promise(CORE, 10, 50)
    line.promise(CORE, 20, 40)
    assert line.tasks_at(0) == 2
    assert line.has_room(two, 5)
    assert not line.has_room(two, 10)
    assert line.has_room(CORE, 15)
    assert not line.has_room(CORE, 20)
    assert line.earliest_start(CORE, 20) == 40
    assert line.earliest_start(two, 20) == 50
    assert line.earliest_start(amounts(cpus=3), 20) == NEVER
    assert line.tasks_at(45) == 1


def test_a_timeline_looks_for_room_past_promises_that_are_still_to_be_kept() -> None:
    line = NodeTimeline(Resources(memory_bytes=8 * 2**30, pods=9))
    line.hold(CORE, 30)
    line.promise(CORE, 20, 60)
    assert line.earliest_start(CORE, 0) == 60


def test_a_promise_gives_back_no_more_than_it_took() -> None:
    line = NodeTimeline(Resources())
    line.promise(CORE, 20, 20)
    assert line.earliest_start(CORE, 0) == NEVER


def test_room_that_comes_back_as_a_promise_begins_is_the_promised_one() -> None:
    line = NodeTimeline(Resources())
    line.hold(CORE, 20)
    line.promise(CORE, 20, 60)
    assert line.earliest_start(CORE, 0) == 60
