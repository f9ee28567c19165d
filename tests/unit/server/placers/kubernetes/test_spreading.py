"""Pods spread evenly over places; every figure worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from server.placers.kubernetes.nodes import Machine, Machines
from server.placers.kubernetes.pods import Pod

MakePod = Callable[..., Pod]
MakeMachine = Callable[..., Machine]
Feasible = Callable[[Pod, Machines], list[str]]
Scores = Callable[[Pod, Machines, str], dict[str, int]]

APP = {"app": "web"}
ZONES = (("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c"))


def spread(key: str, skew: int = 1, policy: str = "DoNotSchedule", **more: Any) -> dict[str, Any]:
    selector = {"labelSelector": {"matchLabels": APP}}
    return {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": policy, **selector, **more}


@pytest.fixture
def occupied(pod: MakePod, machine: MakeMachine) -> Callable[[Sequence[str]], Machines]:
    """Four nodes in three zones; one matching pod on each named node, and one of another namespace on c1."""

    def build(nodes: Sequence[str]) -> Machines:
        labels = [{"kubernetes.io/hostname": name, "zone": zone} for name, zone in ZONES]
        made = [machine(name, labels=found) for (name, _), found in zip(ZONES, labels, strict=True)]
        machines = Machines([*made, machine("nowhere")])
        for number, name in enumerate(nodes):
            machines.add(pod(f"web-{number}", APP), machines.index[name])
        machines.add(pod("foreign", APP, "elsewhere"), machines.index["c1"])
        return machines

    return build


@pytest.mark.parametrize(
    ("there", "constraint", "nodes"),
    [
        ([], spread("zone"), ["a1", "a2", "b1", "c1"]),
        (["a1"], spread("zone"), ["b1", "c1"]),
        (["a1", "b1"], spread("zone"), ["c1"]),
        (["a1", "b1"], spread("zone", 2), ["a1", "a2", "b1", "c1"]),
        (["a1", "b1", "c1"], spread("zone"), ["a1", "a2", "b1", "c1"]),
        (["a1", "b1", "c1"], spread("zone", minDomains=4), []),
        (["a1"], spread("kubernetes.io/hostname"), ["a2", "b1", "c1"]),
        (["a1"], spread("zone", labelSelector={}), ["a1", "a2", "b1", "c1"]),
        (["a1"], spread("zone", labelSelector=None), ["a1", "a2", "b1", "c1"]),
        (["a1"], spread("zone", policy="ScheduleAnyway"), ["a1", "a2", "b1", "c1", "nowhere"]),
        (["a1"], spread("zone", matchLabelKeys=["version"]), ["a1", "a2", "b1", "c1"]),
    ],
)
def test_no_place_gets_too_far_ahead(
    pod: MakePod, feasible: Feasible, occupied: Any, there: list[str], constraint: dict[str, Any], nodes: list[str]
) -> None:
    asking = pod("web", {**APP, "version": "2"}, topologySpreadConstraints=[constraint])
    assert feasible(asking, occupied(there)) == nodes


def test_a_pod_that_does_not_match_itself_may_go_where_the_others_are_even(
    pod: MakePod, feasible: Feasible, occupied: Any
) -> None:
    stranger = pod("other", topologySpreadConstraints=[spread("zone")])
    assert feasible(stranger, occupied(["a1"])) == ["a1", "a2", "b1", "c1"]
    assert feasible(stranger, occupied(["a1", "a2"])) == ["b1", "c1"]


def test_only_places_where_the_pod_may_go_count(pod: MakePod, feasible: Feasible, occupied: Any) -> None:
    def asking(**more: Any) -> Pod:
        among = {"key": "zone", "operator": "In", "values": ["a", "b"]}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [among]}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
        return pod("web", APP, affinity=affinity, topologySpreadConstraints=[spread("zone", **more)])

    machines = occupied(["a1", "b1"])
    assert feasible(asking(), machines) == ["a1", "a2", "b1"]
    assert feasible(asking(nodeAffinityPolicy="Ignore"), machines) == []


def test_places_that_repel_the_pod_can_be_left_out(pod: MakePod, machine: MakeMachine, feasible: Feasible) -> None:
    taint = [{"key": "shut", "effect": "NoSchedule"}]
    machines = Machines([machine("open", labels={"zone": "a"}), machine("shut", labels={"zone": "b"}, taints=taint)])
    machines.add(pod("web-0", APP), 0)
    assert feasible(pod("web", APP, topologySpreadConstraints=[spread("zone")]), machines) == []
    honoured = spread("zone", nodeTaintsPolicy="Honor")
    assert feasible(pod("web", APP, topologySpreadConstraints=[honoured]), machines) == ["open"]


def test_the_emptier_place_is_liked_better(pod: MakePod, scores: Scores, occupied: Any) -> None:
    asking = pod("web", APP, topologySpreadConstraints=[spread("zone", policy="ScheduleAnyway")])
    # three zones weigh ln 5 = 1.61: 2, 1 and 0 pods are 3.2, 1.6 and 0, rounded 3, 2 and 0; (3 + 0 - x) * 100 // 3
    found = scores(asking, occupied(["a1", "a2", "b1"]), "PodTopologySpread")
    assert found == {"a1": 0, "a2": 0, "b1": 66, "c1": 200, "nowhere": 0}


def test_a_larger_skew_waters_the_differences_down(pod: MakePod, scores: Scores, occupied: Any) -> None:
    asking = pod("web", APP, topologySpreadConstraints=[spread("zone", 5, "ScheduleAnyway")])
    # 3.2, 1.6 and 0, and 4 more each: 7, 6 and 4; (7 + 4 - x) * 100 // 7
    found = scores(asking, occupied(["a1", "a2", "b1"]), "PodTopologySpread")
    assert found == {"a1": 114, "a2": 114, "b1": 142, "c1": 200, "nowhere": 0}


def test_hosts_are_places_too(pod: MakePod, scores: Scores, occupied: Any) -> None:
    asking = pod("web", APP, topologySpreadConstraints=[spread("kubernetes.io/hostname", policy="ScheduleAnyway")])
    # four hosts weigh ln 6 = 1.79: 2 pods are 3.6, rounded 4, 1 pod is 2
    found = scores(asking, occupied(["a1", "a1", "b1"]), "PodTopologySpread")
    assert found == {"a1": 0, "a2": 200, "b1": 100, "c1": 200, "nowhere": 0}


def test_hosts_are_nodes_also_where_two_say_the_same_name(pod: MakePod, machine: MakeMachine, scores: Scores) -> None:
    machines = Machines([machine(name, labels={"kubernetes.io/hostname": "same"}) for name in ("one", "two")])
    machines.add(pod("web-0", APP), 0)
    asking = pod("web", APP, topologySpreadConstraints=[spread("kubernetes.io/hostname", policy="ScheduleAnyway")])
    assert scores(asking, machines, "PodTopologySpread") == {"one": 0, "two": 200}


def test_where_nothing_matches_all_places_are_as_good(pod: MakePod, scores: Scores, occupied: Any) -> None:
    asking = pod("web", {"app": "db"}, topologySpreadConstraints=[spread("zone", policy="ScheduleAnyway")])
    assert set(scores(asking, occupied([]), "PodTopologySpread").values()) == {200, 0}
    assert scores(pod(), occupied([]), "PodTopologySpread") == {}
