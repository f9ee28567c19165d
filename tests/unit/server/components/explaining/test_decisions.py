"""Decisions made anew say only what is true of the request they were made on."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from server.components.decision_unit import DecisionUnit
from server.components.decisions.records import LARGEST_RECORD_BYTES, record_bytes
from server.components.explaining.placed import hindsight, how_it_went, margin_of, predicted, why_there
from server.domain.feasibility import feasible_options, rejection
from server.domain.placement import Candidate, Decision, Estimate, PlacementRequest
from server.domain.run import Attempt, TaskKey
from server.placers.halves import Cluster
from server.planning.needs import FAILED_BEFORE
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, requests, some_estimates


def decide(request: PlacementRequest, placer: str = "fifo_greedy") -> tuple[Decision, ...]:
    ids = itertools.count()
    return DecisionUnit(placer=placer, new_id=lambda: str(next(ids)), in_process=True).decide_now(request).decisions


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_every_reason_in_a_record_is_true_of_the_nodes_it_names(request: PlacementRequest) -> None:
    tasks = {task.ref: task for task in request.tasks()}
    for decision in decide(request):
        task = tasks[decision.run_id, decision.key]
        assert record_bytes(decision) <= LARGEST_RECORD_BYTES
        assert set(decision.filtered) <= set(decision.rejected)
        for reason, names in decision.filtered.items():
            assert len(names) <= decision.rejected[reason]
            for name in names:
                node = request.snapshot.node(name)
                assert node is not None
                if reason == FAILED_BEFORE:
                    assert name in task.avoid_nodes
                    assert feasible_options(task, node)
                    continue
                assert rejection(task, task.options[0], node) == reason
                assert not feasible_options(task, node)
        for candidate in decision.candidates:
            node = request.snapshot.node(candidate.node)
            assert node is not None
            assert feasible_options(task, node)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(most_runs=1, most_tasks=1))
def test_the_margin_is_the_difference_between_two_finishes_on_that_snapshot(request: PlacementRequest) -> None:
    for decision in decide(request):
        (task,) = request.tasks()
        margin = margin_of(decision) if decision.node else None
        if margin is None:
            continue
        cluster = Cluster(request)
        finishes = [cluster.offer(task, cluster.table.index[name], 0.0) for name in (decision.node, margin.other.node)]
        chosen, other = (one.finish if one else 0.0 for one in finishes)
        assert abs(margin.seconds - (other - chosen)) < 0.01


def test_a_task_is_compared_after_those_that_were_placed_before_it_in_the_same_cycle() -> None:
    nodes = [a_node("quick", cpus=1, speed=2), a_node("slow", cpus=1)]
    request = a_request(nodes, [a_run(name, a_task(name)) for name in "ab"])
    first, second = decide(request)
    assert (first.node, second.node) == ("quick", "slow")
    assert why_there(first) == "where it was expected to finish first, 30 s before slow"
    as_soon = "where it was expected to finish as soon as on quick; chosen by fifo_greedy"
    assert why_there(second) == f"{as_soon} ({second.reason})"
    assert second.reason


def test_a_strategy_that_takes_a_later_node_is_said_to_have_done_so() -> None:
    request = a_request([a_node("slow", speed=0.5), a_node("quick")], [a_run("a", a_task("a"))])
    (decision,) = decide(request, "fifo_round_robin")
    assert decision.node == "slow"
    assert "chosen by fifo_round_robin" in why_there(decision)
    assert why_there(decision).endswith("quick would have been 60 s sooner")
    assert decision.strategy_version == "1"


def test_the_only_node_that_can_run_a_task_is_called_so_with_the_reason_of_the_others() -> None:
    nodes = [a_node("fast", gpus=1), a_node("a"), a_node("b")]
    (decision,) = decide(a_request(nodes, [a_run("r", a_task("r", gpus=1))]))
    assert why_there(decision) == "the only node that can run it (a and b: too little gpu (asks 1, the node has 0))"
    assert decision.filtered == {"too little gpu (asks 1, the node has 0)": ("a", "b")}


def test_a_node_on_which_an_attempt_failed_is_ruled_out_for_that() -> None:
    task = a_task("r", avoid_nodes=("a",))
    (decision,) = decide(a_request([a_node("a"), a_node("b")], [a_run("r", task)]))
    assert decision.node == "b"
    assert (decision.rejected, decision.filtered) == ({FAILED_BEFORE: 1}, {FAILED_BEFORE: ("a",)})
    assert why_there(decision) == "the only node that can run it (a: an attempt of it failed there before)"


def test_a_node_that_failed_the_task_and_can_not_run_it_any_more_is_ruled_out_for_that_alone() -> None:
    task = a_task("r", gpus=1, avoid_nodes=("a", "gone", "small"))
    nodes = [a_node("a", gpus=1), a_node("b", gpus=1), a_node("small")]
    (decision,) = decide(a_request(nodes, [a_run("r", task)]))
    lacks = "too little gpu (asks 1, the node has 0)"
    assert decision.node == "b"
    assert decision.rejected == {FAILED_BEFORE: 1, lacks: 1}
    assert decision.filtered == {FAILED_BEFORE: ("a",), lacks: ("small",)}


def test_the_prediction_is_told_with_its_band_and_where_it_comes_from() -> None:
    (decision,) = decide(a_request([a_node("one")], [a_run("a", a_task("a"))]))
    assert predicted(decision) == "60 s (42 to 84 s, made up)"


def ended(seconds: float) -> Attempt:
    at = NOW.replace(minute=5)
    return Attempt(1, started_at=at, finished_at=at.replace(second=int(seconds)))


def record(**changes: object) -> Decision:
    candidates = (
        Candidate("here", "default", 8, 10, 12, start_seconds=0, finish_seconds=10),
        Candidate("there", "default", 16, 20, 24, start_seconds=0, finish_seconds=20),
    )
    base = Decision(
        id="d",
        cycle=1,
        at=NOW.replace(minute=5),
        run_id="r",
        key=TaskKey("train"),
        attempt=1,
        node="here",
        option="default",
        strategy="s",
        reason="",
        snapshot_at=NOW,
        candidates=candidates,
        estimate=Estimate(10, 8, 12, "from 3 runs on here"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # a test's shorthand


def test_hindsight_names_the_node_that_would_have_ended_it_sooner() -> None:
    nodes = [a_node("here"), a_node("there")]
    task = a_task("r")
    known = some_estimates(nodes, [a_run("r", task)], {("train", "here"): 40, ("train", "there"): 15})
    found = hindsight(record(), ended(40), task, known)
    assert found is not None
    assert (found.actual_seconds, found.is_inside_band) == (40, False)
    assert (found.best_node, found.regret_seconds) == ("there", 25)
    assert how_it_went(found, "here") == (
        "It was predicted to take 10 s; it ended above the band of 8.0 to 12 s. "
        "By what is known now, there would have been 25 s sooner."
    )


def test_there_is_no_regret_where_the_choice_was_the_best() -> None:
    task = a_task("r")
    known = some_estimates([a_node("here"), a_node("there")], [a_run("r", task)], 30)
    found = hindsight(record(), ended(9), task, known)
    assert found is not None
    assert (found.is_inside_band, found.best_node, found.regret_seconds) == (True, "here", 0.0)
    assert how_it_went(found, "here") == "It was predicted to take 10 s; it ended inside the band of 8.0 to 12 s."
