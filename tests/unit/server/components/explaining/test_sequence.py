"""What is told of starts under strategies that take tasks in turn: who is ready when room comes free is next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings

from server.components.explaining.sequence import NOW_SECONDS, in_sequence
from server.domain.node import Node, Occupancy, Snapshot
from server.domain.placement import Placement, PlacementRequest, TaskRef, WaitingRun, WaitingTask
from server.domain.resources import Resources
from server.domain.run import Attempt, TaskKey
from server.domain.starting import Starts, Wait
from server.domain.states import TaskState
from server.placers.fifo_greedy import FifoGreedy
from server.testing.contracts.placement_requests import NOW, a_node, a_run, a_task, amounts, requests, some_estimates


def planned(run: str, task: str, node: str, start: float, seconds: float = 10) -> Placement:
    begins = NOW + timedelta(seconds=start)
    return Placement(run, TaskKey(task), node, "default", begins, begins + timedelta(seconds=seconds))


def told(
    plan: Sequence[Placement],
    runs: Sequence[WaitingRun],
    nodes: Sequence[Node],
    attempts: dict[TaskRef, Attempt],
    held: Sequence[Occupancy] = (),
    seconds: float = 10,
) -> dict[str, float]:
    """Starts by task, in seconds from now."""
    snapshot, estimates = Snapshot(NOW, tuple(nodes), tuple(held)), some_estimates(nodes, runs, seconds)
    found = in_sequence({(one.run_id, one.key): one for one in plan}, runs, attempts, estimates, snapshot, NOW)
    return {str(key): (one.planned_start_at - NOW).total_seconds() for (_, key), one in found.items()}  # type: ignore[operator]  # all are planned


def running(node: str, since: float) -> Attempt:
    begun = NOW - timedelta(seconds=since)
    return Attempt(1, TaskState.RUNNING, node=node, actual_node=node, placed_at=begun, started_at=begun)


def test_what_gets_ready_soon_does_not_come_after_all_of_lower_priority_that_is_ready_now() -> None:
    low = a_run("low", *(a_task("low", name) for name in "abc"), priority=-5)
    high = a_run("high", a_task("high", "load"), a_task("high", "train", waits_for=["load"]))
    plan = [planned("low", name, "one", 10 * turn) for turn, name in enumerate("abc")]
    plan.append(planned("high", "train", "one", 30))
    held = [Occupancy("other", amounts(cpus=1), "high", "load")]
    nodes = [a_node("one", cpus=1), a_node("other", cpus=1)]
    found = told(plan, [low, high], nodes, {("high", TaskKey("load")): running("other", 5)}, held)
    assert found == {"a": 0, "train": 10, "b": 20, "c": 30}


def test_of_equal_priority_who_was_submitted_first_is_first() -> None:
    early = a_run("early", a_task("early", "x", waits_for=["w"]), a_task("early", "w"), submitted_seconds_ago=60)
    late = a_run("late", a_task("late", "y"), a_task("late", "z"))
    plan = [planned("early", "w", "one", 0), planned("late", "y", "one", 10), planned("late", "z", "one", 20)]
    plan.append(planned("early", "x", "one", 30))
    found = told(plan, [early, late], [a_node("one", cpus=1)], {})
    assert found == {"w": 0, "x": 10, "y": 20, "z": 30}


def test_a_task_that_does_not_fit_yet_is_passed_over() -> None:
    run = a_run("r", a_task("r", "big", cpus=2), a_task("r", "small"))
    held = [Occupancy("one", amounts(cpus=1), None, None, NOW + timedelta(seconds=s)) for s in (5, 40)]
    plan = [planned("r", "big", "one", 40), planned("r", "small", "one", 50)]
    assert told(plan, [run], [a_node("one", cpus=2)], {}, held) == {"small": 5, "big": 40}


def test_a_node_that_is_not_there_takes_tasks_once_it_is() -> None:
    run = a_run("r", a_task("r", "x"))
    node = a_node("grown", is_virtual=True, group="grown", startup_seconds=60)
    assert told([planned("r", "x", "grown", 90)], [run], [node], {}) == {"x": 60}


def test_what_holds_room_of_a_node_that_is_not_there_yet_gives_none_back_before_it_is() -> None:
    run = a_run("r", a_task("r", "x"), a_task("r", "y"), a_task("r", "z"))
    node = a_node("grown", cpus=2, is_virtual=True, group="grown", startup_seconds=60)
    held = [Occupancy("grown", amounts(cpus=1), None, None, NOW + timedelta(seconds=20))]
    plan = [planned("r", name, "grown", 70) for name in "xyz"]
    assert told(plan, [run], [node], {}, held) == {"x": 60, "y": 60, "z": 70}


def test_a_node_pulls_an_image_once_for_all_that_start_there() -> None:
    def with_image(name: str) -> WaitingTask:
        task = a_task("r", name)
        return replace(task, options=tuple(replace(one, image="x") for one in task.options))

    run = a_run("r", *map(with_image, "abc"))
    starts = Starts(None, {"x": {"one": Wait(30, 20, 40)}}, {"x": frozenset({"one"})}, {"one": Wait(1, 1, 1)})
    plan = [planned("r", "a", "one", 0), planned("r", "b", "one", 0), planned("r", "c", "one", 40)]
    nodes = [a_node("one", cpus=2)]
    snapshot, estimates = Snapshot(NOW, tuple(nodes)), replace(some_estimates(nodes, [run], 10), starts=starts)
    found = in_sequence({(one.run_id, one.key): one for one in plan}, [run], {}, estimates, snapshot, NOW)
    begins = NOW + timedelta(seconds=40)
    assert found["r", TaskKey("c")].planned_start_at == begins
    assert found["r", TaskKey("c")].planned_finish_at == begins + timedelta(seconds=11)


def test_what_waits_for_something_without_a_place_stays_as_it_is() -> None:
    run = a_run("r", a_task("r", "x", waits_for=["gone"]), a_task("r", "gone"))
    assert told([planned("r", "x", "one", 90)], [run], [a_node("one")], {}) == {"x": 90}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_nothing_starts_before_what_it_waits_for_nor_without_room_and_now_only_what_does(
    request: PlacementRequest,
) -> None:
    plan = {(one.run_id, one.key): one for one in FifoGreedy().place(request).placements}
    found = in_sequence(plan, request.runs, {}, request.estimates, request.snapshot, request.now)
    assert set(found) == set(plan)
    tasks = {task.ref: task for task in request.tasks()}
    spans: dict[str, list[tuple[float, float, Resources]]] = {}
    for ref, one in found.items():
        start, end = ((at - request.now).total_seconds() for at in (one.planned_start_at, one.planned_finish_at) if at)
        before = plan[ref].planned_start_at
        was_now = before is None or (before - request.now).total_seconds() <= NOW_SECONDS
        assert (start < NOW_SECONDS / 2) <= was_now
        assert one.node == plan[ref].node
        for key in tasks[ref].waits_for:
            upstream = found.get((ref[0], key))
            if upstream is not None and one is not plan[ref]:
                assert upstream.planned_finish_at is not None
                assert one.planned_start_at is not None
                assert upstream.planned_finish_at <= one.planned_start_at + timedelta(milliseconds=1)
        if one is not plan[ref] or was_now:
            option = next(option for option in tasks[ref].options if option.name == one.option)
            spans.setdefault(one.node, []).append((start, end, option.requests))
    for name, own in spans.items():
        node = request.snapshot.node(name)
        assert node is not None
        for at, _, _ in own:
            used = sum((asked for begin, end, asked in own if begin <= at < end - 0.001), Resources())
            assert used.fits_in(node.allocatable) or at < NOW_SECONDS
