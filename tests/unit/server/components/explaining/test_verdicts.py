"""What is said about a node is true of the snapshot it was said about, whatever the cluster and the task."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.components.explaining.values import NodeVerdict
from server.components.explaining.verdicts import amount, node_verdicts
from server.domain.feasibility import holds, is_tolerated
from server.domain.node import HOSTNAME_LABEL, Node, Occupancy, Snapshot
from server.domain.placement import PlacementRequest, TaskOption, WaitingTask
from server.domain.resources import Resources
from server.testing.contracts.placement_requests import (
    GIB,
    NOW,
    a_node,
    a_request,
    a_run,
    a_task,
    amounts,
    requests,
    some_estimates,
)

ANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lowered(option: TaskOption, verdict: NodeVerdict) -> TaskOption:
    """The option asking for what the node is said to have, where it asks for more."""
    asked = option.requests
    most = {short.request: short.has for short in verdict.missing}
    return replace(
        option,
        requests=Resources.of(
            cpu_millicores=most.get("cpu", asked.cpu_millicores),
            memory_bytes=most.get("memory", asked.memory_bytes),
            pods=most.get("pods", asked.pods),
            accelerators={kind: most.get(kind, count) for kind, count in asked.accelerators},
        ),
    )


def with_option(task: WaitingTask, option: TaskOption) -> WaitingTask:
    return replace(task, options=tuple(option if one.name == option.name else one for one in task.options))


def verdict_on(task: WaitingTask, snapshot: Snapshot, node: str) -> NodeVerdict:
    return next(one for one in node_verdicts(task, snapshot) if one.node == node)


def is_true_that_it_never_can(task: WaitingTask, node: Node, verdict: NodeVerdict) -> bool:
    """Whether the reason holds on the node, asked in another way than the one that found it."""
    if verdict.kind == "state":
        return not (node.is_ready and node.is_schedulable)
    if verdict.kind == "node":
        return task.node not in (node.name, node.labels.get(HOSTNAME_LABEL))
    if verdict.kind == "label":
        return any(not holds(one, node) and one.label in verdict.reason for one in task.requirements)
    if verdict.kind == "taint":
        return any(not is_tolerated(one, task.tolerations) and one.key in verdict.reason for one in node.taints)
    option = task.options[0]
    return bool(verdict.missing) and all(
        short.asks == amount(option.requests, short.request)
        and short.has == max(amount(node.allocatable, short.request), 0)
        and short.asks > short.has
        for short in verdict.missing
    )


@ANY
@given(requests())
def test_a_node_that_is_ruled_out_really_lacks_what_is_said(request: PlacementRequest) -> None:
    for task in request.tasks():
        for verdict in node_verdicts(task, request.snapshot):
            node = request.snapshot.node(verdict.node)
            assert node is not None
            if verdict.verdict == "never":
                assert is_true_that_it_never_can(task, node, verdict), verdict
            else:
                assert node.is_ready
                assert node.is_schedulable


@ANY
@given(requests())
def test_with_the_named_requests_lowered_a_node_is_not_ruled_out_for_them_any_more(request: PlacementRequest) -> None:
    for task in request.tasks():
        for verdict in node_verdicts(task, request.snapshot):
            if verdict.kind == "request":
                again = verdict_on(with_option(task, lowered(task.options[0], verdict)), request.snapshot, verdict.node)
                assert again.kind != "request", (verdict, again)
            elif verdict.verdict == "busy":
                option = next(one for one in task.options if one.name == verdict.option)
                again = verdict_on(with_option(task, lowered(option, verdict)), request.snapshot, verdict.node)
                assert again.verdict == "free", (verdict, again)


@ANY
@given(requests())
def test_a_node_is_free_when_and_only_when_an_option_fits_beside_what_is_there(request: PlacementRequest) -> None:
    available = request.snapshot.available()
    for task in request.tasks():
        for verdict in node_verdicts(task, request.snapshot):
            if verdict.verdict in ("free", "busy"):
                fits = [
                    option.requests.fits_in(available[verdict.node])
                    for option in task.options
                    if verdict_on(replace(task, options=(option,)), request.snapshot, verdict.node).verdict != "never"
                ]
                assert any(fits) == (verdict.verdict == "free")


def test_free_nodes_come_first_and_the_quickest_of_them_at_the_top() -> None:
    task = a_task("a", cpus=2)
    nodes = [
        a_node("tiny", cpus=1),
        a_node("slow", speed=0.5),
        a_node("quick", speed=2),
        a_node("down", is_ready=False),
    ]
    found = node_verdicts(task, Snapshot(NOW, tuple(nodes)), some_estimates(nodes, [a_run("a", task)], 60))
    assert [(one.node, one.verdict) for one in found] == [
        ("quick", "free"),
        ("slow", "free"),
        ("down", "never"),
        ("tiny", "never"),
    ]
    assert found[0].seconds_p50 == 30
    assert found[3].reason == "too little cpu (asks 2, the node has 1)"


def test_of_two_options_the_one_that_fits_now_decides() -> None:
    options = (TaskOption("gpu", amounts(gpus=1)), TaskOption("cpu", amounts(cpus=1)))
    found = node_verdicts(a_task("a", options=options), Snapshot(NOW, (a_node("plain"), a_node("fast", gpus=1))))
    assert {one.node: (one.verdict, one.option) for one in found} == {"plain": ("free", "cpu"), "fast": ("free", "gpu")}


@ANY
@given(st.integers(1, 80), st.one_of(st.none(), st.integers(1, 80)))
def test_too_little_accelerator_memory_is_said_where_it_is_true(needs_gib: int, has_gib: int | None) -> None:
    has = {} if has_gib is None else {"gpu": has_gib * GIB}
    node = a_node("a", gpus=1, accelerator_memory_bytes=has)
    option = TaskOption("default", amounts(gpus=1), needs_gib * GIB)
    request = a_request([node], [a_run("r", a_task("r", options=(option,)))])
    (verdict,) = node_verdicts(request.tasks()[0], request.snapshot)
    assert (verdict.kind == "accelerator-memory") == (has_gib is None or has_gib < needs_gib)
    if verdict.kind:
        said = "is not known" if has_gib is None else f"has {has_gib} GiB, the task needs {needs_gib} GiB"
        assert said in verdict.reason
        lowered = replace(request.tasks()[0], options=(replace(option, accelerator_memory_bytes=None),))
        assert node_verdicts(lowered, request.snapshot)[0].verdict == "free"


def test_where_an_attempt_failed_before_is_said_with_what_the_node_could_do() -> None:
    nodes = (a_node("a"), a_node("b", cpus=1))
    occupied = Occupancy("b", amounts(cpus=1))
    found = node_verdicts(a_task("r", avoid_nodes=("a", "b")), Snapshot(NOW, nodes, (occupied,)))
    assert [one.reason for one in found] == [
        "it has room now; an attempt of it failed there before",
        "busy: needs 1 CPU, 0 CPUs free; an attempt of it failed there before",
    ]
