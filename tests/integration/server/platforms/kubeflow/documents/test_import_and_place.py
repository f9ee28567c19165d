"""What the SDK compiles is read, placed and written so that the SDK, Kubeflow's protocol and the author recognise it.

The six promises hold for every feature and for compositions of them: the placed file parses strictly, loads in the SDK,
means the same, keeps what the author configured, sends every task exactly where it was asked to, and is the same twice.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, note, reject, settings

from server.domain.node import Node
from server.platforms.kubeflow.placing import PlacedPipeline, PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.reading import KubeflowPipeline, read_pipeline
from server.testing.compiled import a_node

FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FAST_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
COMPOSED = sys.modules["compositions"]
HOST = "kubernetes.io/hostname"
NODES = [a_node(f"node-{index}", zone="ab"[index % 2]) for index in range(7)]


def documents(text: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The documents, read by PyYAML."""
    found = list(yaml.load_all(text, Loader=FAST_LOADER))
    return found[0], found[1] if len(found) > 1 else None


def asked(pipeline: KubeflowPipeline) -> dict[str, Node]:
    """A node for every placeable task, neighbours on different ones."""
    return {task.path: NODES[index % len(NODES)] for index, task in enumerate(pipeline.placeable())}


def place_all(text: str, mode: PlacementMode = PlacementMode.REQUIRE) -> tuple[KubeflowPipeline, PlacedPipeline]:
    pipeline = read_pipeline(text)
    placements = {path: TaskPlacement((node,)) for path, node in asked(pipeline).items()}
    return pipeline, place_pipeline(pipeline, placements, mode=mode)


def leaves(document: Mapping[str, Any], dag: Any = None, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, task, component) of every leaf, walked independently of the code under test."""
    for key, task in (dag or document["root"])["dag"]["tasks"].items():
        component = document["components"][task["componentRef"]["name"]]
        path = f"{prefix}{key}"
        if "dag" in component:
            yield from leaves(document, component, f"{path}/")
        else:
            yield path, task, component


def expanded(document: Mapping[str, Any]) -> dict[str, Any]:
    """The pipeline with every component and executor written where it is used: equal for equal meaning."""

    def component(found: Mapping[str, Any]) -> dict[str, Any]:
        body = copy.deepcopy(dict(found))
        if "executorLabel" in body:
            body["executor"] = document["deploymentSpec"]["executors"].get(body.pop("executorLabel"))
        for task in body.get("dag", {}).get("tasks", {}).values():
            task["component"] = component(document["components"][task.pop("componentRef")["name"]])
        return body

    rest = {key: value for key, value in document.items() if key not in ("components", "deploymentSpec", "root")}
    return {**rest, "root": component(document["root"])}


def configs(platform: Mapping[str, Any] | None) -> dict[str, Any]:
    found = (platform or {}).get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    return dict(found.get("executors", {}))


def is_kept(before: Any, after: Any) -> bool:
    """Whether everything of `before` is in `after`; lists may only have grown at their ends."""
    if isinstance(before, dict):
        return isinstance(after, dict) and all(
            key in after and is_kept(value, after[key]) for key, value in before.items()
        )
    if isinstance(before, list):
        return (
            isinstance(after, list)
            and all(is_kept(*pair) for pair in zip(before, after, strict=False))
            and len(before) <= len(after)
        )
    return bool(before == after)


def hosts_allowed(config: Mapping[str, Any], names: list[str]) -> list[str]:
    """Which host names a configuration allows, by Kubernetes' rules; other labels are taken to hold."""
    selector = config.get("nodeSelector", {})
    wanted = None if "nodeSelectorJson" in selector else selector.get("labels", {}).get(HOST)
    terms = [term for term in config.get("nodeAffinity", []) if "weight" not in term and "nodeAffinityJson" not in term]

    def holds(term: Mapping[str, Any], name: str) -> bool:
        return all(name in one["values"] for one in term.get("matchExpressions", []) if one["key"] == HOST)

    return [name for name in names if wanted in (None, name) and (not terms or any(holds(one, name) for one in terms))]


