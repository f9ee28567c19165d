"""The nodes that records name are those a task would end on first, however many tasks are asked about together."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.components.decisions.candidates import TURNS_KEPT, Bands, Candidates, rounded
from server.domain.placement import Candidate, PlacementRequest, TaskOption, WaitingTask
from server.domain.run import TaskKey
from server.domain.starting import Starts, Wait
from server.placers.halves import Cluster
from server.placers.halves.cluster import MOST_NODES_COMPARED, NEVER
from server.testing.contracts.placement_requests import a_node, a_request, a_run, a_task, amounts, requests

MOST = 5


def candidates(request: PlacementRequest, bands: Bands | None = None) -> Candidates:
    return Candidates(Cluster(request), bands or Bands(), MOST)


def one_by_one(request: PlacementRequest, task: WaitingTask) -> list[tuple[str, str, float | None]]:
    """Node, option and finish of the candidates of a task, of a cluster with few nodes, in plain words."""
    cluster = Cluster(request)
    best: dict[int, tuple[float, int, str]] = {}
    for node, options in ((node, cluster.needs(task).options[node]) for node in cluster.needs(task).nodes):
        for option in options:
            start = cluster.timelines[node].earliest_start(option.requests, 0.0)
            offer = (start + cluster.seconds(task, option, node), node, option.name)
            best[node] = min(best.get(node, offer), offer, key=lambda one: one[0])
    ranked = sorted(best.values(), key=lambda one: one[:2])[:MOST]
    names = request.snapshot.nodes
    return [(names[node].name, option, round(end, 3) if end < NEVER else None) for end, node, option in ranked]


def said(found: list[Candidate]) -> list[tuple[str, str, float | None]]:
    return [(one.node, one.option, one.finish_seconds) for one in found]


@given(requests())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_candidates_are_the_nodes_where_the_task_ends_first(request: PlacementRequest) -> None:
    together = candidates(request)
    together.find(request.tasks())
    for task in request.tasks():
        assert said(together.of(task)) == one_by_one(request, task)
        assert candidates(request).of(task) == together.of(task)


def test_of_many_nodes_the_quickest_and_the_quickest_free_ones_are_compared() -> None:
    rng = random.Random(7)
    nodes = [a_node(f"node-{i:02}", cpus=rng.choice((1, 4)), speed=rng.choice((1.0, 2.0, 5.0))) for i in range(60)]
    run = a_run("run", *(a_task("run", f"task-{i}", cpus=rng.choice((1, 2))) for i in range(9)))
    request = a_request(nodes, [run])
    found = candidates(request)
    found.find(request.tasks())
    assert len(nodes) > MOST_NODES_COMPARED
    for task in request.tasks():
        assert said(found.of(task)) == one_by_one(request, task)


def test_room_that_was_taken_is_seen_by_the_next_question() -> None:
    request = a_request([a_node("slow", speed=0.5), a_node("fast", cpus=1)], [a_run("run", a_task("run"))])
    (task,) = request.tasks()
    cluster = Cluster(request)
    found = Candidates(cluster, Bands(), MOST)
    assert [one.node for one in found.of(task)] == ["fast", "slow"]
    cluster.timelines[1].take(task.options[0].requests, 0.0, 500.0)
    found.changed(1)
    assert said(found.of(task)) == [("slow", "default", 120.0), ("fast", "default", 560.0)]
    assert [one.is_free for one in found.of(task)] == [True, False]


def test_each_node_is_named_with_its_better_option() -> None:
    options = (TaskOption("whole", amounts(cpus=4)), TaskOption("half", amounts(cpus=2)))
    request = a_request([a_node("big"), a_node("small", cpus=2)], [a_run("run", a_task("run", options=options))])
    assert said(candidates(request).of(request.tasks()[0])) == [("big", "whole", 60.0), ("small", "half", 60.0)]


def test_bands_follow_the_estimates_of_each_cycle() -> None:
    bands = Bands()
    for seconds in (60.0, 60.0, 30.0, 60.0):
        request = a_request([a_node("one")], [a_run("run", a_task("run"))], seconds=seconds)
        (found,) = candidates(request, bands).of(request.tasks()[0])
        assert (found.seconds_p50, found.finish_seconds) == (seconds, seconds)


def test_bands_that_nobody_looks_at_any_more_are_forgotten() -> None:
    bands = Bands()
    kept = []
    for _ in range(2 * TURNS_KEPT):
        request = a_request([a_node("one")], [a_run("run", a_task("run"))])
        candidates(request, bands).of(request.tasks()[0])
        kept.append(bands.kept)
    assert max(kept) == kept[-1] == TURNS_KEPT + 1


def test_tasks_without_estimates_are_given_a_guess() -> None:
    request = a_request([a_node("one")], [a_run("run", a_task("run"))])
    request = replace(request, estimates=replace(request.estimates, profile_of={}))
    (found,) = candidates(request).of(request.tasks()[0])
    assert (found.seconds_p10, found.seconds_p50, found.finish_seconds) == (60.0, 60.0, 60.0)


@given(st.lists(st.floats(0, 1e12) | st.integers(0, 10**9).map(lambda n: (n + 0.5) / 1000)))
def test_figures_are_rounded_as_one_by_one(values: list[float]) -> None:
    assert rounded(np.array(values)) == [round(value, 3) for value in values]


@pytest.mark.parametrize("value", [0.0005, 1.0005, 2.6745, 1e15 + 0.3, 0.1234999999999999])
def test_halves_are_rounded_as_python_does(value: float) -> None:
    assert rounded(np.array([value])) == [round(value, 3)]


def test_what_must_be_pulled_ends_later_there_and_runs_as_long() -> None:
    task = a_task("a")
    pulls = replace(task, options=(replace(task.options[0], image="x"),))
    asked = a_request([a_node("one"), a_node("two")], [a_run("a", pulls, replace(task, key=TaskKey("b")))], seconds=60)
    starts = Starts(None, {"x": {"one": Wait(30, 20, 40)}})
    request = replace(asked, estimates=replace(asked.estimates, starts=starts))
    found, other = (candidates(request).of(one) for one in request.runs[0].tasks)
    assert [(one.node, one.seconds_p50, one.finish_seconds) for one in found] == [("two", 60, 60), ("one", 60, 90)]
    assert said(found) == one_by_one(request, request.runs[0].tasks[0])
    assert [one.finish_seconds for one in other] == [60, 60]
