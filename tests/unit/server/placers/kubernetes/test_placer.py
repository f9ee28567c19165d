"""The strategy `kubernetes`: what sets it apart, and that it is the same code as the replay."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import HealthCheck, given, settings

from mlopx.spec import Preference, Requirement
from server.domain.node import Occupancy, Taint
from server.domain.placement import PlacementPlan, PlacementRequest, TaskOption
from server.placers.fifo_greedy import FifoGreedy
from server.placers.kubernetes import Kubernetes
from server.placers.kubernetes.nodes import Machines
from server.placers.kubernetes.scheduling import Question
from server.placers.kubernetes.translating import hold_occupancy, machine_of, pod_of
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts, requests


def nodes_of(plan: PlacementPlan) -> dict[str, str]:
    return {placed.run_id: placed.node for placed in plan.placements}


def reasons(plan: PlacementPlan) -> dict[str, str]:
    return {hold.run_id: hold.reason for hold in plan.holds}


def test_the_node_with_the_larger_free_share_is_taken_whatever_runs_there_and_however_slow_it_is() -> None:
    nodes = [a_node("fast", cpus=4, memory_gib=16, speed=10), a_node("large", cpus=64, memory_gib=256, speed=0.1)]
    taken = [Occupancy("large", amounts(cpus=1), "x", str(number), NOW) for number in range(5)]
    request = a_request(nodes, [a_run("a", a_task("a"))], occupancies=taken)
    assert nodes_of(Kubernetes().place(request)) == {"a": "large"}
    assert nodes_of(FifoGreedy().place(request)) == {"a": "fast"}


def test_a_task_without_room_keeps_nothing_free_and_smaller_ones_overtake_it() -> None:
    taken = [Occupancy("one", amounts(cpus=1), "x", "y", NOW + timedelta(seconds=100))]
    runs = [a_run("big", a_task("big", cpus=4), priority=1), a_run("small", a_task("small", cpus=1))]
    request = a_request([a_node("one"), a_node("two", cpus=1)], runs, occupancies=taken)
    plan = Kubernetes().place(request)
    assert nodes_of(plan).keys() == {"small"}
    assert reasons(plan) == {
        "big": "no node fits now: too little cpu free on 1 of 2 nodes; too little cpu (asks 4, the node has 1) on 1"
    }
    assert nodes_of(FifoGreedy().place(request)).keys() == {"big", "small"}


def test_tasks_come_by_priority_and_then_by_when_they_became_ready() -> None:
    def ready(seconds: int) -> dict[str, object]:
        return {"ready_at": NOW + timedelta(seconds=seconds)}

    runs = [
        a_run("first-submitted", a_task("first-submitted", **ready(3)), submitted_seconds_ago=90),
        a_run("first-ready", a_task("first-ready", **ready(1))),
        a_run("important", a_task("important", **ready(9)), priority=1),
    ]
    for cpus, expected in ((1, ["important"]), (2, ["important", "first-ready"])):
        plan = Kubernetes().place(a_request([a_node("one", cpus=cpus)], runs))
        assert [placed.run_id for placed in plan.placements] == expected


def test_a_task_that_is_not_due_is_unknown_to_kubernetes() -> None:
    run = a_run("a", a_task("a", "x"), a_task("a", "y", waits_for=["x"]))
    plan = Kubernetes().place(a_request([a_node("one")], [run], seconds=30))
    assert [(placed.key.path, placed.planned_finish_at) for placed in plan.placements] == [
        ("x", NOW + timedelta(seconds=30))
    ]
    assert [hold.reason for hold in plan.holds] == ["waits for x; Kubernetes knows a pod only when it is due"]


def test_a_choice_is_explained_by_the_scores_that_made_it() -> None:
    nodes = [a_node("one"), a_node("two", cpus=8, memory_gib=32)]
    placed = Kubernetes().place(a_request(nodes, [a_run("a", a_task("a", cpus=2, memory_gib=8))])).placements[0]
    # 6 of 8 processors and 24 of 32 GiB stay free; both a quarter used
    assert placed.reason == (
        "scores most of 2 nodes, 450: TaintToleration 300, NodeResourcesFit 75, NodeResourcesBalancedAllocation 75"
    )
    assert placed.score == -450


def test_wishes_and_soft_taints_are_weighed_not_obeyed() -> None:
    wish = Preference(weight=1, requirement=Requirement(label="disk", values=("ssd",)))
    soft = (Taint("spot", "", "PreferNoSchedule"),)
    nodes = [a_node("wished", labels={"disk": "ssd"}, taints=soft), a_node("plain")]
    plan = Kubernetes().place(a_request(nodes, [a_run("a", a_task("a", preferences=(wish,)))]))
    assert nodes_of(plan) == {"a": "plain"}


def test_equally_good_nodes_are_drawn_and_the_seed_decides() -> None:
    nodes = [a_node(name, cpus=64, memory_gib=256) for name in "abcd"]
    drawn = [
        nodes_of(Kubernetes().place(a_request(nodes, [a_run("a", a_task("a"))], seed=seed)))["a"] for seed in range(60)
    ]
    assert set(drawn) == set("abcd")
    assert nodes_of(Kubernetes().place(a_request(nodes, [a_run("a", a_task("a"))], seed=7)))["a"] == drawn[7]


def test_the_first_option_that_fits_is_taken() -> None:
    options = (TaskOption("gpu", amounts(gpus=1)), TaskOption("cpu", amounts(cpus=2)))
    runs = [a_run(name, a_task(name, options=options)) for name in "ab"]
    plan = Kubernetes().place(a_request([a_node("one", gpus=1), a_node("two")], runs))
    assert [placed.option for placed in plan.placements] == ["gpu", "cpu"]
    assert plan.placements[0].node == "one"


def test_a_node_that_is_still_to_come_is_waited_for() -> None:
    plan = Kubernetes().place(
        a_request([a_node("soon", is_virtual=True, startup_seconds=9)], [a_run("a", a_task("a"))])
    )
    assert reasons(plan) == {"a": "no node fits now: the nodes that could run it are not there yet"}


def test_of_a_large_cluster_the_next_part_is_looked_at_each_time() -> None:
    nodes = [a_node(f"node-{number:03}", cpus=64 if number < 60 else 32, memory_gib=256) for number in range(200)]
    runs = [a_run(f"run-{number}", a_task(f"run-{number}")) for number in range(4)]
    plan = Kubernetes().place(a_request(nodes, runs, history={"node-000": 100}))
    numbers = [int(node[-3:]) for node in nodes_of(plan).values()]
    assert [number < 60 for number in numbers] == [False, True, False, True]


def test_a_task_that_no_node_can_ever_run_is_told_so() -> None:
    plan = Kubernetes().place(a_request([a_node("one")], [a_run("a", a_task("a", cpus=99))]))
    assert reasons(plan) == {"a": "no node can run it: too little cpu (asks 99, the node has 4) on 1 of 1"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request_=requests())
def test_every_placement_is_one_of_the_best_nodes_that_the_scheduler_finds(request_: PlacementRequest) -> None:
    real = [node for node in request_.snapshot.nodes if not node.is_virtual]
    machines = Machines([machine_of(node) for node in real])
    for occupancy in request_.snapshot.occupancies:
        hold_occupancy(machines, occupancy)
    tasks = {task.ref: task for task in request_.tasks()}
    plan = Kubernetes().place(request_)
    for placed in plan.placements:
        task = tasks[placed.run_id, placed.key]
        option = next(option for option in task.options if option.name == placed.option)
        question = Question(pod_of(task, option), machines)
        node = machines.index[placed.node]
        assert node in question.feasible()
        # MLOpX closes nodes that are not ready, cordoned (even to a task that tolerates everything) or to be avoided.
        if task.node is None and not task.avoid_nodes and all(one.is_ready and one.is_schedulable for one in real):
            assert node in question.decide(question.feasible()).best()
        machines.add(question.pod, node)
    assert Counter(one.run_id for one in (*plan.placements, *plan.holds)) == Counter(
        task.run_id for task in request_.tasks()
    )
