"""What sets each of the plain strategies apart."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from mlopx.spec import Preference, Requirement
from server.domain.node import Occupancy, Taint
from server.domain.placement import PlacementPlan, PlacementRequest, TaskOption
from server.placers.custom import Custom
from server.placers.fifo_greedy import FifoGreedy
from server.placers.fifo_random import FifoRandom
from server.placers.fifo_round_robin import FifoRoundRobin
from server.placers.interface import PlacerInterface
from server.placers.random_random import RandomRandom
from server.testing.contracts.placement_requests import (
    NOW,
    a_node,
    a_request,
    a_run,
    a_task,
    amounts,
    requests,
)

ALL: tuple[type[PlacerInterface], ...] = (RandomRandom, FifoRandom, FifoRoundRobin, FifoGreedy, Custom)


def singles(count: int, **more: object) -> list[object]:
    return [a_run(f"run-{n:03}", a_task(f"run-{n:03}", **more), submitted_seconds_ago=count - n) for n in range(count)]  # type: ignore[arg-type]


def nodes_of(plan: PlacementPlan) -> list[str]:
    return [placed.node for placed in plan.placements]


def order_of(plan: PlacementPlan) -> list[str]:
    return [placed.run_id for placed in plan.placements]


def starts(plan: PlacementPlan) -> dict[tuple[str, str], float]:
    return {
        (one.run_id, one.key.path): (one.planned_start_at - NOW).total_seconds()
        for one in plan.placements
        if one.planned_start_at is not None
    }


@pytest.mark.parametrize("placer", [FifoRandom, FifoRoundRobin, FifoGreedy])
def test_first_come_is_first_served(placer: type[PlacerInterface]) -> None:
    runs = singles(10)
    plan = placer().place(a_request([a_node("one", cpus=3)], runs[::-1]))  # type: ignore[arg-type]
    assert order_of(plan) == [f"run-{n:03}" for n in range(10)]


@pytest.mark.parametrize("placer", ALL)
def test_priority_stands_above_the_order(placer: type[PlacerInterface]) -> None:
    runs = [a_run(f"run-{n}", a_task(f"run-{n}"), submitted_seconds_ago=9 - n, priority=n % 2) for n in range(8)]
    plan = placer().place(a_request([a_node("one", cpus=1)], runs))
    assert [int(name[-1]) % 2 for name in order_of(plan)] == [1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("placer", ALL)
def test_what_waits_for_others_is_planned_after_them(placer: type[PlacerInterface]) -> None:
    chain = a_run("a", a_task("a", "x"), a_task("a", "y", waits_for=["x"]), a_task("a", "z", waits_for=["y"]))
    plan = placer().place(a_request([a_node("one", speed=2.0)], [chain], seconds=60))
    assert starts(plan) == {("a", "x"): 0, ("a", "y"): 30, ("a", "z"): 60}


@pytest.mark.parametrize("placer", ALL)
def test_what_waits_for_something_that_has_no_node_is_held(placer: type[PlacerInterface]) -> None:
    chain = a_run("a", a_task("a", "x", cpus=99), a_task("a", "y", waits_for=["x"]), a_task("a", "z", waits_for=["y"]))
    plan = placer().place(a_request([a_node("one")], [chain]))
    assert {hold.key.path: hold.reason for hold in plan.holds} == {
        "x": "no node can run it: too little cpu (asks 99, the node has 4) on 1 of 1",
        "y": "waits for x, which has no node",
        "z": "waits for y, which has no node",
    }


@pytest.mark.parametrize("placer", ALL)
def test_a_wish_is_followed_where_there_is_room_and_no_further(placer: type[PlacerInterface]) -> None:
    wish = (Preference(weight=5, requirement=Requirement(label="disk", values=("ssd",))),)
    nodes = [a_node("one"), a_node("ssd", cpus=2, labels={"disk": "ssd"}), a_node("three")]
    plan = placer().place(a_request(nodes, singles(3, preferences=wish)))  # type: ignore[arg-type]
    assert nodes_of(plan)[:2] == ["ssd", "ssd"]
    assert nodes_of(plan)[2] != "ssd"


@pytest.mark.parametrize("placer", ALL)
def test_a_node_that_would_rather_not_is_used_last(placer: type[PlacerInterface]) -> None:
    nodes = [a_node("spot", taints=(Taint("spot", "", "PreferNoSchedule"),)), a_node("one", cpus=1)]
    plan = placer().place(a_request(nodes, singles(2)))  # type: ignore[arg-type]
    assert nodes_of(plan) == ["one", "spot"]


@pytest.mark.parametrize("placer", ALL)
def test_an_alternative_is_taken_where_it_helps(placer: type[PlacerInterface]) -> None:
    options = (TaskOption("gpu", amounts(gpus=1)), TaskOption("cpu", amounts(cpus=2)))
    plan = placer().place(a_request([a_node("one", gpus=1)], singles(2, options=options)))  # type: ignore[arg-type]
    assert [placed.option for placed in plan.placements] == ["gpu", "cpu"]
    assert set(starts(plan).values()) == {0}


@pytest.mark.parametrize("placer", ALL)
def test_a_small_task_does_not_overtake_a_big_one_that_waits_for_the_same_node(placer: type[PlacerInterface]) -> None:
    taken = [Occupancy("one", amounts(cpus=1), "x", "y", NOW + timedelta(seconds=100))]
    runs = [a_run("big", a_task("big", cpus=4), priority=1), a_run("small", a_task("small", cpus=1))]
    plan = placer().place(a_request([a_node("one")], runs, occupancies=taken))
    assert starts(plan) == {("big", "train"): 100, ("small", "train"): 160}


@pytest.mark.parametrize("placer", ALL)
def test_room_held_by_strangers_for_ever_is_not_counted_on(placer: type[PlacerInterface]) -> None:
    taken = [Occupancy("one", amounts(cpus=4))]
    plan = placer().place(a_request([a_node("one")], singles(1), occupancies=taken))  # type: ignore[arg-type]
    assert [hold.reason for hold in plan.holds] == ["waits for room that is held by others without a known end"]
    plan = placer().place(a_request([a_node("one"), a_node("two", cpus=1)], singles(3), occupancies=taken))  # type: ignore[arg-type]
    assert nodes_of(plan) == ["two", "two", "two"]


@pytest.mark.parametrize("placer", ALL)
def test_a_node_that_is_still_to_come_is_used_only_where_no_other_can_be(placer: type[PlacerInterface]) -> None:
    nodes = [a_node("one", cpus=1), a_node("soon", is_virtual=True, startup_seconds=90)]
    runs = [a_run("a", a_task("a")), a_run("b", a_task("b")), a_run("c", a_task("c", cpus=4))]
    plan = placer().place(a_request(nodes, runs))
    assert {placed.run_id: placed.node for placed in plan.placements} == {"a": "one", "b": "one", "c": "soon"}
    assert starts(plan)["c", "train"] == 90


def test_round_robin_goes_from_node_to_node_and_skips_the_full_ones() -> None:
    nodes = [a_node(name, cpus=cpus) for name, cpus in (("a", 2), ("b", 1), ("c", 2))]
    plan = FifoRoundRobin().place(a_request(nodes, singles(6)))  # type: ignore[arg-type]
    assert nodes_of(plan) == ["a", "b", "c", "a", "c", "a"]
    assert list(starts(plan).values()) == [0, 0, 0, 0, 0, 60]


def test_round_robin_goes_on_where_it_stopped() -> None:
    request = a_request([a_node(name) for name in "abc"], singles(2), history={"a": 2, "b": 2, "c": 1})  # type: ignore[arg-type]
    assert nodes_of(FifoRoundRobin().place(request)) == ["c", "a"]


def test_greedy_takes_the_node_with_the_fewest_tasks_then_more_cores_then_more_memory() -> None:
    nodes = [
        a_node("busy", cpus=64),
        a_node("small", cpus=2),
        a_node("lean", cpus=8, memory_gib=8),
        a_node("rich", cpus=8, memory_gib=64),
    ]
    taken = [Occupancy("busy", amounts(), "x", str(n), NOW + timedelta(seconds=500)) for n in range(2)]
    plan = FifoGreedy().place(a_request(nodes, singles(5), occupancies=taken))  # type: ignore[arg-type]
    assert nodes_of(plan) == ["rich", "lean", "small", "rich", "lean"]


@pytest.mark.parametrize("placer", [RandomRandom, FifoRandom])
def test_chance_uses_all_nodes_and_depends_on_the_seed_alone(placer: type[PlacerInterface]) -> None:
    nodes = [a_node(name, cpus=64) for name in "abcd"]
    plans = [placer().place(a_request(nodes, singles(80), seed=seed)) for seed in (1, 1, 2)]  # type: ignore[arg-type]
    assert plans[0] == plans[1] != plans[2]
    assert all(count > 8 for count in Counter(nodes_of(plans[0])).values())
    assert set(nodes_of(plans[0])) == set("abcd")


def test_a_task_without_room_waits_for_the_same_random_node_in_every_cycle() -> None:
    nodes = [a_node(name) for name in "abcdef"]
    taken = [Occupancy(name, amounts(cpus=2), "x", name, NOW + timedelta(seconds=50)) for name in "abcdef"]
    waits = {
        nodes_of(FifoRandom().place(a_request(nodes, singles(1, cpus=4), occupancies=taken, seed=seed)))[0]  # type: ignore[arg-type]
        for seed in range(10)
    }
    assert len(waits) == 1


def test_random_order_is_not_the_order_of_submission() -> None:
    plan = RandomRandom().place(a_request([a_node("one", cpus=1)], singles(20)))  # type: ignore[arg-type]
    assert order_of(plan) != sorted(order_of(plan))


@pytest.mark.parametrize("placer", ALL)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request_=requests())
def test_no_node_is_ever_planned_to_hold_more_than_it_has(
    placer: type[PlacerInterface], request_: PlacementRequest
) -> None:
    plan = placer().place(request_)
    option_of = {(task.ref, option.name): option for task in request_.tasks() for option in task.options}
    for node in request_.snapshot.nodes:
        here = [placed for placed in plan.placements if placed.node == node.name]
        for at in {placed.planned_start_at for placed in here}:
            assert at is not None
            room = node.allocatable if node.is_virtual else request_.snapshot.available()[node.name]
            for occupancy in request_.snapshot.occupancies:
                end = occupancy.expected_end_at
                is_over = end is not None and max(end, NOW + timedelta(seconds=1)) <= at
                is_assumed = end is None and occupancy.run_id is not None and at >= NOW + timedelta(seconds=60)
                if occupancy.node == node.name and not node.is_virtual and (is_over or is_assumed):
                    room = room + occupancy.requests
            for other in here:
                assert other.planned_start_at is not None
                assert other.planned_finish_at is not None
                if other.planned_start_at <= at < other.planned_finish_at:
                    asked = option_of[(other.run_id, other.key), other.option].requests
                    assert asked.fits_in(room)
                    room = room - asked
