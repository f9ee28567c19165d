"""What every strategy promises, as functions: give each a placer and a request, it raises AssertionError if broken.

For your own strategy::

    import pytest
    from server.testing.contracts.placer import LARGE, PROMISES, REQUESTS, check_promise

    @pytest.mark.parametrize("promise", PROMISES)
    @pytest.mark.parametrize("request_name", REQUESTS)
    def test_keeps(promise, request_name):
        check_promise(promise, MyPlacer(), REQUESTS[request_name]())

`placement_requests.requests()` is a Hypothesis strategy for requests of any shape.
"""

from __future__ import annotations

import copy
import pickle
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from mlopx.spec import Requirement, Toleration
from server.domain.feasibility import rejection
from server.domain.node import Occupancy, Taint
from server.domain.placement import (
    BoundTask,
    Placement,
    PlacementPlan,
    PlacementRequest,
    TaskOption,
    TaskRef,
    WaitingRun,
    WaitingTask,
)
from server.domain.run import TaskKey
from server.placers.interface import PlacerInterface
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts

Promise = Callable[[PlacerInterface, PlacementRequest], None]
THREAD_TIMES = Path("/proc/thread-self/schedstat")
"""Where Linux tells nanoseconds that a thread ran, and waited for a processor."""


def answers_every_task_once(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Every unbound task is in exactly one place of the plan, and nothing else is."""
    plan = placer.place(request)
    answers = Counter((placed.run_id, placed.key) for placed in plan.placements)
    answers.update((hold.run_id, hold.key) for hold in plan.holds)
    assert answers == Counter(task.ref for task in request.tasks())
    assert all(hold.reason for hold in plan.holds), "a hold needs a reason in words"


def places_only_where_the_task_can_run(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Labels, taints, capacity, accelerators, a named node: with the chosen option, all of them hold."""
    tasks = _tasks(request)
    for placed in placer.place(request).placements:
        task, node = tasks[(placed.run_id, placed.key)], request.snapshot.node(placed.node)
        assert node is not None, f"{placed.node} is not in the snapshot"
        assert rejection(task, _option(task, placed), node) is None, f"{placed.key} cannot run on {placed.node}"


def is_deterministic(placer: PlacerInterface, request: PlacementRequest) -> None:
    """The same request gives the same plan, also from a new instance and from an equal copy of the request."""
    plan = placer.place(request)
    assert placer.place(request) == plan
    assert type(placer)().place(pickle.loads(pickle.dumps(request))) == plan


def leaves_the_request_alone(placer: PlacerInterface, request: PlacementRequest) -> None:
    """The request is the same afterwards."""
    before = copy.deepcopy(request)
    placer.place(request)
    assert request == before


def starts_now_only_what_fits_together(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Ready tasks that are planned to start now fit side by side into what is available."""
    room, tasks = request.snapshot.available(), _tasks(request)
    for placed in _starting_now(request, placer.place(request)):
        asked = _option(tasks[(placed.run_id, placed.key)], placed).requests
        node = request.snapshot.node(placed.node)
        assert node is not None
        assert not node.is_virtual, f"{placed.node} is not there yet"
        assert asked.fits_in(room[placed.node]), f"{placed.key} of {placed.run_id} does not fit on {placed.node}"
        room[placed.node] = room[placed.node] - asked


def plans_no_task_before_what_it_waits_for(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Planned times are sound: not before now, finish after start, start after the upstreams' finish."""
    plan, tasks = placer.place(request), _tasks(request)
    finishes = {(placed.run_id, placed.key): placed.planned_finish_at for placed in plan.placements}
    for placed in plan.placements:
        start, finish = placed.planned_start_at, placed.planned_finish_at
        assert start is None or start >= request.now
        assert start is None or finish is None or finish >= start
        for upstream in tasks[(placed.run_id, placed.key)].waits_for:
            before = finishes.get((placed.run_id, upstream))
            assert before is None or start is None or start >= before, f"{placed.key} starts before {upstream} ends"


def respects_priorities(placer: PlacerInterface, request: PlacementRequest) -> None:
    """No ready task starts now on a node for which an equal ready task of higher priority waits."""
    plan, tasks = placer.place(request), _tasks(request)
    priority = {run.run_id: run.priority for run in request.runs}
    now = _starting_now(request, plan)
    started = {(placed.run_id, placed.key) for placed in now}
    waiting = [one for one in plan.placements if (one.run_id, one.key) not in started]
    for late in waiting:
        task = tasks[(late.run_id, late.key)]
        for early in now:
            rival = tasks[(early.run_id, early.key)]
            is_ahead = early.node == late.node and priority[early.run_id] < priority[late.run_id]
            assert not (task.is_ready and is_ahead and _needs(task) == _needs(rival)), (
                f"{rival.ref} starts on {early.node} before {task.ref} of higher priority"
            )


def avoids_nodes_that_failed_the_task(placer: PlacerInterface, request: PlacementRequest) -> None:
    """A node in `avoid_nodes` is used only when no other node can run the task."""
    tasks = _tasks(request)
    for placed in placer.place(request).placements:
        task = tasks[(placed.run_id, placed.key)]
        if placed.node in task.avoid_nodes:
            others = [node for node in request.snapshot.nodes if node.name not in task.avoid_nodes]
            assert not any(rejection(task, option, node) is None for option in task.options for node in others)


def uses_what_is_free(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Some ready task starts now if any could."""
    room, ready = request.snapshot.available(), [task for task in request.tasks() if task.is_ready]
    could = any(
        rejection(task, option, node) is None and option.requests.fits_in(room[node.name])
        for task in ready
        for node in request.snapshot.nodes
        if not node.is_virtual and node.name not in task.avoid_nodes
        for option in task.options
    )
    plan = placer.place(request)
    is_waiting_for_better = any(one.planned_start_at is not None for one in plan.placements)
    assert not could or _starting_now(request, plan) or is_waiting_for_better


def answers_within_its_limit(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Once it is warm, the answer takes no longer than the request allows, but for waiting for a busy processor."""
    placer.warm()
    began, waited = time.monotonic(), _waited_seconds()
    placer.place(request)
    assert time.monotonic() - began - (_waited_seconds() - waited) <= request.time_limit_seconds


def travels_between_processes(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Request and plan survive pickling."""
    plan = placer.place(pickle.loads(pickle.dumps(request)))
    assert pickle.loads(pickle.dumps(plan)) == plan


def describes_itself(placer: PlacerInterface, request: PlacementRequest) -> None:
    """Name, summary in one sentence, and version are there for users."""
    assert placer.name
    assert placer.summary.strip().endswith(".")
    assert "\n" not in placer.summary
    assert placer.version


PROMISES: dict[str, Promise] = {
    promise.__name__: promise
    for promise in (
        answers_every_task_once,
        places_only_where_the_task_can_run,
        is_deterministic,
        leaves_the_request_alone,
        starts_now_only_what_fits_together,
        plans_no_task_before_what_it_waits_for,
        respects_priorities,
        avoids_nodes_that_failed_the_task,
        uses_what_is_free,
        answers_within_its_limit,
        travels_between_processes,
        describes_itself,
    )
}
"""Every promise by name."""


def check_promise(promise: str, placer: PlacerInterface, request: PlacementRequest) -> None:
    """Raise AssertionError if the placer breaks the promise on this request."""
    PROMISES[promise](placer, request)


def no_nodes() -> PlacementRequest:
    """Work, but nowhere to run it."""
    return a_request([], [a_run("a", a_task("a"), a_task("a", "test", waits_for=["train"]))])


def no_work() -> PlacementRequest:
    """Nodes, but nothing to run."""
    return a_request([a_node("one")], [])


def chains_on_unequal_nodes() -> PlacementRequest:
    """Three pipelines of three tasks on a slow, a fast and a tainted accelerator node."""
    nodes = [
        a_node("slow", cpus=2, speed=0.5),
        a_node("fast", cpus=4, speed=2.0),
        a_node("gpu", cpus=4, gpus=1, taints=(Taint("gpu", "yes"),)),
    ]
    return a_request(nodes, [_chain(f"run-{number}", number) for number in range(3)])


def more_work_than_room() -> PlacementRequest:
    """Forty ready tasks of three priorities on two nodes that are half taken."""
    nodes = [a_node("one"), a_node("two", cpus=8)]
    taken = [
        Occupancy("one", amounts(cpus=3), "other", "x", NOW + timedelta(seconds=90)),
        Occupancy("two", amounts(cpus=7), None, None, None),
    ]
    runs = [a_run(f"run-{number:02}", a_task(f"run-{number:02}"), priority=number % 3) for number in range(40)]
    return a_request(nodes, runs, occupancies=taken)


def work_that_fits_nowhere() -> PlacementRequest:
    """A task too large, one for a label that nobody has, one for a node that is gone, and one that waits for them."""
    run = a_run(
        "a",
        a_task("a", "huge", cpus=900),
        a_task("a", "picky", requirements=(Requirement(label="disk", values=("ssd",)),)),
        a_task("a", "named", node="gone"),
        a_task("a", "fine"),
        a_task("a", "after", waits_for=["huge", "fine"]),
    )
    return a_request([a_node("one"), a_node("two")], [run])


def nodes_that_failed_before() -> PlacementRequest:
    """Tasks that failed on some nodes, and one that failed on all."""
    runs = [
        a_run("a", a_task("a", avoid_nodes=("one",), attempt=2)),
        a_run("b", a_task("b", avoid_nodes=("one", "two"), attempt=3)),
    ]
    return a_request([a_node("one"), a_node("two")], runs)


def alternatives() -> PlacementRequest:
    """Tasks that run with an accelerator or with eight processors, one accelerator for all of them."""
    options = (
        TaskOption("gpu", amounts(cpus=1, gpus=1), image="cuda"),
        TaskOption("cpu", amounts(cpus=8)),
    )
    everything = (Toleration(operator="Exists"),)
    runs = [a_run(f"run-{i}", a_task(f"run-{i}", options=options, tolerations=everything)) for i in range(4)]
    return a_request([a_node("gpu", gpus=1, taints=(Taint("gpu", "yes"),)), a_node("big", cpus=16)], runs)


def room_that_is_kept_for_later() -> PlacementRequest:
    """A run of higher priority needs a GPU as soon as its preparation ends; another is ready to use it until then."""
    asked, prepared_at = amounts(gpus=1), NOW + timedelta(seconds=240)
    prepare = BoundTask("first", TaskKey("prepare"), "other", "default", amounts(), NOW, prepared_at)
    taken = [
        Occupancy("other", amounts(), "first", "prepare", prepared_at),
        Occupancy("other", asked, "x", "y", NOW + timedelta(seconds=230)),
    ]
    first = a_run("first", a_task("first", "train", gpus=1, waits_for=["prepare"]), bound=(prepare,), priority=1)
    second = a_run("second", a_task("second", "tune", gpus=1), done_seconds=60.0)
    cluster = [a_node(name, cpus=8, gpus=1) for name in ("fast", "other")]
    seconds = {(task, node.name): took for node in cluster for task, took in (("train", 800.0), ("tune", 1500.0))}
    return a_request(cluster, [first, second], seconds=seconds, occupancies=taken)


def a_large_queue() -> PlacementRequest:
    """A thousand tasks, most of them ready, on a hundred nodes of five makes."""
    nodes = [
        a_node(f"node-{index:03}", cpus=2 ** (index % 5), speed=1 + index % 3, gpus=index % 5 == 4)
        for index in range(100)
    ]
    return a_request(nodes, [_chain(f"run-{number:04}", number) for number in range(334)])


REQUESTS: dict[str, Callable[[], PlacementRequest]] = {
    build.__name__: build
    for build in (
        no_nodes,
        no_work,
        chains_on_unequal_nodes,
        more_work_than_room,
        work_that_fits_nowhere,
        nodes_that_failed_before,
        alternatives,
        room_that_is_kept_for_later,
    )
}
"""Hand-made requests by name."""

LARGE: dict[str, Callable[[], PlacementRequest]] = {a_large_queue.__name__: a_large_queue}
"""Requests of a size that shows whether a strategy keeps its time limit."""


def _chain(run_id: str, number: int) -> WaitingRun:
    hints = [{"task_kind": kind, "model": {"type": "cnn"}} for kind in ("preprocessing", "training", "evaluation")]
    return a_run(
        run_id,
        a_task(run_id, "prepare", workload=hints[0]),
        a_task(run_id, "train", cpus=2, waits_for=["prepare"], workload=hints[1]),
        a_task(run_id, "test", waits_for=["prepare", "train"], workload=hints[2]),
        submitted_seconds_ago=1000 - number,
    )


def _waited_seconds() -> float:
    """How long this thread waited for a processor in all its life, where the system tells."""
    try:
        return int(THREAD_TIMES.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _tasks(request: PlacementRequest) -> Mapping[TaskRef, WaitingTask]:
    return {task.ref: task for task in request.tasks()}


def _option(task: WaitingTask, placed: Placement) -> TaskOption:
    found = [option for option in task.options if option.name == placed.option]
    assert len(found) == 1, f"{placed.key} does not offer {placed.option!r}"
    return found[0]


def _starting_now(request: PlacementRequest, plan: PlacementPlan) -> list[Placement]:
    tasks = _tasks(request)
    return [
        placed
        for placed in plan.placements
        if tasks[(placed.run_id, placed.key)].is_ready
        and placed.planned_start_at is not None
        and placed.planned_start_at <= request.now
    ]


def _needs(task: WaitingTask) -> tuple[object, ...]:
    return (task.options, task.requirements, task.node, task.tolerations, task.preferences, task.avoid_nodes)


__all__ = ["LARGE", "PROMISES", "REQUESTS", "Promise", "check_promise"]
