"""Recorded events, replayed: equal where they are equal, and every difference is found and placed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from server.placers.kubernetes.reading import MalformedError
from server.placers.kubernetes.recorded import read_recording
from server.placers.kubernetes.replaying import Replayed, replay

NODES = [
    {"name": "one", "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}},
    {"name": "two", "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"}},
]


def spec(cpu: str, memory: str, **more: Any) -> dict[str, Any]:
    return {"containers": [{"resources": {"requests": {"cpu": cpu, "memory": memory}}}], **more}


def created(
    name: str, spec_: dict[str, Any], scores: dict[str, tuple[int, int]], bound_to: str | None
) -> dict[str, Any]:
    """An event; scores are free share and evenness by node, and all soft taints are tolerated."""
    parts = {
        node: {"TaintToleration": 300, "NodeResourcesFit": free, "NodeResourcesBalancedAllocation": even}
        for node, (free, even) in scores.items()
    }
    final = {node: sum(score.values()) for node, score in parts.items()}
    return {"create": name, "spec": spec_, "scores": parts, "final": final, "bound_to": bound_to}


def a_document() -> dict[str, Any]:
    """Three pods, worked out by hand: the second sees the first, the third does not."""
    return {
        "nodes": copy.deepcopy(NODES),
        "events": [
            created("a", spec("2", "4Gi"), {"one": (50, 75), "two": (75, 75)}, "two"),
            created("b", spec("4", "8Gi"), {"one": (0, 75), "two": (25, 75)}, "two"),
            {"delete": "a"},
            created("c", spec("4", "4Gi"), {"one": (25, 62), "two": (12, 68)}, "one"),
            {"create": "d", "spec": spec("8", "1Gi"), "scores": {}, "final": {}, "bound_to": None},
            {"delete": "d"},
            {"delete": "b"},
            {"create": "e", "spec": spec("5", "1Gi"), "scores": {}, "final": {}, "bound_to": "two"},
            {"create": "f", "spec": {**spec("9", "1Gi"), "nodeName": "one"}, "bound_to": "one"},
            {"create": "g", "spec": {**spec("1", "1Gi"), "schedulingGates": [{"name": "wait"}]}, "bound_to": None},
            {"create": "h", "spec": {**spec("1", "1Gi"), "schedulerName": "another"}, "bound_to": "two"},
        ],
    }


def replayed(document: Any) -> list[Replayed]:
    return list(replay(read_recording(document)))


def differences(document: Any) -> dict[str, list[tuple[Any, ...]]]:
    found = {
        one.pod: [(d.what, d.node, d.plugin, d.recorded, d.found) for d in one.differences]
        for one in replayed(document)
    }
    return {pod: one for pod, one in found.items() if one}


def test_a_recording_that_follows_the_rules_has_no_differences() -> None:
    assert differences(a_document()) == {}
    results = {one.pod: one for one in replayed(a_document())}
    assert [*results] == list("abcdefgh")
    assert results["a"].final == {"one": 425, "two": 450}
    assert (results["c"].best, results["d"].feasible, results["e"].feasible) == (("one",), (), ("two",))


def test_a_wrong_score_is_found_with_its_plug_in() -> None:
    document = a_document()
    document["events"][1]["scores"]["two"]["NodeResourcesFit"] = 26
    assert differences(document) == {"b": [("score", "two", "NodeResourcesFit", 26, 25)]}


def test_a_plug_in_that_nobody_knows_is_a_difference_unless_it_says_nothing() -> None:
    document = a_document()
    document["events"][0]["scores"]["one"] |= {"Fancy": 3, "Silent": 0}
    assert differences(document) == {"a": [("score", "one", "Fancy", 3, 0)]}


def test_a_wrong_sum_is_found() -> None:
    document = a_document()
    document["events"][0]["final"]["one"] = 424
    assert differences(document) == {"a": [("final", "one", None, 424, 425)]}


def test_a_node_too_few_or_too_many_is_found() -> None:
    document = a_document()
    del document["events"][0]["final"]["one"]
    assert differences(document) == {"a": [("feasible", None, None, ["two"], ["one", "two"])]}
    document = a_document()
    document["events"][3]["spec"] = spec("5", "4Gi")
    assert ("feasible", None, None, ["one", "two"], []) in differences(document)["c"]


def test_another_choice_is_found_and_the_record_is_followed() -> None:
    document = a_document()
    document["events"][0]["bound_to"] = "one"
    found = differences(document)
    assert found["a"] == [("choice", None, None, "one", ["two"])]
    assert ("feasible", None, None, ["one", "two"], ["two"]) in found["b"]


def test_a_pod_that_found_no_node_differs_where_one_was_free() -> None:
    document = a_document()
    document["events"][4]["spec"] = spec("1", "1Gi")
    assert [what for what, *_ in differences(document)["d"]] == ["feasible", "choice"]


def test_a_pod_that_got_a_claim_which_the_record_does_not_tell_of_differs_by_that() -> None:
    document = a_document()
    claim = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    document["events"][7]["spec"].update(claim)
    assert ("feasible", None, "VolumeBinding", ["two"], []) in differences(document)["e"]


def test_one_of_equally_good_nodes_is_no_difference() -> None:
    for node in ("one", "two"):
        document = {
            "nodes": [{**NODES[0], "name": name} for name in ("one", "two")],
            "events": [created("a", spec("2", "4Gi"), {"one": (50, 75), "two": (50, 75)}, node)],
        }
        assert differences(document) == {}


def test_on_a_large_cluster_the_scheduler_is_judged_by_the_nodes_it_looked_at() -> None:
    nodes = [{**NODES[0], "name": f"node-{number}"} for number in range(150)]
    seen = {f"node-{number}": (50, 75) for number in range(30, 130)}
    document = {"nodes": nodes, "events": [created("a", spec("2", "4Gi"), seen, "node-77")]}
    assert differences(document) == {}
    del document["events"][0]["final"]["node-30"]
    assert [what for what, *_ in differences(document)["a"]] == ["feasible"]


def test_labels_and_namespaces_of_pods_count() -> None:
    away = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "host", "labelSelector": {}}]}
    lonely = {**spec("1", "1Gi"), "affinity": {"podAntiAffinity": away}}
    nodes = [{**node, "labels": {"host": node["name"]}} for node in NODES]
    for key, other in (("metadata", {"namespace": "other"}), ("labels", {"app": "web"})):
        document = {
            "nodes": nodes,
            "events": [
                {"create": "a", "spec": spec("1", "1Gi"), key: other, "bound_to": "two"},
                {"create": "b", "spec": lonely, "bound_to": "one"},
            ],
        }
        is_seen = key == "labels"
        assert replayed(document)[1].feasible == (("one",) if is_seen else ("one", "two"))


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ([], "document: should be a mapping, is a list"),
        ({"nodes": []}, "document: 'events' is missing"),
        ({"nodes": {}, "events": []}, "document.nodes: should be a list"),
        ({"nodes": [{"name": "a"}], "events": []}, r"^nodes\[0\]: 'allocatable' is missing"),
        ({"nodes": [{"allocatable": {}}], "events": []}, r"^nodes\[0\]: 'name' is missing"),
        ({"nodes": NODES * 2, "events": []}, r"nodes\[2\].name: 'one' is there twice"),
        ({"nodes": NODES, "events": [{}]}, r"^events\[0\]: should hold either 'create' or 'delete'"),
        ({"nodes": NODES, "events": [{"create": "a", "delete": "a"}]}, r"events\[0\]: should hold either"),
        ({"nodes": NODES, "events": [{"delete": "a"}]}, r"events\[0\].delete: there is no pod 'a'"),
        ({"nodes": NODES, "events": [{"create": "a"}]}, r"events\[0\]: 'spec' is missing"),
        (
            {"nodes": NODES, "events": [{"create": "a", "spec": spec("1", "1"), "bound_to": "x"}]},
            r"events\[0\].bound_to: there is no node 'x'",
        ),
        (
            {"nodes": NODES, "events": [{"create": "a", "spec": spec("1", "1"), "final": {"one": "3"}}]},
            r"events\[0\].final.one: should be a whole number, is text",
        ),
        (
            {"nodes": NODES, "events": [{"create": "a", "spec": spec("1", "1"), "scores": {"x": {}}}]},
            r"events\[0\].scores.x: there is no node 'x'",
        ),
        (
            {"nodes": NODES, "events": [{"create": "a", "spec": spec("1", "1"), "bound_to": "one"}] * 2},
            r"events\[1\].create: the pod 'a' is there already",
        ),
    ],
)
def test_a_broken_recording_is_refused_with_the_place(broken: Any, place: str) -> None:
    with pytest.raises(MalformedError, match=place):
        replayed(broken)
