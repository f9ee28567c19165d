"""Every strategy on problem files of every kind: sound schedules under every network and objective."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.components.placer_registry import placers
from server.domain.placement import Hold, PlacementPlan, PlacementRequest
from server.exchange.errors import UnreadableError
from server.exchange.reading import Question, read_question
from server.placers.interface import PlacerInterface
from server.planning.objectives import OBJECTIVES
from server.solving.answering import Answer, Wish, known_placers, solve

NETWORKS: dict[str, dict[str, Any]] = {
    "none": {"kind": "none"},
    "uniform": {"kind": "uniform", "seconds_per_byte": 1e-9},
    "cards": {"kind": "cards", "seconds_per_byte": [1e-9, 2e-9, 1e-9], "sharing": "one_port"},
    "shared": {"kind": "cards", "seconds_per_byte": [1e-9, 2e-9, 1e-9], "sharing": "max_min"},
    "pairs": {"kind": "pairs", "seconds_per_byte": [[0, 1e-9, 2e-9], [1e-9, 0, 1e-9], [1e-9, 1e-9, 0]]},
}
PROBLEM: dict[str, Any] = {
    "nodes": [
        {"name": "a", "cpus": 4, "memory_bytes": 8e9, "price_per_hour": 1},
        {"name": "b", "cpus": 2.5, "price_per_hour": 3, "accelerators": {"gpu": 1}},
        {"name": "c", "exclusive": True, "price_per_hour": 2, "opens_seconds": 5},
    ],
    "tasks": [
        {"name": "t0", "run_seconds": [4, 2, 3], "requests": {"cpus": 1.5}, "run": "r1"},
        {
            "name": "t1",
            "run": "r1",
            "options": [
                {"name": "gpu", "run_seconds": {"b": 3}, "requests": {"cpus": 1, "accelerators": {"gpu": 1}}},
                {"name": "cpu", "run_seconds": {"a": 9, "c": 8}, "requests": {"cpus": 2}},
            ],
        },
        {"name": "t2", "run_seconds": [5, None, 4], "run": "r2", "release_seconds": 3},
        {"name": "t3", "run_seconds": [5, 6, 4], "run": "r2"},
        {"name": "t4", "run_seconds": [0, 0, 0], "run": "r1"},
    ],
    "edges": [["t0", "t1", 1e9], ["t2", "t3", 1e8], ["t1", "t4", 1e7], ["t0", "t4", 1e7], ["t0", "t3"]],
    "runs": [
        {"name": "r1", "submitted_seconds": -10, "deadline_seconds": 12, "project": "x", "weight": 2},
        {"name": "r2", "deadline_seconds": 8, "project": "y"},
    ],
    "held": [{"node": "a", "requests": {"cpus": 1}, "until_seconds": 2}],
    "inputs": [["t0", "a", 1e9]],
}
ONE_NODE: dict[str, Any] = {
    "nodes": ["only"],
    "tasks": [{"name": "short", "run_seconds": [4], "run": 0}, {"name": "long", "run_seconds": [6], "run": 1}],
}
FREE = [name for name in known_placers() if name not in ("exact", "anytime")]


def question(folder: Path, document: dict[str, Any]) -> Question:
    path = folder / "problem.json"
    path.write_text(json.dumps(document))
    return read_question(path)


def answer(asked: Question, placer: str, objective: str = "makespan", seconds: float = 0.05) -> Answer:
    clock = itertools.count()
    return solve(asked, Wish(placer, objective, seconds, 0, lambda: next(clock) * 1e-3))


def test_every_strategy_that_comes_with_the_server_can_be_asked() -> None:
    assert set(placers) <= set(known_placers())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("placer", FREE)
def test_every_strategy_makes_a_sound_schedule_on_every_network(tmp_path: Path, placer: str, network: str) -> None:
    found = answer(question(tmp_path, {**PROBLEM, "network": NETWORKS[network]}), placer)
    assert found.flaws == []
    assert found.bound <= found.value


@pytest.mark.parametrize("placer", FREE)
def test_figures_far_beyond_any_calendar_are_just_figures(tmp_path: Path, placer: str) -> None:
    ages = {"name": "long", "run_seconds": [6e200], "run": 1}
    runs = [{"submitted_seconds": -1e250, "deadline_seconds": 1e240}, {"submitted_seconds": -3}]
    found = answer(question(tmp_path, {**ONE_NODE, "tasks": [ONE_NODE["tasks"][0], ages], "runs": runs}), placer)
    assert found.flaws == []


@pytest.mark.parametrize("placer", FREE)
def test_a_node_that_holds_more_than_it_has_is_full_until_then(tmp_path: Path, placer: str) -> None:
    document = {
        "nodes": [{"name": "n", "cpus": 8}, {"name": "m", "cpus": 1}],
        "tasks": [{"name": "t", "run_seconds": {"n": 3}, "requests": {"cpus": 8}}],
        "held": [{"node": "n", "requests": {"cpus": 2.0**63}, "until_seconds": 5}],
        "network": {"kind": "cards", "seconds_per_byte": [1, 1], "sharing": "max_min"},
    }
    found = answer(question(tmp_path, document), placer)
    assert found.flaws == []
    assert found.schedule.start.tolist() == [5.0]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("network", ["none", "shared", "pairs"])
def test_a_search_is_no_worse_than_any_strategy_under_any_objective(
    tmp_path: Path, objective: str, network: str
) -> None:
    asked = question(tmp_path, {**PROBLEM, "network": NETWORKS[network]})
    best = answer(asked, "anytime", objective, 0.03)
    assert best.flaws == []
    assert best.bound <= best.value
    others = [answer(asked, placer, objective).value for placer in ("heft", "kubernetes", "online", "cost", "deadline")]
    assert best.value <= min(others) * (1 + 1e-9)


def test_the_cheapest_schedule_is_found_and_proved(tmp_path: Path) -> None:
    found = answer(question(tmp_path, PROBLEM), "anytime", "cost")
    assert found.value == pytest.approx((4 + 9 + 5 + 5) / 3600)
    assert found.is_proved


def test_deadlines_are_an_objective_only_where_there_are_any(tmp_path: Path) -> None:
    bare = {**PROBLEM, "runs": [{"name": "r1"}, {"name": "r2"}]}
    with pytest.raises(UnreadableError, match=r"'deadline' counts `runs\[\].deadline_seconds`, and no run has any"):
        answer(question(tmp_path, bare), "anytime", "deadline")


def test_a_late_run_goes_first_where_deadlines_count(tmp_path: Path) -> None:
    asked = question(tmp_path, {**ONE_NODE, "runs": [{}, {"deadline_seconds": 6}]})
    assert answer(asked, "anytime", "turnaround").schedule.start.tolist() == [0, 4]
    assert answer(asked, "anytime", "deadline").schedule.start.tolist() == [6, 0]


def test_a_weight_says_which_run_goes_first(tmp_path: Path) -> None:
    asked = question(tmp_path, {**ONE_NODE, "runs": [{}, {"weight": 3}]})
    assert answer(asked, "anytime", "turnaround").schedule.start.tolist() == [6, 0]


class Lazy(PlacerInterface):
    """Never places anything."""

    name = "lazy"
    summary = "Holds everything."

    def place(self, request: PlacementRequest) -> PlacementPlan:
        return PlacementPlan((), tuple(Hold(task.run_id, task.key, "not today") for task in request.tasks()))


class Broken(Lazy):
    def place(self, request: PlacementRequest) -> PlacementPlan:
        raise KeyError("nothing")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Lazy", "leaves 5 tasks without a node for good: t.: not today"),
        ("Broken", "failed: it raised KeyError: 'nothing'"),
    ],
)
def test_a_strategy_that_fails_is_named_in_one_sentence(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UnreadableError, match=said) as caught:
        answer(question(tmp_path, PROBLEM), f"{__name__}:{name}")
    assert "\n" not in str(caught.value)


SECONDS = st.one_of(st.just(0.0), st.floats(1e-6, 1e4))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    tasks, nodes = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    rows = [[draw(st.one_of(SECONDS, st.none())) for _ in range(nodes)] for _ in range(tasks)]
    for row in rows:
        row[draw(st.integers(0, nodes - 1))] = draw(SECONDS)
    pairs = [(i, j) for j in range(tasks) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=6)) if pairs else []
    return {
        "nodes": [draw(st.sampled_from([{}, {"cpus": 2.2}, {"cpus": 3, "pods": 2}])) for _ in range(nodes)],
        "tasks": [{"run": draw(st.integers(0, 1)), "requests": {"cpus": draw(st.floats(0, 2))}} for _ in range(tasks)],
        "run_seconds": rows,
        "edges": [[i, j, draw(st.floats(0, 100))] for i, j in edges],
        "network": draw(
            st.sampled_from(
                [
                    {"kind": "none"},
                    {"kind": "uniform", "seconds_per_byte": 0.3, "sharing": "one_port"},
                    {"kind": "cards", "seconds_per_byte": [0.1] * nodes, "sharing": "max_min"},
                ]
            )
        ),
        "runs": [{"submitted_seconds": -3}, {"priority": draw(st.integers(0, 1))}],
    }


@given(documents(), st.sampled_from(FREE))
@settings(max_examples=60, deadline=None)
def test_schedules_of_other_peoples_problems_are_sound(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], placer: str
) -> None:
    found = answer(question(tmp_path_factory.mktemp("problems"), document), placer)
    assert found.flaws == []
