"""Iterations of a loop go to nodes of their own: written beside its items, read by their pods, else left alone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import dsl, kubernetes

from mlopx import Loop, component, pipeline
from server.cli.placing import Subject, place_offline, subject_of_spec
from server.components.pipeline_manager import Submission
from server.connecting import translate
from server.domain.node import Node
from server.domain.resources import Resources
from server.domain.run import Run, TaskKey
from server.platforms.interface import ForeignFile
from server.platforms.kubeflow.iterating import NESTED, iterations_of
from server.platforms.kubeflow.placing import PlacementMode, place_pipeline
from server.platforms.kubeflow.reading import KubeflowPipeline, read_pipeline
from server.testing.compiled import a_node
from server.testing.kfp import VirtualNode

SCRIPT = """import os, sys
os.makedirs(os.path.dirname(sys.argv[3]), exist_ok=True)
open(sys.argv[3], "w").write(str(int(float(sys.argv[1]) + float(sys.argv[2]))))
"""
NODES = [a_node("one", zone="a"), a_node("two", zone="a"), a_node("three", zone="b")]
SMALL = [replace(node, allocatable=Resources.of(cpu_millicores=2000, memory_bytes=2**32, pods=110)) for node in NODES]
"""Nodes on which one iteration fills one."""


@dsl.container_component
def add(left: int, right: int, out: dsl.OutputPath(int)):  # type: ignore[valid-type]  # as the SDK wants it
    return dsl.ContainerSpec(image="python:3.11", command=["python3", "-c", SCRIPT], args=[left, right, out])


@dsl.component(base_image="python:3.11")
def double(x: int) -> int:
    return 2 * x


@dsl.component(base_image="python:3.11")
def largest(xs: list) -> int:
    return int(max(xs))


@dsl.component(base_image="python:3.11")
def join(a: str, b: str) -> str:
    return a + b


@dsl.pipeline
def inner(value: int) -> int:
    return double(x=value).output


def looping(given: list = [1, 2]) -> None:  # noqa: B006 - as users of the SDK write it
    with dsl.ParallelFor([2, 4, 8], parallelism=2) as depth:
        doubled = double(x=depth)
        inner(value=depth)
        with dsl.If(doubled.output > 4):
            double(x=doubled.output)
    largest(xs=dsl.Collected(doubled.output))
    with dsl.ParallelFor([{"a": "x", "b": "y"}, {"a": "z", "b": "w"}]) as pair:
        join(a=pair.a, b=pair.b)
    with dsl.ParallelFor(given) as one:
        double(x=one)


def nested() -> None:
    with dsl.ParallelFor([1, 2]) as left, dsl.ParallelFor([3, 4]) as right:
        add(left=left, right=right)


def deciding() -> None:
    with dsl.ParallelFor([1, 2]) as left:
        double(x=left)
        with dsl.If(left > 1):
            double(x=left)


def configured() -> None:
    with dsl.ParallelFor([{"disk": "ssd"}, {"disk": "hdd"}]) as where:
        kubernetes.add_node_selector_json(double(x=1), where)


@pytest.fixture
def read(judge: Any, tmp_path: Path) -> Callable[..., KubeflowPipeline]:
    return lambda body: read_pipeline(judge.compile(body, tmp_path))


def in_turn(pipeline: KubeflowPipeline, count: int = 10) -> dict[tuple[str, int], tuple[Node, ...]]:
    """Every iteration on the next node, and any other would do."""
    return {
        (task.path, index): tuple([*NODES, *NODES][index % 3 : index % 3 + 3])
        for task in pipeline.placeable()
        for index in range(count)
        if task.loops
    }


def documents(text: str) -> tuple[Any, Any]:
    first, second = yaml.safe_load_all(text)
    return first, second["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_items_carry_the_nodes_and_pods_read_them(judge: Any, read: Any) -> None:
    pipeline = read(looping)
    found = iterations_of(pipeline, None, in_turn(pipeline))
    placed = place_pipeline(pipeline, {}, loops=found.apart, mode=PlacementMode.REQUIRE)
    document, configs = documents(placed.text)
    judge.parse(document, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": configs}}}})
    judge.load(placed.text)
    loop = document["root"]["dag"]["tasks"]["for-loop-2"]
    items = json.loads(loop["parameterIterator"]["items"]["raw"])
    assert [one["item"] for one in items] == [2, 4, 8]
    terms = [one["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] for one in items]
    assert [term[0]["matchExpressions"][0]["values"] for term in terms] == [["one"], ["two"], ["three"]]
    name = loop["parameterIterator"]["itemInput"]
    assert configs["exec-double"]["nodeAffinity"] == [{"nodeAffinityJson": {"componentInputParameter": name}}]
    assert set(found.left) == {"for-loop-6"}, found.left
    assert place_pipeline(pipeline, {}, loops=found.apart, mode=PlacementMode.REQUIRE).text == placed.text


def values_of(folder: Path) -> list[str]:
    found = [json.loads(path.read_text()).get("parameterValues") for path in folder.rglob("executor_output.json")]
    return sorted(json.dumps(one, sort_keys=True) for one in found)


def test_placed_it_does_what_it_did(judge: Any, read: Any, tmp_path: Path) -> None:
    pipeline = read(looping)
    found = iterations_of(pipeline, None, in_turn(pipeline))
    assert set(found.apart) == {"for-loop-2", "for-loop-5"}
    placed = place_pipeline(pipeline, {}, loops=found.apart)
    judge.run(pipeline.documents.text, tmp_path / "before")
    judge.run(placed.text, tmp_path / "after")
    assert len(values_of(tmp_path / "before")) >= 12
    assert values_of(tmp_path / "after") == values_of(tmp_path / "before")


@pytest.mark.parametrize(
    ("body", "loop", "why"),
    [
        (nested, "for-loop-2/for-loop-4", NESTED),
        (deciding, "for-loop-2", "its item decides the condition condition-3 inside it"),
        (configured, "for-loop-2", "its item is read by the Kubernetes configuration of exec-double"),
        (looping, "for-loop-6", "its items are known only when the run gets there"),
    ],
)
def test_a_loop_that_cannot_be_taken_apart_is_left_alone_with_the_reason(
    read: Any, body: Callable[..., None], loop: str, why: str
) -> None:
    pipeline = read(body)
    found = iterations_of(pipeline, None, in_turn(pipeline))
    assert found.left.get(loop) == why, (found.left, list(pipeline.loops))
    assert loop not in found.apart


def test_items_that_a_parameter_gives_are_known_in_a_run(read: Any) -> None:
    pipeline = read(looping)
    assert iterations_of(pipeline, {"given": [7, 8, 9]}, in_turn(pipeline)).apart["for-loop-6"].items == (7, 8, 9)
    assert iterations_of(pipeline, {}, in_turn(pipeline)).apart["for-loop-6"].items == (1, 2), "the default"


def test_where_all_iterations_go_to_one_node_the_file_stays_as_it_is(read: Any) -> None:
    pipeline = read(looping)
    same = dict.fromkeys(in_turn(pipeline), (NODES[1],))
    found = iterations_of(pipeline, None, same)
    assert not found.apart
    assert found.together["for-loop-2/double"] == (NODES[1],)


def test_a_server_that_reads_no_affinity_is_sent_none(read: Any) -> None:
    pipeline = read(looping)
    found = iterations_of(pipeline, None, in_turn(pipeline), has_affinity=False)
    assert not found.apart
    assert "since 2.14" in found.left["for-loop-2"]


def test_an_affinity_that_the_author_requires_is_not_widened(read: Any) -> None:
    def body() -> None:
        with dsl.ParallelFor([1, 2, 3]) as one:
            task = double(x=one)
            kubernetes.add_node_affinity(task, [{"key": "disk", "operator": "In", "values": ["ssd"]}])

    pipeline = read(body)
    found = iterations_of(pipeline, None, in_turn(pipeline))
    placed = place_pipeline(pipeline, {}, loops=found.apart, mode=PlacementMode.REQUIRE)
    items = placed.pipeline["root"]["dag"]["tasks"]["for-loop-2"]["parameterIterator"]["items"]["raw"]
    assert "requiredDuring" not in items
    assert "preferredDuring" in items
    assert placed.effects["for-loop-2/double"].notes


def heavy() -> None:
    with dsl.ParallelFor([1, 2, 3]) as one:
        add(left=one, right=10).set_cpu_request("1500m")


def test_offline_it_is_asked_for_and_told_by_iteration(read: Any) -> None:
    pipeline = read(heavy)
    asked: dict[str, Any] = {"placer": "online", "mode": PlacementMode.DEFAULT, "pins": {}}
    found = place_offline(Subject(pipeline), SMALL, is_by_iteration=True, **asked)
    assert [row["task"] for row in found.report["tasks"]] == [f"for-loop-2/add.{index}" for index in range(3)]
    assert {row["node"] for row in found.report["tasks"]} == {"one", "two", "three"}
    assert found.report["placer"] == "online"
    assert found.pipeline.text == place_offline(Subject(pipeline), SMALL, is_by_iteration=True, **asked).pipeline.text
    plain = place_offline(Subject(pipeline), SMALL, **asked)
    assert plain.pipeline.pipeline == pipeline.documents.pipeline, "the pipeline's own document is not touched"
    pinned = place_offline(Subject(pipeline), SMALL, is_by_iteration=True, **{**asked, "pins": {"add": "three"}})
    assert pinned.pipeline.pipeline == pipeline.documents.pipeline
    assert {row["node"] for row in pinned.report["tasks"]} == {"three"}


@pytest.fixture
def nodes() -> list[VirtualNode]:
    return [VirtualNode(name, cpu="2") for name in ("one", "two", "three")]


def where(run: Run) -> Mapping[str, tuple[str | None, str | None]]:
    tasks = {key: task for key, task in run.tasks.items() if key.iteration}
    return {str(key): (task.current.node, task.current.actual_node) for key, task in tasks.items()}


async def test_the_server_sends_each_iteration_where_it_was_planned(make: Any, read: Any) -> None:
    text = read(heavy).documents.text
    async with make() as ground, ground.house(iterations="all", placement="require") as house:
        asked = Submission(ForeignFile("flow.yaml", text.encode()), is_caching=False)
        run = await house.ended((await house.pipeline_manager.submit(asked)).id)
    assert str(run.state) == "succeeded", run.error
    assert len({planned for planned, _ in where(run).values()}) > 1
    assert all(planned == actual for planned, actual in where(run).values()), where(run)


async def test_a_foreign_document_is_left_as_it_is_unless_asked(make: Any, read: Any) -> None:
    pipeline = read(heavy)
    async with make() as ground, ground.house() as house:
        asked = Submission(ForeignFile("flow.yaml", pipeline.documents.text.encode()), is_caching=True)
        await house.ended((await house.pipeline_manager.submit(asked)).id)
    [record] = ground.double.runs.values()
    assert record.pipeline == pipeline.documents.pipeline


@component(cpu=1.5)
def work(x: int) -> int:
    return x + 1


@pipeline
def ours(items: list = [1, 2, 3]) -> None:  # noqa: B006 - as users write it
    with Loop(items) as one:
        work(x=one)


async def test_loops_of_our_own_pipelines_are_placed_by_iteration(make: Any) -> None:
    async with make() as ground, ground.house(placement="require", translate=translate) as house:
        asked = Submission(ours.build(), parameters={"items": [5, 6, 7]}, is_caching=False)
        run = await house.ended((await house.pipeline_manager.submit(asked)).id)
    assert str(run.state) == "succeeded", run.error
    assert all(planned == actual for planned, actual in where(run).values()), where(run)
    assert len({actual for _, actual in where(run).values()}) == 3
    assert run.tasks[TaskKey("work", (1,))].outputs["output"].value == 7


def test_offline_our_own_pipelines_are_placed_by_iteration() -> None:
    @pipeline
    def fixed() -> None:
        with Loop([1, 2, 3]) as one:
            work(x=one)

    found = place_offline(
        subject_of_spec(fixed.build()), SMALL, placer="online", mode=PlacementMode.PREFER, pins={}, is_by_iteration=True
    )
    assert len(found.report["tasks"]) == 3
    assert "parseJson(string_value)" in found.pipeline.text