def check_promises(judge: Any, text: str) -> None:
    pipeline, placed = place_all(text)
    before, before_platform = documents(text)
    after, after_platform = documents(placed.text)
    assert (after, after_platform) == (placed.pipeline, placed.platform)
    assert [path for path, _, _ in leaves(before)] == list(pipeline.tasks) or {
        path for path, _, _ in leaves(before)
    } == set(pipeline.tasks)

    judge.parse(after, after_platform)  # (a)
    judge.load(placed.text)  # (b)
    assert expanded(after) == expanded(before)  # (c)
    # The SDK leaves components without a dag or an executor behind where nested conditions share a name.
    labels = {path: component.get("executorLabel") for path, _, component in leaves(after)}
    old_labels = {path: component.get("executorLabel") for path, _, component in leaves(before)}
    names = [node.name for node in NODES]
    nodes = asked(pipeline)
    for path, label in labels.items():
        old = configs(before_platform).get(old_labels[path], {})
        new = configs(after_platform).get(label, {})
        assert is_kept(old, new), path  # (d)
        if path not in nodes:
            assert new == old, "what is not placeable is left alone"
        elif "nodeAffinityJson" not in str(old) or "nodeSelectorJson" not in str(old):
            assert hosts_allowed(new, names) == [nodes[path].name], path  # (e)
    assert place_all(text)[1].text == placed.text  # (f)
    wished = place_all(text, PlacementMode.DEFAULT)[1]
    judge.parse(*documents(wished.text))
    judge.load(wished.text)


def test_the_six_promises_hold_for(judge: Any, compiled: Mapping[str, str], feature: str) -> None:
    check_promises(judge, compiled[feature])


def test_there_are_at_least_thirty_features(compiled: Mapping[str, str]) -> None:
    assert len(compiled) >= 50


@pytest.mark.parametrize(
    ("feature_name", "path", "reason"),
    [
        ("importer", "importer", "importer"),
        ("importer_with_a_selector", "importer", "importer"),
        ("pvc_operations", "createpvc", "volume operation"),
        ("pvc_operations", "deletepvc", "volume operation"),
    ],
)
def test_not_placeable_and_why(compiled: Mapping[str, str], feature_name: str, path: str, reason: str) -> None:
    task = read_pipeline(compiled[feature_name]).tasks[path]
    assert not task.is_placeable
    assert reason in task.reason


def test_loops_and_conditions_around_a_task_are_known(compiled: Mapping[str, str]) -> None:
    tasks = read_pipeline(compiled["exit_handler_around_everything"]).tasks
    (path,) = [path for path in tasks if path.endswith("/add")]
    guarded, condition, loop, nested, _ = path.split("/")
    assert tasks[path].conditions == (f"{guarded}/{condition}",)
    assert tasks[path].loops == (f"{guarded}/{condition}/{loop}",)
    assert nested == "inner"
    assert tasks["report"].is_exit


def test_widths_and_counts_of_loops_are_known(compiled: Mapping[str, str]) -> None:
    (limited,) = read_pipeline(compiled["loop_with_a_limit"]).loops.values()
    assert (limited.count, limited.width) == (2, 1)
    (unknown,) = read_pipeline(compiled["loop_over_an_output"]).loops.values()
    assert (unknown.count, unknown.width) == (None, None)


def test_tasks_wait_for_what_is_before_them_through_the_sub_pipelines(compiled: Mapping[str, str]) -> None:
    tasks = read_pipeline(compiled["collected_parameters"]).tasks
    (loop,) = [path for path in tasks if path.startswith("for-loop")]
    assert tasks["total"].waits_for == (loop,)


