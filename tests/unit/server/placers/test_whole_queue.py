"""What sets the strategies apart that compute on the whole queue: one telling case each."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.components.placer_registry import placers
from server.domain.node import Occupancy
from server.domain.placement import BoundTask, PlacementPlan, PlacementRequest, WaitingRun
from server.domain.run import TaskKey
from server.placers.fair_share import FairShare
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts

FULL = 4.0
"""CPUs that fill a node of these tests."""


def place(
    name: str, *runs: WaitingRun, nodes: dict[str, float], seconds: dict[str, float], **more: object
) -> PlacementPlan:
    """The plan for tasks that fill a node; `nodes` by speed, `seconds` by component on a node of speed 1."""
    cluster = [a_node(node, speed=speed) for node, speed in nodes.items()]
    table = {(component, node.name): took / node.speed for component, took in seconds.items() for node in cluster}
    return placers[name]().place(a_request(cluster, runs, seconds=table, **more))  # type: ignore[arg-type]


def task(run: str, path: str = "train", **more: object):  # type: ignore[no-untyped-def]
    return a_task(run, path, cpus=FULL, **more)  # type: ignore[arg-type]


def order(plan: PlacementPlan) -> list[str]:
    return [placed.run_id for placed in plan.placements]


def node_of(plan: PlacementPlan, run: str, path: str = "train") -> str:
    return next(one.node for one in plan.placements if (one.run_id, one.key.path) == (run, path))


def starts(plan: PlacementPlan) -> dict[str, float]:
    return {one.run_id: (one.planned_start_at - NOW).total_seconds() for one in plan.placements if one.planned_start_at}


EARLIEST_FINISH = ["heft", "min_min", "srpt_eft", "sjf_eft", "las_eft", "fair_share", "deadline", "online"]


@pytest.mark.parametrize("name", EARLIEST_FINISH)
def test_a_task_waits_for_a_faster_node_when_that_pays(name: str) -> None:
    busy = [Occupancy("fast", amounts(cpus=FULL), "x", "y", NOW + timedelta(seconds=30))]
    plan = place(name, a_run("a", task("a")), nodes={"slow": 0.1, "fast": 1.0}, seconds={"train": 60}, occupancies=busy)
    (placed,) = plan.placements
    assert (placed.node, round(starts(plan)["a"])) == ("fast", 30)
    assert placed.gain_seconds == pytest.approx(600 - 90, abs=0.1)
    assert placed.reason == "ends about 8 min sooner than if it started on slow now"


@pytest.mark.parametrize("name", EARLIEST_FINISH)
def test_and_does_not_wait_when_it_does_not(name: str) -> None:
    busy = [Occupancy("fast", amounts(cpus=FULL), "x", "y", NOW + timedelta(seconds=90))]
    plan = place(name, a_run("a", task("a")), nodes={"slow": 0.5, "fast": 1.0}, seconds={"train": 60}, occupancies=busy)
    assert (node_of(plan, "a"), starts(plan)["a"]) == ("slow", 0)


def test_heft_takes_the_longest_way_to_go_first() -> None:
    long = a_run("long", task("long", "x"), task("long", "y", waits_for=["x"]))
    plan = place("heft", a_run("short", task("short", "x")), long, nodes={"one": 1.0}, seconds={"x": 10, "y": 50})
    assert order(plan)[0] == "long"


def test_peft_looks_at_what_must_follow() -> None:
    """The first task ends sooner on `near`, but what follows can only run quickly where its data is."""
    run = a_run("a", task("a", "x"), task("a", "y", waits_for=["x"]))
    nodes = [a_node("near"), a_node("far")]
    table = {("x", "near"): 10.0, ("x", "far"): 12.0, ("y", "near"): 90.0, ("y", "far"): 9.0}
    plan = placers["peft"]().place(a_request(nodes, [run], seconds=table))
    assert node_of(plan, "a", "y") == "far"


def test_cpop_keeps_the_critical_path_on_one_node() -> None:
    run = a_run("a", task("a", "x"), task("a", "side"), task("a", "y", waits_for=["x"]))
    nodes = [a_node("one"), a_node("two")]
    table = {("x", "one"): 10.0, ("x", "two"): 30.0, ("y", "one"): 50.0, ("y", "two"): 45.0}
    table |= {("side", "one"): 5.0, ("side", "two"): 5.0}
    plan = placers["cpop"]().place(a_request(nodes, [run], seconds=table))
    assert (node_of(plan, "a", "x"), node_of(plan, "a", "y")) == ("one", "one")


def test_min_min_begins_with_the_small_and_max_min_with_the_big() -> None:
    runs = [a_run("big", task("big", "big")), a_run("small", task("small", "small"))]
    for name, first in (("min_min", "small"), ("max_min", "big")):
        assert order(place(name, *runs, nodes={"one": 1.0}, seconds={"big": 90, "small": 5}))[0] == first


def test_sufferage_gives_the_node_to_whom_it_matters_most() -> None:
    runs = [a_run("easy", task("easy", "easy")), a_run("picky", task("picky", "picky"))]
    table = {("easy", "one"): 10.0, ("easy", "two"): 11.0, ("picky", "one"): 10.0, ("picky", "two"): 99.0}
    plan = placers["sufferage"]().place(a_request([a_node("one"), a_node("two")], runs, seconds=table))
    assert (node_of(plan, "picky"[:5], "picky"), node_of(plan, "easy", "easy")) == ("one", "two")


def test_srpt_takes_the_least_work_left_and_sjf_the_least_in_all() -> None:
    """`old` has little left of much, `new` is short."""
    old = a_run("old", task("old", "rest"), done_seconds=500.0)
    new = a_run("new", task("new", "whole"))
    for name, first in (("srpt_eft", "old"), ("sjf_eft", "new")):
        assert order(place(name, old, new, nodes={"one": 1.0}, seconds={"rest": 10, "whole": 40}))[0] == first


def test_srpt_ages() -> None:
    waited = a_run("waited", task("waited", "long"), submitted_seconds_ago=500)
    plan = place(
        "srpt_eft", a_run("new", task("new", "short")), waited, nodes={"one": 1.0}, seconds={"long": 90, "short": 5}
    )
    assert order(plan)[0] == "waited"


def test_las_takes_who_has_had_least_whatever_is_left() -> None:
    rich = a_run("rich", task("rich", "short"), done_seconds=900.0, submitted_seconds_ago=90)
    plan = place(
        "las_eft", rich, a_run("new", task("new", "long")), nodes={"one": 1.0}, seconds={"long": 90, "short": 5}
    )
    assert order(plan)[0] == "new"


def test_fair_share_takes_the_project_that_has_had_least() -> None:
    runs = [
        a_run("greedy-1", task("greedy-1"), project="greedy", submitted_seconds_ago=9, done_seconds=500.0),
        a_run("greedy-2", task("greedy-2"), project="greedy", submitted_seconds_ago=8),
        a_run("modest", task("modest"), project="modest"),
    ]
    assert order(place("fair_share", *runs, nodes={"one": 1.0}, seconds={"train": 60})) == [
        "modest",
        "greedy-1",
        "greedy-2",
    ]


def test_a_heavier_project_gets_more() -> None:
    runs = [a_run(f"{p}-{n}", task(f"{p}-{n}"), project=p) for p in ("light", "heavy") for n in range(4)]
    plan = FairShare({"heavy": 3.0}).place(a_request([a_node("one")], runs))
    assert [name.split("-")[0] for name in order(plan)][:5].count("heavy") == 3


def test_deadline_takes_who_must_start_first() -> None:
    """The later deadline, with the longer way to go, is the more urgent one."""
    soon = a_run("soon", task("soon", "short"), deadline_at=NOW + timedelta(seconds=300))
    far = a_run("far", task("far", "long"), deadline_at=NOW + timedelta(seconds=400))
    free = a_run("free", task("free", "short"), submitted_seconds_ago=99)
    plan = place("deadline", free, soon, far, nodes={"one": 1.0}, seconds={"short": 10, "long": 390})
    assert order(plan) == ["far", "soon", "free"]


def test_cost_takes_the_cheapest_node_that_is_in_time() -> None:
    nodes = [a_node("dear", speed=4.0, price_per_hour=8.0), a_node("cheap", price_per_hour=1.0)]
    for limit, node in ((100, "cheap"), (30, "dear")):
        run = a_run("a", task("a"), deadline_at=NOW + timedelta(seconds=limit))
        assert node_of(placers["cost"]().place(a_request(nodes, [run], seconds=60)), "a") == node


def test_what_runs_too_long_is_not_expected_to_end_at_once() -> None:
    """`fast` is overdue by far: it may take long, so a task goes to the slower node."""
    began, due = NOW - timedelta(seconds=600), NOW - timedelta(seconds=540)
    bound = BoundTask("a", TaskKey("running"), "fast", "default", amounts(cpus=FULL), began, due)
    busy = [Occupancy("fast", amounts(cpus=FULL), "a", "running", due)]
    run = a_run("a", task("a"), bound=(bound,))
    plan = place("online", run, nodes={"slow": 0.5, "fast": 1.0}, seconds={"train": 60}, occupancies=busy)
    assert node_of(plan, "a") == "slow"


def hard_queue() -> PlacementRequest:
    """Seven unequal tasks on two nodes: list rules are not best."""
    runs = [a_run(f"run-{n}", task(f"run-{n}", f"t{n}")) for n in range(7)]
    took = (30, 30, 20, 20, 20, 41, 9)
    table = {(f"t{n}", node): float(took[n]) for n in range(7) for node in ("one", "two")}
    return a_request([a_node("one"), a_node("two")], runs, seconds=table, objective="makespan")


def last_finish(plan: PlacementPlan) -> float:
    return max((one.planned_finish_at - NOW).total_seconds() for one in plan.placements if one.planned_finish_at)


def test_anytime_beats_the_rules_it_begins_with() -> None:
    rules = [last_finish(placers[name]().place(hard_queue())) for name in ("heft", "min_min", "max_min", "sufferage")]
    assert last_finish(placers["anytime"]().place(hard_queue())) <= min(rules)


def test_exact_proves_its_plan_and_says_so() -> None:
    plan = placers["exact"]().place(hard_queue())
    assert last_finish(plan) == 89
    assert {one.reason for one in plan.placements if one.planned_start_at == NOW} == {
        "best plan there is, proved: makespan of 89 s"
    }


def test_exact_says_when_a_queue_is_beyond_its_reach() -> None:
    runs = [a_run(f"run-{n}", a_task(f"run-{n}")) for n in range(30)]
    plan = placers["exact"]().place(a_request([a_node("one")], runs))
    assert plan.placements[0].reason == "best plan known; 30 tasks are too many to prove it"
