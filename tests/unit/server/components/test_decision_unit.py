"""The decision unit in one process: what it answers, what it records, and what it does when a strategy fails."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings

from server.components import decision_unit
from server.components.decision_unit import NO_PLACEMENT, DecisionUnit, foreign_placers, load_placer, placers
from server.components.decisions import recording
from server.components.decisions.records import LARGEST_RECORD_BYTES, MOST_CANDIDATES, record_bytes
from server.components.placer_registry import takes_turns
from server.domain.errors import ConfigurationError
from server.domain.node import Snapshot
from server.domain.placement import Decision, Placement, PlacementPlan, PlacementRequest
from server.domain.states import Binding
from server.placers.interface import PlacerInterface
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, requests
from server.testing.contracts.placer import REQUESTS


class Raises(PlacerInterface):
    """Fails."""

    name: ClassVar[str] = "raises"
    summary: ClassVar[str] = "Always fails."

    def place(self, request: PlacementRequest) -> PlacementPlan:
        raise RuntimeError("no idea")


class Silent(PlacerInterface):
    """Answers nothing."""

    name: ClassVar[str] = "silent"
    summary: ClassVar[str] = "Forgets every task."

    def place(self, request: PlacementRequest) -> PlacementPlan:
        return PlacementPlan()


class Liar(PlacerInterface):
    """Answers something else."""

    name: ClassVar[str] = "liar"
    summary: ClassVar[str] = "Answers with something that is no plan."

    def place(self, request: PlacementRequest) -> PlacementPlan:
        return PlacementPlan((Placement("a", "train", "one"),))  # type: ignore[arg-type]  # the point


@pytest.fixture
def unit_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., DecisionUnit]:
    for strategy in (Raises, Silent, Liar):
        monkeypatch.setitem(placers, strategy.name, strategy)
    ids = itertools.count(1)

    def make(placer: str = "fifo_greedy", **more: Any) -> DecisionUnit:
        return DecisionUnit(placer=placer, new_id=lambda: f"decision-{next(ids)}", in_process=True, **more)

    return make


def two_waiting() -> PlacementRequest:
    return a_request([a_node("one", cpus=1)], [a_run(name, a_task(name)) for name in "ab"])


def test_ready_tasks_are_bound_and_the_rest_is_held_in_words(unit_of: Callable[..., DecisionUnit]) -> None:
    outcome = unit_of().decide_now(two_waiting())
    assert [(one.run_id, one.node) for one in outcome.bind_now] == [("a", "one")]
    assert list(outcome.holds.values()) == [
        "waits for room on node one, expected free at 14:01 UTC; too little cpu free on 1 of 1 nodes"
    ]
    assert (outcome.strategy, outcome.fallback_from, outcome.problem) == ("fifo_greedy", None, None)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("raises", "raised", "it raised RuntimeError: no idea"),
        ("silent", "invalid", "its plan is wrong: task train of run a is not answered"),
        ("liar", "invalid", "its plan is wrong: task train of run a is not in the request"),
    ],
)
def test_a_strategy_that_fails_is_replaced_and_that_is_said(
    unit_of: Callable[..., DecisionUnit], caplog: pytest.LogCaptureFixture, name: str, kind: str, said: str
) -> None:
    unit = unit_of(name)
    with caplog.at_level(logging.WARNING):
        outcome = unit.decide_now(two_waiting())
    assert outcome.strategy == "fifo_greedy"
    assert outcome.fallback_from == name
    assert said in str(outcome.problem)
    assert [one.run_id for one in outcome.bind_now] == ["a"]
    assert {decision.fallback_from for decision in outcome.decisions} == {name}
    assert unit.failures == {kind: 1}
    assert unit.fallbacks == 1
    assert said in caplog.text


def test_without_a_fallback_everything_is_left_to_the_platform(unit_of: Callable[..., DecisionUnit]) -> None:
    outcome = unit_of("raises", fallback=None, binding=Binding.AT_SUBMISSION).decide_now(two_waiting())
    assert outcome.plan.placements == ()
    assert outcome.bind_now == ()
    assert outcome.strategy == NO_PLACEMENT
    assert len(outcome.holds) == 2
    assert all("no idea" in reason for reason in outcome.holds.values())


def test_a_fallback_that_fails_as_well_leaves_nothing_placed(unit_of: Callable[..., DecisionUnit]) -> None:
    outcome = unit_of("raises", fallback="silent").decide_now(two_waiting())
    assert outcome.strategy == NO_PLACEMENT
    assert "fallback silent failed" in str(outcome.problem)


def test_the_strategy_is_told_the_smaller_of_both_limits(
    unit_of: Callable[..., DecisionUnit], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    class Curious(Silent):
        name: ClassVar[str] = "curious"

        def place(self, request: PlacementRequest) -> PlacementPlan:
            seen.append(request.time_limit_seconds)
            return PlacementPlan()

    monkeypatch.setitem(placers, "curious", Curious)
    unit_of("curious", time_limit_seconds=2.0).decide_now(two_waiting())
    unit_of("curious", time_limit_seconds=9.0).decide_now(two_waiting())
    assert seen == [2.0, 5.0]


def test_a_record_tells_what_was_considered(unit_of: Callable[..., DecisionUnit]) -> None:
    nodes = [a_node("slow", speed=0.5), a_node("fast", speed=2.0), a_node("tiny", cpus=0.1)]
    outcome = unit_of().decide_now(a_request(nodes, [a_run("a", a_task("a", attempt=3))]))
    (decision,) = outcome.decisions
    assert decision.id == "decision-1"
    assert (decision.node, decision.attempt, decision.cycle, decision.at) == ("slow", 3, 1, NOW)
    assert [(one.node, one.seconds_p50, one.is_free) for one in decision.candidates] == [
        ("slow", 120.0, True),
        ("fast", 30.0, True),
    ]
    assert decision.runner_up == "fast"
    assert decision.rejected == {"too little cpu (asks 1, the node has 0.1)": 1}
    assert decision.estimate is not None
    assert decision.estimate.p50 == 120.0
    assert decision.planned_start_at == NOW


def test_an_unchanged_hold_is_recorded_once(unit_of: Callable[..., DecisionUnit]) -> None:
    unit = unit_of()
    first, second = (unit.decide_now(replace(two_waiting(), cycle=cycle)) for cycle in (1, 2))
    assert [one.run_id for one in first.decisions] == ["a", "b"]
    assert [one.run_id for one in second.decisions] == ["a"]
    assert second.holds == first.holds


def test_of_very_many_waiting_tasks_those_planned_first_are_recorded_first(
    unit_of: Callable[..., DecisionUnit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_CHANGED", 2)
    unit = unit_of()
    waiting = a_request([a_node("one", cpus=1)], [a_run(name, a_task(name)) for name in "abcdef"])
    recorded = [[one.run_id for one in unit.decide_now(waiting).decisions] for _ in range(4)]
    assert recorded == [["a", "b", "c"], ["a", "d", "e"], ["a", "f"], ["a"]]


def test_whole_runs_that_start_are_recorded_with_all_their_tasks(unit_of: Callable[..., DecisionUnit]) -> None:
    chain = a_run("a", a_task("a", "first"), a_task("a", "second", waits_for=["first"]))
    waiting = a_run("b", a_task("b", cpus=4), a_task("b", "after", waits_for=["train"]))
    request = a_request([a_node("one")], [chain, waiting])
    outcome = unit_of(binding=Binding.AT_SUBMISSION).decide_now(request)
    assert [(one.run_id, one.key.path, one.node) for one in outcome.decisions] == [
        ("a", "first", "one"),
        ("a", "second", "one"),
        ("b", "train", None),
    ]
    assert len(outcome.plan.placements) == 4


def as_json(decision: Decision) -> int:
    return len(json.dumps(asdict(decision), default=str).encode())


def test_a_record_stays_small_however_long_the_names_are(unit_of: Callable[..., DecisionUnit]) -> None:
    nodes = [a_node(f"{index:03}-" + "n" * 249, labels={"zone": "z" * 200}) for index in range(40)]
    nodes += [a_node(f"cordoned-{index}", cpus=index / 100) for index in range(60)]
    run_id, path = "r" * 300, "p" * 300
    outcome = unit_of().decide_now(a_request(nodes, [a_run(run_id, a_task(run_id, path))]))
    (decision,) = outcome.decisions
    assert as_json(decision) <= LARGEST_RECORD_BYTES
    assert decision.candidates
    assert decision.candidates[0].node == decision.node


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request_=requests())
def test_the_outcome_of_any_request_is_consistent(request_: PlacementRequest) -> None:
    ids = itertools.count()
    unit = DecisionUnit(placer="custom", new_id=lambda: str(next(ids)), in_process=True)
    outcome = unit.decide_now(request_)
    ready = {task.ref for task in request_.tasks() if task.is_ready}
    bound = {(one.run_id, one.key) for one in outcome.bind_now}
    assert bound | set(outcome.holds) == ready
    assert not bound & set(outcome.holds)
    assert outcome.problem is None
    room = request_.snapshot.available()
    for task in request_.tasks():
        for one in outcome.bind_now:
            if (one.run_id, one.key) == task.ref:
                asked = next(option.requests for option in task.options if option.name == one.option)
                assert asked.fits_in(room[one.node])
                room[one.node] = room[one.node] - asked
    for decision in outcome.decisions:
        assert len(decision.candidates) <= MOST_CANDIDATES
        assert as_json(decision) <= record_bytes(decision) <= LARGEST_RECORD_BYTES
    assert len({decision.id for decision in outcome.decisions}) == len(outcome.decisions)


@pytest.mark.parametrize("name", list(placers))
@pytest.mark.parametrize("request_name", REQUESTS)
def test_every_strategy_passes_the_check(unit_of: Callable[..., DecisionUnit], name: str, request_name: str) -> None:
    assert unit_of(name).decide_now(REQUESTS[request_name]()).problem is None


def test_an_unknown_placer_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ConfigurationError) as caught:
        DecisionUnit(placer="fifo-gredy", new_id=str)
    assert "there is no placer 'fifo-gredy'" in str(caught.value)
    assert "did you mean fifo_greedy?" in str(caught.value)
    assert "random_random" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no.such.module:Placer", "No module named 'no'"),
        ("server.placers.fifo_greedy:Missing", "module 'server.placers.fifo_greedy' has no 'Missing'"),
        ("server.placers.fifo_greedy:FifoGreedy.nothing", "has no 'FifoGreedy.nothing'"),
        ("server.domain.run:Run", "does not inherit server.placers.interface.PlacerInterface"),
        ("server.placers.interface:PlacerInterface", "lacks name, summary, place"),
        (":", "is not of the form package.module:Class"),
    ],
)
def test_a_class_that_is_no_placer_is_refused_with_the_reason(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_placer(name)
    assert said in str(caught.value)


def test_a_placer_is_found_by_name_and_by_path() -> None:
    assert load_placer("custom") is placers["custom"]
    assert load_placer("server.placers.custom:Custom") is placers["custom"]


def entry(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, decision_unit.ENTRY_POINT_GROUP)


def install(monkeypatch: pytest.MonkeyPatch, *entries: importlib.metadata.EntryPoint) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [e for e in entries if e.group == group])


def test_strategies_say_whether_they_take_ready_tasks_in_turn() -> None:
    turns = {name for name in placers if takes_turns(name)}
    assert turns == {"fifo_greedy", "fifo_random", "fifo_round_robin", "kubernetes"}
    assert not takes_turns("nobody.knows:It")


def test_an_installed_placer_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, entry("mine", "server.placers.fifo_random:FifoRandom"))
    assert load_placer("mine").__name__ == "FifoRandom"
    unit = DecisionUnit(placer="mine", new_id=str)
    assert [info.name for info in unit.catalogue() if info.is_current] == ["mine"]


@pytest.mark.parametrize(
    "entries",
    [
        [entry("custom", "other.package:Custom")],
        [entry("mine", "one.package:Mine"), entry("mine", "another.package:Mine")],
    ],
)
def test_a_name_that_is_taken_twice_is_an_error(
    monkeypatch: pytest.MonkeyPatch, entries: list[importlib.metadata.EntryPoint]
) -> None:
    install(monkeypatch, *entries)
    with pytest.raises(ConfigurationError, match="is taken by"):
        foreign_placers()


def test_an_installed_placer_that_cannot_be_imported_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, entry("broken", "no.such.module:Placer"))
    found = {info.name: info for info in DecisionUnit(placer="custom", new_id=str).catalogue()}
    assert found["broken"].summary.startswith("cannot be loaded: ModuleNotFoundError")


def test_the_short_list_shows_the_usual_strategies_and_the_long_one_all() -> None:
    unit = DecisionUnit(placer="custom", new_id=str)
    short, everything = unit.catalogue(), unit.catalogue(all=True)
    assert [info.name for info in everything] == list(placers)
    assert {info.name for info in short} < set(placers)
    assert [info.name for info in short if info.is_current] == ["custom"]
    assert all(info.summary and info.version for info in everything)


def test_an_empty_snapshot_is_no_problem(unit_of: Callable[..., DecisionUnit]) -> None:
    request = replace(two_waiting(), snapshot=Snapshot(NOW, ()))
    outcome = unit_of().decide_now(request)
    assert set(outcome.holds.values()) == {"the cluster has no nodes"}