def test_requests_are_read(compiled: Mapping[str, str]) -> None:
    asks = read_pipeline(compiled["resources"]).tasks["number"].requests
    assert (asks.cpu_millicores, asks.memory_bytes) == (500, 2**30)
    assert read_pipeline(compiled["accelerator"]).tasks["number"].requests.accelerators == (("nvidia.com/gpu", 2),)
    task = read_pipeline(compiled["dynamic_resources"]).tasks["number"]
    assert task.unknown_amounts == ("cpu", "memory", "accelerators")


def test_constraints_are_read(compiled: Mapping[str, str]) -> None:
    found = read_pipeline(compiled["node_affinity"]).tasks["number"].constraints
    assert found.rejection(a_node("x", labels={"zone": "a"})) is None
    assert found.rejection(a_node("x", labels={"zone": "c"})) == "its own node affinity does not hold on node x"
    assert [weight for weight, _ in found.preferred] == [80]
    dynamic = read_pipeline(compiled["dynamic_selector_and_affinity"]).tasks["number"].constraints
    assert dynamic.unknown == ("node selector", "node affinity")


def shared(text: str) -> str:
    """The same pipeline with equal components and executors written once, as other compilers may do."""
    document, platform = documents(text)
    executors, components = document["deploymentSpec"]["executors"], document["components"]
    first: dict[str, str] = {}
    for label in list(executors):
        identity = str((executors[label], configs(platform).get(label)))
        kept = first.setdefault(identity, label)
        if kept != label:
            del executors[label]
            configs(platform).pop(label, None)
            for one in components.values():
                if one.get("executorLabel") == label:
                    one["executorLabel"] = kept
    is_merging = True
    while is_merging:
        first, renamed = {}, {}
        for name in list(components):
            kept = first.setdefault(str(components[name]), name)
            if kept != name:
                renamed[name] = kept
                del components[name]
        for one in (document["root"], *components.values()):
            for task in one.get("dag", {}).get("tasks", {}).values():
                task["componentRef"]["name"] = renamed.get(task["componentRef"]["name"], task["componentRef"]["name"])
        is_merging = bool(renamed)
    return str(yaml.dump_all([document, *([platform] if platform else [])], Dumper=FAST_DUMPER, sort_keys=False))


LEAVES = [(kind, []) for kind in COMPOSED.LEAVES]
HABITS = [("task", [habit]) for habit in sorted(COMPOSED.HABITS)]
INSIDE = [(kind, [("task", [])]) for kind in COMPOSED.KINDS]


@pytest.mark.parametrize(
    "tree",
    [[*LEAVES, *HABITS], INSIDE, [("loop", INSIDE[:-1])], [("nested", INSIDE[:-2])]],
    ids=["leaves", "control flow", "in a loop", "in a pipeline"],
)
def test_the_six_promises_hold_for_every_part_of_compositions(judge: Any, tmp_path: Path, tree: list[Any]) -> None:
    """What the draws below have only now and then."""
    check_composition(judge, composed(judge, tmp_path, tree))


@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tree=COMPOSED.compositions())
def test_the_six_promises_hold_for_any_composition(judge: Any, tmp_path: Path, tree: list[Any]) -> None:
    try:
        text = composed(judge, tmp_path, tree)
    except (AssertionError, KeyError) as error:
        note(f"the SDK itself cannot compile this: {error!r:.200}")
        reject()
    check_composition(judge, text)


def composed(judge: Any, folder: Path, tree: list[Any]) -> str:
    """A composition, compiled by the SDK."""
    made = COMPOSED.prepared(tree)

    def composition():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
        COMPOSED.build(made)

    return str(judge.compile(composition, folder))


def check_composition(judge: Any, text: str) -> None:
    """As the SDK compiles it, and with what is equal written once."""
    check_promises(judge, text)
    merged = shared(text)
    check_promises(judge, merged)
    assert expanded(documents(merged)[0]) == expanded(documents(text)[0])
