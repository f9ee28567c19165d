"""The default strategy: it searches, waits, keeps room, ages with a bound, and gives one plan for one queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.domain.placement import Estimate, PlacementPlan, PlacementRequest
from server.placers.online import LEAST_PATIENCE_SECONDS, PATIENCE, Online
from server.placers.srpt_eft import SrptEft
from server.planning.checking import flaws
from server.planning.objectives import run_costs, turnarounds
from server.planning.queue import Queue
from server.planning.stating import state
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, requests

FULL = 4.0


def starts(plan: PlacementPlan) -> dict[tuple[str, str], float]:
    return {
        (one.run_id, one.key.path): (one.planned_start_at - NOW).total_seconds()
        for one in plan.placements
        if one.planned_start_at is not None
    }


def a_queue(seconds: dict[str, list[float]], waited: dict[str, float] | None = None) -> PlacementRequest:
    """Runs that are chains of tasks with these seconds, on one node that runs one task at a time."""
    runs, table = [], {}
    for name, chain in seconds.items():
        tasks = []
        for place, took in enumerate(chain):
            path = f"{name}-{place}"
            upstream = [f"{name}-{place - 1}"] if place else []
            tasks.append(a_task(name, path, cpus=FULL, waits_for=upstream))
            table[(path, "one")] = took
        runs.append(a_run(name, *tasks, submitted_seconds_ago=(waited or {}).get(name, 0)))
    return sure(a_request([a_node("one")], runs, seconds=table))


def sure(request: PlacementRequest) -> PlacementRequest:
    """The same with estimates that are certain."""
    table = tuple(tuple(Estimate(one.p50, one.p50, one.p50) for one in row) for row in request.estimates.table)
    return replace(request, estimates=replace(request.estimates, table=table))


def test_the_shortest_run_goes_first() -> None:
    plan = Online().place(a_queue({"long": [90.0], "short": [10.0]}))
    assert starts(plan) == {("short", "short-0"): 0, ("long", "long-0"): 10}


def test_what_is_believed_to_be_shorter_than_it_is_told_still_ends_before_what_waits_for_it() -> None:
    request = a_queue({"long": [900.0, 10.0], "short": [1.0, 1.0], "other": [2.0, 3.0]})
    unsure = tuple(tuple(Estimate(one.p50, one.p50 / 5, one.p50 * 5) for one in row) for row in request.estimates.table)
    placements = Online().place(replace(request, estimates=replace(request.estimates, table=unsure))).placements
    found = {one.key.path: one for one in placements}
    first, second = found["long-0"], found["long-1"]
    assert first.planned_start_at is not None
    assert first.planned_finish_at is not None
    assert second.planned_start_at is not None
    assert first.planned_finish_at <= second.planned_start_at
    assert (first.planned_finish_at - first.planned_start_at).total_seconds() < 900


def test_a_node_is_kept_for_a_short_run_that_is_about_to_need_it() -> None:
    """The short run's second task is ready in two seconds, and only `one` can run it."""
    short = a_run("short", a_task("short", "x", cpus=FULL), a_task("short", "y", cpus=FULL, waits_for=["x"]))
    long = a_run("long", a_task("long", "z", cpus=FULL))
    table = {("x", "one"): 500.0, ("x", "two"): 2.0, ("y", "one"): 5.0, ("y", "two"): 500.0}
    table |= {("z", "one"): 100.0, ("z", "two"): 900.0}
    plan = Online().place(sure(a_request([a_node("one"), a_node("two")], [long, short], seconds=table)))
    assert starts(plan) == {("short", "x"): 0, ("short", "y"): 2, ("long", "z"): 7}


def test_gaps_are_filled_by_what_delays_nobody() -> None:
    short = a_run("short", a_task("short", "x", cpus=FULL), a_task("short", "y", cpus=FULL, waits_for=["x"]))
    filler = a_run("filler", a_task("filler", "z", cpus=FULL))
    table = {("x", "one"): 500.0, ("x", "two"): 60.0, ("y", "one"): 5.0, ("y", "two"): 500.0}
    table |= {("z", "one"): 55.0, ("z", "two"): 900.0}
    request = a_request([a_node("one"), a_node("two")], [replace(filler, priority=-1), short], seconds=table)
    assert starts(Online().place(sure(request))) == {("short", "x"): 0, ("filler", "z"): 0, ("short", "y"): 60}


def test_a_run_that_has_waited_long_enough_goes_before_all_that_came_after_it() -> None:
    """The stated bound: PATIENCE times what is left of it, and LEAST_PATIENCE_SECONDS at least."""
    bound = max(PATIENCE * 90.0, LEAST_PATIENCE_SECONDS)
    queue = {"long": [90.0], **{f"short-{n}": [5.0] for n in range(6)}}
    before, after = (starts(Online().place(a_queue(queue, {"long": w})))[("long", "long-0")] for w in (0, bound + 1))
    assert (before, after) == (30, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(1, 300), min_size=2, max_size=7), st.data())
