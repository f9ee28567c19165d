"""A plan is trusted only after it was checked against the request: every kind of nonsense is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from server.components.decisions.plan_check import MOST_PROBLEMS, plan_problems
from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest
from server.domain.run import TaskKey
from server.placers.fifo_greedy import FifoGreedy
from server.planning.needs import NeedsTable
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task

TRAIN = TaskKey("train")


@pytest.fixture
def request_() -> PlacementRequest:
    nodes = [a_node("one", cpus=2), a_node("two", cpus=2), a_node("tiny", cpus=0.5), a_node("soon", is_virtual=True)]
    return a_request(nodes, [a_run(name, a_task(name, avoid_nodes=("two",))) for name in ("a", "b", "c")])


def problems(request_: PlacementRequest, *placements: Placement, holds: tuple[Hold, ...] = ()) -> list[str]:
    return plan_problems(request_, PlacementPlan(placements, holds), NeedsTable(request_.snapshot.nodes))


def sound(request_: PlacementRequest) -> PlacementPlan:
    return FifoGreedy().place(request_)


def test_a_sound_plan_has_no_problems(request_: PlacementRequest) -> None:
    plan = sound(request_)
    assert problems(request_, *plan.placements, holds=plan.holds) == []


Spoil = Callable[[Placement], Placement]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: replace(one, run_id="zzz"), "train of run zzz is not in the request"),
        (lambda one: replace(one, key=TaskKey("gone")), "gone of run a is not in the request"),
        (lambda one: replace(one, node="nowhere"), "'nowhere', which is not in the snapshot"),
        (lambda one: replace(one, option="gpu"), "option 'gpu', which it does not offer"),
        (lambda one: replace(one, node="tiny"), "on tiny, which cannot run it"),
        (lambda one: replace(one, planned_start_at=datetime(2026, 1, 1)), "without a time zone"),  # noqa: DTZ001 - the point
        (lambda one: replace(one, planned_finish_at=NOW - timedelta(hours=1)), "finish before it starts"),
        (lambda one: replace(one, score=float("nan")), "has the score nan"),
        (lambda one: replace(one, node="soon", planned_start_at=NOW), "it is not there yet"),
    ],
)
def test_a_spoilt_placement_is_named(request_: PlacementRequest, spoil: Spoil, said: str) -> None:
    first, *rest = sound(request_).placements
    assert any(said in problem for problem in problems(request_, spoil(first), *rest))


def test_a_missing_answer_is_named(request_: PlacementRequest) -> None:
    assert problems(request_, *sound(request_).placements[1:]) == ["task train of run a is not answered"]


def test_a_double_answer_is_named(request_: PlacementRequest) -> None:
    plan = sound(request_)
    found = problems(request_, *plan.placements, holds=(Hold("a", TRAIN, "also held"),))
    assert found == ["task train of run a is answered 2 times"]


def test_more_starts_now_than_there_is_room_for_are_named(request_: PlacementRequest) -> None:
    everything_now = [Placement(name, TRAIN, "one", planned_start_at=NOW) for name in "abc"]
    (found,) = problems(request_, *everything_now)
    assert found == "more is planned to start now on one than it has room for (cpu)"


def test_starts_without_a_time_are_offers_and_no_overcommitment(request_: PlacementRequest) -> None:
    assert problems(request_, *[Placement(name, TRAIN, "one") for name in "abc"]) == []


def test_a_node_that_failed_the_task_before_is_bad_taste_but_no_error(request_: PlacementRequest) -> None:
    assert problems(request_, *[Placement(name, TRAIN, "two") for name in "abc"]) == []


def test_at_most_five_problems_are_told() -> None:
    many = a_request([a_node("one")], [a_run(f"r{n}", a_task(f"r{n}")) for n in range(50)])
    assert len(problems(many)) == MOST_PROBLEMS
