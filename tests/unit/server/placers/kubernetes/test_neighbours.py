"""Pods that must, or would rather, be near to or away from others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server.placers.kubernetes.nodes import Machine, Machines
from server.placers.kubernetes.pods import Pod

MakePod = Callable[..., Pod]
MakeMachine = Callable[..., Machine]
Feasible = Callable[[Pod, Machines], list[str]]
Scores = Callable[[Pod, Machines, str], dict[str, int]]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


NAME = "kubernetes.io/metadata.name"


def term(app: str, key: str = "zone", **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def near(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"podAffinity": {REQUIRED: list(terms)}}


def away(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"podAntiAffinity": {REQUIRED: list(terms)}}


def rather(kind: str, *weighted: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    return {kind: {PREFERRED: [{"weight": weight, "podAffinityTerm": one} for weight, one in weighted]}}


@pytest.fixture
def machines(machine: MakeMachine, pod: MakePod) -> Machines:
    """Two nodes in zone a, one in b, one in none; a `db` pod runs on a1."""
    zones = {"a1": "a", "a2": "a", "b1": "b"}
    made = [machine(name, labels={"host": name, "zone": zone}) for name, zone in zones.items()]
    found = Machines([*made, machine("nowhere", labels={"host": "nowhere"})])
    found.add(pod("db-0", {"app": "db", "version": "1"}), 0)
    return found


@pytest.mark.parametrize(
    ("affinity", "nodes"),
    [
        (near(term("db")), ["a1", "a2"]),
        (near(term("db", "host")), ["a1"]),
        (near(term("db"), term("cache")), []),
        (near(term("cache")), []),
        (near(term("web")), ["a1", "a2", "b1"]),
        (near(term("web", "host")), ["a1", "a2", "b1", "nowhere"]),
        (near(term("db", namespaces=["other"])), []),
        (near(term("db", namespaceSelector={})), ["a1", "a2"]),
        (near(term("db", matchLabelKeys=["version"])), []),
        (near(term("db", mismatchLabelKeys=["version"])), ["a1", "a2"]),
        (away(term("db")), ["b1", "nowhere"]),
        (away(term("db", "host")), ["a2", "b1", "nowhere"]),
        (away(term("cache")), ["a1", "a2", "b1", "nowhere"]),
        ({**near(term("db")), **away(term("db", "host"))}, ["a2"]),
    ],
)
def test_a_pod_keeps_near_and_away(
    pod: MakePod, feasible: Feasible, machines: Machines, affinity: dict[str, Any], nodes: list[str]
) -> None:
    assert feasible(pod("web", {"app": "web", "version": "2"}, affinity=affinity), machines) == nodes


def test_who_runs_keeps_others_away(pod: MakePod, feasible: Feasible, machines: Machines) -> None:
    lonely = pod("lonely", affinity=away(term("web")))
    machines.add(lonely, machines.index["b1"])
    assert feasible(pod("web", {"app": "web"}), machines) == ["a1", "a2", "nowhere"]
    assert feasible(pod("other", {"app": "other"}), machines) == ["a1", "a2", "b1", "nowhere"]
    machines.remove(lonely, machines.index["b1"])
    assert feasible(pod("web", {"app": "web"}), machines) == ["a1", "a2", "b1", "nowhere"]


def test_preferred_neighbours_add_up_and_count_in_shares(pod: MakePod, scores: Scores, machines: Machines) -> None:
    machines.add(pod("db-1", {"app": "db"}), machines.index["a2"])
    machines.add(pod("db-2", {"app": "db"}), machines.index["b1"])
    # zone a 2 x 30, zone b 30, and hosts 10 each: 70, 70, 40 and 0 of 70, twice
    wanted = rather("podAffinity", (30, term("db")), (10, term("db", "host")))
    found = scores(pod("web", affinity=wanted), machines, "InterPodAffinity")
    assert found == {"a1": 200, "a2": 200, "b1": 114, "nowhere": 0}


def test_unwanted_neighbours_count_against_a_place(pod: MakePod, scores: Scores, machines: Machines) -> None:
    unwanted = rather("podAntiAffinity", (50, term("db")))
    found = scores(pod("web", affinity=unwanted), machines, "InterPodAffinity")
    assert found == {"a1": 0, "a2": 0, "b1": 200, "nowhere": 200}


def test_who_runs_has_wishes_too(pod: MakePod, scores: Scores, machines: Machines) -> None:
    machines.add(pod("fond", {"app": "x"}, affinity=rather("podAffinity", (4, term("web")))), machines.index["b1"])
    machines.add(pod("bound", {"app": "web"}, affinity=near(term("web", "host"))), machines.index["nowhere"])
    machines.add(pod("shy", {"app": "x"}, affinity=rather("podAntiAffinity", (1, term("web")))), machines.index["a1"])
    # -1 in zone a, 4 in b, a required term counts 1: shares of 5 are 0, 100 and 40 percent
    found = scores(pod("web", {"app": "web"}), machines, "InterPodAffinity")
    assert found == {"a1": 0, "a2": 0, "b1": 200, "nowhere": 80}


def test_a_pods_own_selector_of_namespaces_is_asked_about_one_without_labels_too(
    pod: MakePod, feasible: Feasible, scores: Scores, machines: Machines
) -> None:
    # kube-scheduler 1.36.1 to 1.36.3: what only excludes the namespace of db-0 finds it none the less
    excludes = {"matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["default"]}]}
    selects = {"matchLabels": {NAME: "other"}}
    assert feasible(pod("web", affinity=away(term("db", namespaceSelector=excludes))), machines) == ["b1", "nowhere"]
    assert feasible(pod("web", affinity=near(term("db", namespaceSelector=excludes))), machines) == ["a1", "a2"]
    assert feasible(pod("web", affinity=near(term("db", namespaceSelector=selects))), machines) == []
    wanted = rather("podAffinity", (10, term("db", namespaceSelector=excludes)))
    found = scores(pod("web", affinity=wanted), machines, "InterPodAffinity")
    assert found == {"a1": 200, "a2": 200, "b1": 0, "nowhere": 0}
    machines.add(pod("lonely", affinity=away(term("web", namespaceSelector=excludes))), machines.index["b1"])
    assert feasible(pod("web", {"app": "web"}), machines) == ["a1", "a2", "b1", "nowhere"]


def test_where_nobody_has_wishes_nothing_is_scored(pod: MakePod, scores: Scores, machines: Machines) -> None:
    assert scores(pod("web", {"app": "web"}), machines, "InterPodAffinity") == {}
    far = rather("podAffinity", (5, term("cache")))
    assert scores(pod("web", {"app": "web"}, affinity=far), machines, "InterPodAffinity") == {}