def test_nobody_starves(seconds: list[float], data: st.DataObject) -> None:
    """Of runs past the bound, none starts after a run that was submitted later, on the one node there is."""
    waits = {f"run-{n}": float(data.draw(st.integers(0, 9000), label=f"wait {n}")) for n in range(len(seconds))}
    queue = {f"run-{n}": [took] for n, took in enumerate(seconds)}
    plan = starts(Online().place(a_queue(queue, waits)))
    for name, (took,) in queue.items():
        if waits[name] > max(PATIENCE * took, LEAST_PATIENCE_SECONDS):
            later = [other for other in queue if waits[other] < waits[name]]
            assert all(plan[(name, f"{name}-0")] < plan[(other, f"{other}-0")] for other in later)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_its_schedules_are_sound(request: PlacementRequest) -> None:
    statement = state(request)
    if statement.tasks and request.snapshot.nodes:
        queue = Queue(statement.problem, statement.finish_of_bound)
        assert flaws(statement.problem, SrptEft().schedule(statement, queue)) == []
        certain = replace(statement, problem=replace(statement.problem, spread=None))
        schedule = Online().schedule(certain, Queue(certain.problem, certain.finish_of_bound))
        assert flaws(certain.problem, schedule) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.floats(1, 300), min_size=1, max_size=4), min_size=2, max_size=6))
def test_searching_is_no_worse_than_the_order_it_begins_with(chains: list[list[float]]) -> None:
    request = a_queue({f"run-{n}": chain for n, chain in enumerate(chains)})
    statement = state(request)
    certain = replace(statement, problem=replace(statement.problem, spread=None))
    queue = Queue(certain.problem, certain.finish_of_bound)
    hurried = replace(certain, request=replace(request, time_limit_seconds=0.0))
    searched, begun = (Online().schedule(one, queue) for one in (certain, hurried))
    costs = run_costs(certain.problem, "turnaround", queue.outline.path)
    found, first = (
        float((costs.linear * elapsed + costs.square * elapsed**2).sum())
        for elapsed in (turnarounds(certain.problem, schedule) for schedule in (searched, begun))
    )
    assert found <= first * (1 + 1e-6)


def test_the_same_queue_gives_the_same_plan_in_another_cycle() -> None:
    queue = a_queue({f"run-{n}": [10.0 + 7 * n % 5, 20.0 + 3 * n % 7] for n in range(9)})
    other = replace(queue, cycle=2, seed=queue.seed + 1)
    assert Online().place(other).placements == Online().place(queue).placements


def test_less_time_means_fewer_orders_and_no_other_answer_for_the_same_limit() -> None:
    queue = replace(a_queue({f"run-{n}": [10.0, 20.0] for n in range(9)}), time_limit_seconds=0.01)
    assert Online().place(queue) == Online().place(queue)


def test_of_two_equal_medians_the_surer_one_is_the_shorter() -> None:
    queue = a_queue({"sure": [60.0], "unsure": [60.0]})
    rows = (Estimate(60.0, 59.0, 61.0), Estimate(60.0, 20.0, 180.0))
    profile_of = {key: int(key[0] == "unsure") for key in queue.estimates.profile_of}
    told = replace(queue.estimates, profile_of=profile_of, table=tuple((row,) for row in rows))
    for runs in (queue.runs, queue.runs[::-1]):
        plan = Online().place(replace(queue, runs=runs, estimates=told))
        assert starts(plan)[("sure", "sure-0")] == 0


def test_a_running_task_counts_for_the_end_of_its_run() -> None:
    """Hurrying a run whose other task ends in ten minutes gains nothing."""
    from server.domain.node import Occupancy
    from server.domain.placement import BoundTask
    from server.domain.run import TaskKey
    from server.testing.contracts.placement_requests import amounts

    queue = a_queue({"tied": [50.0], "free": [60.0]})
    ends = NOW + timedelta(seconds=600)
    bound = BoundTask("tied", TaskKey("other"), "two", "default", amounts(cpus=FULL), NOW, ends)
    runs = tuple(replace(run, bound=(bound,)) if run.run_id == "tied" else run for run in queue.runs)
    held = Occupancy("two", amounts(cpus=FULL), "tied", "other", ends)
    nodes = (a_node("one"), a_node("two", is_schedulable=False))
    snapshot = replace(queue.snapshot, nodes=nodes, occupancies=(held,))
    plan = Online().place(replace(queue, runs=runs, snapshot=snapshot))
    assert starts(plan)[("free", "free-0")] == 0
