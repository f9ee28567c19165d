"""The original's strategy: shortest pipeline first, suitable classes of nodes, and none of its slips."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.domain.node import Node, Occupancy
from server.domain.placement import BoundTask, PlacementPlan, WaitingRun
from server.domain.run import TaskKey
from server.placers.custom import Custom
from server.placers.custom.classes import node_classes, rule_for
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts


def labelled(name: str, worker_type: str, arch: str = "amd64", flags: int | None = None, **more: Any) -> Node:
    labels = {"worker_type": worker_type, "accelerator_type": "none", "kubernetes.io/arch": arch}
    if flags is not None:
        labels["n_cpu_flags"] = str(flags)
    if worker_type == "high-gpu":
        labels["accelerator_type"] = "gpu"
    return a_node(name, labels=labels, **more)


def eleven_nodes() -> list[Node]:
    """The eleven nodes of the original's experiments."""
    classes = (("low", 2), ("med", 4), ("high-cpu", 8))
    found = [
        labelled(f"{name}-{number}", name, "arm64" if number == 3 else "amd64", cpus=cpus)
        for name, cpus in classes
        for number in (1, 2, 3)
    ]
    return found + [labelled(f"high-gpu-{number}", "high-gpu", cpus=8) for number in (1, 2)]


def hinted(kind: str | None, model: str | None = None) -> dict[str, Any]:
    return {"task_kind": kind, "model": {"type": model, "params": {}} if model else None}


def one(kind: str | None, model: str | None = None, run_id: str = "a", **more: Any) -> WaitingRun:
    return a_run(run_id, a_task(run_id, workload=hinted(kind, model)), **more)


def node_of(plan: PlacementPlan, run_id: str = "a") -> str:
    return next(placed.node for placed in plan.placements if placed.run_id == run_id)


@pytest.mark.parametrize(
    ("kind", "model", "node"),
    [
        ("preprocessing", None, "low-1"),
        ("preprocessing", "cnn", "low-1"),
        ("training", "logistic_regression", "low-1"),
        ("training", "linear_regression", "low-1"),
        ("training", "decision_tree", "low-1"),
        ("training", "random_forest", "med-1"),
        ("training", "svm", "med-1"),
        ("training", "nn", "high-gpu-1"),
        ("training", "CNN", "high-gpu-1"),
        ("evaluation", "decision_tree", "low-1"),
        ("evaluation", "svm", "low-1"),
        ("evaluation", "cnn", "med-1"),
    ],
)
def test_tasks_go_to_the_class_that_suits_them(kind: str, model: str | None, node: str) -> None:
    assert node_of(Custom().place(a_request(eleven_nodes(), [one(kind, model)]))) == node


@pytest.mark.parametrize(
    "workload",
    [
        {},
        {"task_kind": "training"},
        {"task_kind": "dreaming", "model": {"type": "cnn"}},
        {"task_kind": "training", "model": {"type": "transformer"}},
        {"task_kind": "training", "model": None},
        {"task_kind": None, "model": "cnn"},
        {"task_kind": 3, "model": {"type": 4}},
    ],
)
def test_an_unknown_kind_or_model_goes_where_it_can_run(workload: dict[str, Any]) -> None:
    request = a_request(eleven_nodes(), [a_run("a", a_task("a", workload=workload))])
    assert node_of(Custom().place(request)) == "low-1"


def test_without_a_suitable_class_a_task_goes_anywhere_it_can_run() -> None:
    arm_only = [labelled("low-3", "low", "arm64"), labelled("med-3", "med", "arm64")]
    assert node_of(Custom().place(a_request(arm_only, [one("training", "cnn")]))) in ("low-3", "med-3")


def test_networks_are_not_trained_on_another_architecture_than_amd64() -> None:
    nodes = [labelled("high-cpu-3", "high-cpu", "arm64", cpus=64), labelled("high-cpu-1", "high-cpu", cpus=4)]
    assert node_of(Custom().place(a_request(nodes, [one("training", "nn")]))) == "high-cpu-1"


def test_a_task_that_fits_only_on_a_larger_class_goes_there() -> None:
    run = a_run("a", a_task("a", cpus=6, workload=hinted("training", "decision_tree")))
    assert node_of(Custom().place(a_request(eleven_nodes(), [run]))).startswith("high-")


def test_the_smallest_suitable_node_has_the_fewest_cpu_flags() -> None:
    nodes = [labelled("many", "low", flags=150), labelled("few", "low", flags=90), labelled("odd", "low", flags=100)]
    assert node_of(Custom().place(a_request(nodes, [one("training", "decision_tree")]))) == "few"


