"""Placements are written beside what is there, by Kubernetes' rules of combination, and always as the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from server.domain.errors import InvalidRequestError
from server.domain.node import Node
from server.domain.resources import Resources
from server.platforms.kubeflow.placing import PlacedPipeline, PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.reading import read_pipeline
from server.testing.compiled import a_container, a_node, a_pipeline, a_task

HOST = "kubernetes.io/hostname"
ONE, TWO, THREE = a_node("one", zone="a"), a_node("two", zone="b"), a_node("three", zone="a", architecture="arm64")
DYNAMIC = {"componentInputParameter": "where"}


def on_host(*names: str) -> dict[str, Any]:
    return {"key": HOST, "operator": "In", "values": list(names)}


def text_of(config: Mapping[str, Any] | None = None, **more: Any) -> str:
    configs = None if config is None else {"exec-a": dict(config)}
    return a_pipeline({"a": a_task("comp-a")}, {"comp-a": {}}, configs=configs, **more)


def placed(text: str, *nodes: Node, mode: str = "require", path: str = "a", **more: Any) -> PlacedPipeline:
    placements = {path: TaskPlacement(nodes, **more)}
    return place_pipeline(read_pipeline(text), placements, mode=PlacementMode(mode))


def config_of(found: PlacedPipeline, label: str = "exec-a") -> Any:
    documents = list(yaml.safe_load_all(found.text))
    assert documents == [found.pipeline, found.platform], "the file says what the API is sent"
    return documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"][label]


def test_a_required_node_is_a_selector_of_its_host_name() -> None:
    found = placed(text_of(), a_node("one", host="one.example"))
    assert config_of(found) == {"nodeSelector": {"labels": {HOST: "one.example"}}}
    assert found.effects["a"].required == (f"{HOST}=one.example",)


def test_a_node_without_a_host_name_label_is_required_by_its_name() -> None:
    field = {"key": "metadata.name", "operator": "In", "values": ["one"]}
    assert config_of(placed(text_of(), a_node("one", host=""))) == {"nodeAffinity": [{"matchFields": [field]}]}


def test_preferred_nodes_are_wishes_with_falling_weights() -> None:
    found = config_of(placed(text_of(), ONE, TWO, THREE, a_node("four"), mode="prefer"))
    assert found == {
        "nodeAffinity": [
            {"matchExpressions": [on_host("one")], "weight": 100},
            {"matchExpressions": [on_host("two")], "weight": 60},
            {"matchExpressions": [on_host("three")], "weight": 30},
        ]
    }


def test_by_default_only_lasting_labels_are_required_and_host_names_are_wishes() -> None:
    found = config_of(placed(text_of(), ONE, a_node("beside", zone="a"), TWO, mode="default"))
    labels = {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": "a"}
    assert found["nodeSelector"] == {"labels": labels}
    assert found["nodeAffinity"] == [
        {"matchExpressions": [on_host("one")], "weight": 100},
        {"matchExpressions": [on_host("beside")], "weight": 60},
    ], "a node of another zone can be no wish"


def test_a_label_that_the_node_lacks_is_not_required() -> None:
    found = config_of(placed(text_of(), a_node("bare"), ONE, mode="default"))
    assert found["nodeSelector"] == {"labels": {"kubernetes.io/arch": "amd64"}}
    assert [entry["weight"] for entry in found["nodeAffinity"]] == [100, 60]


@pytest.mark.parametrize("has_accelerator", [True, False])
def test_the_model_of_an_accelerator_is_required_only_where_one_is_asked_for(has_accelerator: bool) -> None:
    resources = {"accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"}} if has_accelerator else {}
    text = a_pipeline({"a": a_task("comp-a")}, {"comp-a": {}}, {"exec-a": a_container(resources=resources)})
    node = a_node("gpu", labels={"nvidia.com/gpu.product": "A100"})
    labels = config_of(placed(text, node, mode="default"))["nodeSelector"]["labels"]
    assert ("nvidia.com/gpu.product" in labels) == has_accelerator


def test_what_is_there_stays_word_for_word() -> None:
    config = {
        "initContainers": [{"image": "newer-than-any-protocol"}],
        "nodeSelector": {"labels": {"disk": "ssd"}},
        "nodeAffinity": [{"matchExpressions": [{"key": "k", "operator": "Exists"}], "weight": 80.0}],
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "podMetadata": {"labels": {"team": "ours"}},
        "pvcMount": [{"constant": "claim", "mountPath": "/data"}],
    }
    found = config_of(placed(text_of(config), ONE, labels={"team": "theirs", "mlopx/submission": "s1"}))
    assert found["nodeSelector"]["labels"] == {"disk": "ssd", HOST: "one"}
    assert found["podMetadata"]["labels"] == {"team": "ours", "mlopx/submission": "s1"}
    for untouched in ("initContainers", "nodeAffinity", "tolerations", "pvcMount"):
        assert found[untouched] == config[untouched]


def test_the_pipelines_own_document_is_kept_byte_for_byte_with_its_comments() -> None:
    text = "# a comment\n" + text_of({"nodeSelector": {"labels": {"a": "b"}}})
    head = text[: text.index("---\n")]
    assert placed(text, ONE).text.startswith(f"{head}---\nplatforms:")


def test_a_dynamic_selector_replaces_labels_so_the_node_goes_into_every_alternative_of_the_affinity() -> None:
    zone, disk = [{"key": key, "operator": "Exists"} for key in ("zone", "disk")]
    config = {
        "nodeSelector": {"nodeSelectorJson": DYNAMIC},
        "nodeAffinity": [
            {"matchExpressions": [zone]},
            {"matchExpressions": [disk]},
            {"matchExpressions": [zone], "weight": 5},
        ],
    }
    found = config_of(placed(text_of(config), ONE))
    assert found["nodeSelector"] == config["nodeSelector"]
    assert found["nodeAffinity"] == [
        {"matchExpressions": [zone, on_host("one")]},
        {"matchExpressions": [disk, on_host("one")]},
        {"matchExpressions": [zone], "weight": 5},
    ]


def test_with_a_dynamic_selector_alone_the_node_becomes_a_required_affinity() -> None:
    found = config_of(placed(text_of({"nodeSelector": {"nodeSelectorJson": DYNAMIC}}), ONE))
    assert found["nodeAffinity"] == [{"matchExpressions": [on_host("one")]}]


def test_with_a_dynamic_selector_and_a_dynamic_affinity_only_a_wish_is_safe_and_that_is_said() -> None:
    config = {"nodeSelector": {"nodeSelectorJson": DYNAMIC}, "nodeAffinity": [{"nodeAffinityJson": DYNAMIC}]}
    placement = placed(text_of(config), ONE)
    assert config_of(placement)["nodeAffinity"][1:] == [{"matchExpressions": [on_host("one")], "weight": 100}]
    assert "cannot be required" in placement.effects["a"].notes[0]
    assert placed(placement.text, ONE).text == placement.text, "placed again, the same wish is not written twice"


def test_an_old_server_gets_selectors_only() -> None:
    found = place_pipeline(read_pipeline(text_of()), {"a": TaskPlacement((ONE, TWO))}, server_version=(2, 13))
    labels = {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": "a"}
    assert config_of(found) == {"nodeSelector": {"labels": labels}}
    assert "knows no node affinity" in " ".join(found.effects["a"].notes)


def test_a_label_that_the_author_set_otherwise_is_left_and_that_is_said() -> None:
    found = placed(text_of({"nodeSelector": {"labels": {HOST: "two"}}}), ONE)
    assert config_of(found)["nodeSelector"]["labels"] == {HOST: "two"}
    assert "stands against" in found.effects["a"].notes[0]


def test_tasks_that_share_a_component_are_split_on_the_second_use_and_keep_their_configuration() -> None:
    inner = {"dag": {"tasks": {"x": a_task("comp-a"), "y": a_task("comp-a", "x")}}}
    tasks = {"a": a_task("comp-a"), "one": a_task("comp-inner"), "two": a_task("comp-inner")}
    text = a_pipeline(
        tasks, {"comp-a": {}, "comp-inner": inner}, configs={"exec-a": {"nodeSelector": {"labels": {"disk": "ssd"}}}}
    )
    pipeline = read_pipeline(text)
    nodes = {path: a_node(f"node-{index}") for index, path in enumerate(pipeline.tasks)}
    assert len(nodes) == 5
    found = place_pipeline(
        pipeline, {path: TaskPlacement((node,)) for path, node in nodes.items()}, mode=PlacementMode.REQUIRE
    )
    again = read_pipeline(found.text)
    assert list(again.tasks) == list(pipeline.tasks)
    assert again.tasks["a"].component == "comp-a"
    assert len({task.executor for task in again.tasks.values()}) == 5
    for path, node in nodes.items():
        assert config_of(found, again.tasks[path].executor)["nodeSelector"]["labels"] == {
            "disk": "ssd",
            HOST: node.name,
        }


def test_an_option_becomes_its_image_and_requests_and_raises_smaller_limits() -> None:
    resources = {"resourceCpuLimit": "500m", "cpuLimit": 0.5, "resourceMemoryLimit": "8Gi"}
    text = a_pipeline({"a": a_task("comp-a")}, {"comp-a": {}}, {"exec-a": a_container(resources=resources)})
    requests = Resources.of(cpu_millicores=2000, memory_bytes=2**32, accelerators={"nvidia.com/gpu": 2})
    found = placed(text, ONE, image="gpu:1", requests=requests, environment={"MLOPX_OPTION": "gpu"})
    container = found.pipeline["deploymentSpec"]["executors"]["exec-a"]["container"]
    assert container["image"] == "gpu:1"
    assert container["env"] == [{"name": "MLOPX_OPTION", "value": "gpu"}]
    assert container["resources"] == {
        "resourceCpuLimit": "2000m",
        "cpuLimit": 2.0,
        "resourceMemoryLimit": "8Gi",
        "resourceCpuRequest": "2000m",
        "cpuRequest": 2.0,
        "resourceMemoryRequest": "4Gi",
        "memoryRequest": 4.294967296,
        "accelerator": {
            "count": "2",
            "resourceCount": "2",
            "resourceType": "nvidia.com/gpu",
            "type": "nvidia.com/gpu",
        },
    }
    assert "gpu:1" not in text, "what was read is not changed"


def resources_of(requests: Resources, **resources: Any) -> Mapping[str, Any]:
    """What a container with these resources has after an option with these requests was chosen."""
    text = a_pipeline({"a": a_task("comp-a")}, {"comp-a": {}}, {"exec-a": a_container(resources=resources)})
    found = placed(text, ONE, requests=requests)
    kept: Mapping[str, Any] = found.pipeline["deploymentSpec"]["executors"]["exec-a"]["container"].get("resources", {})
    return kept


def test_memory_of_an_option_is_its_limit_too_and_the_cpu_gets_none() -> None:
    assert resources_of(Resources.of(cpu_millicores=500, memory_bytes=2**30)) == {
        "resourceCpuRequest": "500m",
        "cpuRequest": 0.5,
        "resourceMemoryRequest": "1Gi",
        "memoryRequest": 1.073741824,
        "resourceMemoryLimit": "1Gi",
        "memoryLimit": 1.073741824,
    }


def test_a_limit_that_was_the_request_follows_it_down() -> None:
    found = resources_of(
        Resources.of(cpu_millicores=500, memory_bytes=2**30),
        resourceCpuRequest="2",
        resourceCpuLimit="2000m",
        memoryRequest=8.0,
        memoryLimit=8.0,
    )
    assert (found["resourceCpuLimit"], found["cpuLimit"]) == ("500m", 0.5)
    assert (found["resourceMemoryLimit"], found["memoryLimit"]) == ("1Gi", 1.073741824)


def test_a_limit_that_only_the_run_knows_is_left_alone() -> None:
    dynamic = "{{$.inputs.parameters['memory']}}"
    found = resources_of(Resources.of(memory_bytes=2**30), resourceMemoryLimit=dynamic)
    assert found["resourceMemoryLimit"] == dynamic
    assert "memoryLimit" not in found


def test_what_an_option_does_not_request_is_taken_out_with_the_limit_that_was_its_own() -> None:
    found = resources_of(
        Resources.of(cpu_millicores=500),
        resourceMemoryRequest="8Gi",
        resourceMemoryLimit="8Gi",
        accelerator={"resourceType": "nvidia.com/gpu", "resourceCount": "1"},
    )
    assert found == {"resourceCpuRequest": "500m", "cpuRequest": 0.5}


def test_a_node_that_is_not_there_yet_is_no_wish_and_the_wait_for_its_group_is_said() -> None:
    virtual = a_node("big-1", zone="a", group="big", is_virtual=True)
    found = placed(text_of(), virtual)
    assert "waits for node group big to grow" in found.effects["a"].notes[0]
    assert "nodeAffinity" not in config_of(found)


@pytest.mark.parametrize(("path", "said"), [("b", "has no task 'b'"), ("load", "it is an importer")])
def test_a_placement_of_nothing_is_an_error(path: str, said: str) -> None:
    text = a_pipeline(
        {"a": a_task("comp-a"), "load": a_task("comp-load")},
        {"comp-a": {}, "comp-load": {}},
        {"exec-load": {"importer": {"artifactUri": {"constant": "gs://x"}}}},
    )
    with pytest.raises(InvalidRequestError, match=said):
        placed(text, ONE, path=path)


def test_without_placements_the_file_is_what_it_was() -> None:
    text = text_of({"nodeSelector": {"labels": {"a": "b"}}})
    assert place_pipeline(read_pipeline(text), {}).text == text


def test_the_same_placements_give_the_same_bytes_in_whatever_order_they_are_given() -> None:
    text = a_pipeline({name: a_task(f"comp-{name}") for name in "abc"}, {f"comp-{name}": {} for name in "abc"})
    placements = {name: TaskPlacement((ONE, TWO)) for name in "abc"}
    turned = dict(reversed(placements.items()))
    assert place_pipeline(read_pipeline(text), placements).text == place_pipeline(read_pipeline(text), turned).text


def test_placing_again_what_is_placed_changes_nothing() -> None:
    once = placed(text_of(), ONE, TWO, mode="default").text
    assert placed(once, ONE, TWO, mode="default").text == once