def test_the_pipeline_with_the_least_predicted_work_goes_first() -> None:
    nodes = [a_node("one", cpus=1)]
    long = a_run("long", a_task("long", "a"), a_task("long", "b", waits_for=["a"]), submitted_seconds_ago=5)
    short = a_run("short", a_task("short", "c"))
    seconds = {("a", "one"): 10.0, ("b", "one"): 500.0, ("c", "one"): 100.0}
    plan = Custom().place(a_request(nodes, [long, short], seconds=seconds))
    assert next(placed.run_id for placed in plan.placements) == "short"


def test_a_pipeline_that_waited_long_enough_is_no_longer_overtaken() -> None:
    nodes = [a_node("one", cpus=1)]
    seconds = {("a", "one"): 500.0, ("c", "one"): 100.0}
    old = a_run("old", a_task("old", "a"), submitted_seconds_ago=2_500)
    plan = Custom().place(a_request(nodes, [a_run("new", a_task("new", "c")), old], seconds=seconds))
    assert [placed.run_id for placed in plan.placements] == ["old", "new"]


def test_accelerator_nodes_are_preferred_until_they_have_three_more_tasks() -> None:
    nodes = [labelled("cpu", "high-cpu", cpus=16), labelled("gpu", "high-gpu", cpus=16)]
    runs = [one("training", "cnn", run_id=f"r{n}") for n in range(8)]
    plan = Custom().place(a_request(nodes, runs))
    assert [placed.node for placed in plan.placements] == ["gpu", "gpu", "gpu", "cpu", "gpu", "cpu", "gpu", "cpu"]


def test_tasks_of_one_pipeline_stay_together_where_they_suit() -> None:
    run = a_run(
        "a",
        a_task("a", "test", workload=hinted("evaluation", "svm")),
        finished_on={TaskKey("train"): "med-2"},
    )
    assert node_of(Custom().place(a_request(eleven_nodes(), [run]))) == "med-2"


def test_the_node_of_a_running_task_counts_as_its_pipelines_too() -> None:
    bound = BoundTask("a", TaskKey("prepare"), "low-2", "default", amounts(), NOW)
    run = a_run("a", a_task("a", "train", workload=hinted("training", "decision_tree")), bound=(bound,))
    assert node_of(Custom().place(a_request(eleven_nodes(), [run]))) == "low-2"


def test_a_task_waits_for_the_accelerator_only_if_it_is_done_sooner() -> None:
    nodes = [labelled("gpu", "high-gpu", cpus=1), labelled("cpu", "high-cpu", cpus=1)]
    taken = [Occupancy("gpu", amounts(), "x", "y", NOW + timedelta(seconds=60))]
    run = one("training", "cnn")
    seconds = {("train", "gpu"): 30.0, ("train", "cpu"): 400.0}
    patient = Custom().place(a_request(nodes, [run], seconds=seconds, occupancies=taken))
    assert node_of(patient) == "gpu"
    hasty = Custom().place(a_request(nodes, [run], seconds={**seconds, ("train", "cpu"): 80.0}, occupancies=taken))
    assert node_of(hasty) == "cpu"


def test_labels_in_the_spelling_of_the_readme_count_too() -> None:
    nodes = [labelled("a", "low"), labelled("b", "Medium"), labelled("c", "high"), labelled("d", "gigantic")]
    assert node_classes(nodes)[:3] == ["low", "med", "high-cpu"]


def test_without_labels_classes_follow_from_speed_cores_and_accelerators() -> None:
    nodes = [
        a_node("a", cpus=2),
        a_node("b", cpus=2, speed=4),
        a_node("c", cpus=32),
        a_node("d", cpus=2, gpus=1),
        a_node("e", cpus=16, speed=2),
    ]
    assert node_classes(nodes) == ["low", "med", "high-cpu", "high-gpu", "high-cpu"]
    assert node_classes([a_node("only")]) == ["med"]


def test_a_missing_accelerator_label_means_none() -> None:
    nodes = [a_node("plain", labels={"worker_type": "high-cpu"}), labelled("gpu", "high-gpu")]
    assert node_of(Custom().place(a_request(nodes, [one("training", "nn")]))) == "gpu"


def test_every_model_of_the_original_has_a_rule_for_training_and_evaluation() -> None:
    models = ("linear_regression", "logistic_regression", "decision_tree", "random_forest", "svm", "nn", "cnn")
    anywhere = rule_for({})
    assert all(rule_for(hinted(kind, model)) != anywhere for model in models for kind in ("training", "evaluation"))
