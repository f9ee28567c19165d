"""What Kubeflow could not create or run is found before it is asked: too large as it is sent, or lacking an input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from mlopx import component, pipeline
from mlopx.spec import PipelineSpec
from server.cli.direct import read_direct
from server.domain.errors import InvalidSubmissionError, PlatformError
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.run import Run, RunOptions, TaskKey
from server.domain.states import Binding
from server.platforms.interface import PlannedPlacement
from server.platforms.kubeflow.compile import size_doubts, size_problems, sizes
from server.platforms.kubeflow.compile.sizes import WORKFLOW_LIMIT_BYTES, workflow_bytes
from server.platforms.kubeflow.compiler import PlacingCompiler, Translated
from server.platforms.kubeflow.namespaces import Namespaces
from server.platforms.kubeflow.reading import Documents, KubeflowTask, read_pipeline
from server.platforms.kubeflow.reading.fields import items
from server.platforms.kubeflow.reading.graph import kubernetes_configs
from server.platforms.kubeflow.submitting import WHY_ANNOTATION, Submitter
from server.platforms.kubeflow.writing import dump_all
from server.testing.compiled import a_container, a_node, a_pipeline, a_task

AT = datetime(2026, 1, 1, tzinfo=UTC)
TASKS = 80
NODES = {name: a_node(name, zone="a") for name in ("one", "two", "three")}


def document_of(*sizes: int, sdk: str = "mlopx", **more: Any) -> dict[str, Any]:
    """A pipeline of tasks t0, t1 ..., each with so many bytes as its argument."""
    names = [f"t{number}" for number in range(len(sizes))]
    found: dict[str, Any] = json.loads(
        json.dumps(
            {
                "pipelineInfo": {"name": "large"},
                "components": {f"comp-{name}": {"executorLabel": f"exec-{name}"} for name in names},
                "deploymentSpec": {
                    "executors": {
                        f"exec-{name}": a_container(command=["true"], args=[f"{name}-".ljust(size, "x")])
                        for name, size in zip(names, sizes, strict=True)
                    }
                },
                "root": {"dag": {"tasks": {name: a_task(f"comp-{name}") for name in names}}, **more},
                "schemaVersion": "2.1.0",
                "sdkVersion": sdk,
            }
        )
    )
    return found


def test_a_task_of_ours_that_carries_too_much_is_named_with_its_bytes() -> None:
    [problem] = size_problems(document_of(100, 20_000))
    assert problem.startswith("task t1: runtime and source take 20004 bytes as carried, more than 16384;")
    assert size_problems(document_of(100, 16_000)) == []


def test_what_others_compiled_may_carry_what_linux_starts() -> None:
    assert size_problems(document_of(100, 131_071, sdk="kfp-2.17.0")) == []
    [problem] = size_problems(document_of(100, 131_072, sdk="kfp-2.17.0"))
    assert problem.startswith("task t1: one argument of the command takes 131072 bytes as carried, more than 131071;")


def test_a_workflow_that_is_too_large_names_its_largest_task() -> None:
    large = document_of(*[16_000] * TASKS, 16_100)
    [problem] = size_problems(large)
    assert f"about {workflow_bytes(large)} bytes, more than the {WORKFLOW_LIMIT_BYTES}" in problem
    assert f"task t{TASKS}: 16104 bytes" in problem
    foreign = {**large, "sdkVersion": "kfp-2.17.0"}
    assert size_problems(foreign) == [], "Kubernetes may take it"
    assert f"about {workflow_bytes(foreign)} bytes" in size_doubts(foreign)[0]
    assert size_doubts(document_of(10)) == []


def test_the_size_is_that_of_json_inside_json() -> None:
    plain, quoted = document_of(100), document_of(100)
    plain["root"]["dag"]["tasks"]["t0"]["taskInfo"]["name"] = "xxxx"
    quoted["root"]["dag"]["tasks"]["t0"]["taskInfo"]["name"] = '"\\é'
    grown = json.dumps(json.dumps('"\\é', ensure_ascii=False), ensure_ascii=False).encode()
    bare = json.dumps(json.dumps("xxxx", ensure_ascii=False), ensure_ascii=False).encode()
    assert workflow_bytes(quoted) - workflow_bytes(plain) == 2 * (len(grown) - len(bare)), "in its graph and beside it"


@component
def step() -> None:
    """Nothing."""


@pipeline
def many():
    for number in range(TASKS):
        step().named(f"t{number}")


def compiled_with(
    each: int, document: dict[str, Any] | None = None
) -> tuple[PlacingCompiler, Run, dict[TaskKey, PlannedPlacement]]:
    """A compiler, a run whose tasks carry so many bytes each, and placements with long reasons."""
    spec = many.build()
    read = read_pipeline(Documents("large", "", document or document_of(*[each] * TASKS)))
    compiler = PlacingCompiler(
        translate=lambda spec, choices: Translated(read, {name: name for name in spec.tasks}),
        refusals=lambda spec: [],
        node_of=NODES.get,
    )
    options = RunOptions(binding=Binding.AT_SUBMISSION)
    run = start_run("r", compile_graph(spec), parameters={}, options=options, at=AT).run
    placement = PlannedPlacement("one", "default", ("two", "three"), why="It goes there. " * 60)
    return compiler, run, dict.fromkeys(run.tasks, placement)


@pytest.mark.parametrize(("each", "is_annotated"), [(7_000, True), (10_000, False)])
def test_annotations_are_left_out_where_they_would_make_a_pipeline_too_large(each: int, is_annotated: bool) -> None:
    compiler, run, placements = compiled_with(each)
    found = compiler.place(run, placements, None)
    assert found.platform is not None
    assert workflow_bytes(found.pipeline, found.platform) <= WORKFLOW_LIMIT_BYTES
    configs = found.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert {WHY_ANNOTATION in one["podMetadata"].get("annotations", {}) for one in configs} == {is_annotated}
    assert {one["podMetadata"]["labels"]["mlopx.dev/run"] for one in configs} == {"r"}
    assert all(len(one["nodeAffinity"]) == 3 for one in configs), "placements stay"


def test_equal_tasks_of_a_large_pipeline_share_a_component_and_keep_their_placements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sizes, "WORKFLOW_LIMIT_BYTES", 180_000)
    document = document_of(*[100] * TASKS)
    for name, executor in document["deploymentSpec"]["executors"].items():
        executor["container"]["args"] = ["x" * (100 if name != "exec-t7" else 101)]
    compiler, run, placements = compiled_with(100, document)
    nodes = {key: ("one", "two")[int(key.path[1:]) % 2] for key in run.tasks}
    wanted = {key: replace(one, node=nodes[key], alternatives=()) for key, one in placements.items()}
    found = compiler.place(run, wanted, None)
    assert len(found.pipeline["components"]) == len(found.pipeline["deploymentSpec"]["executors"]) == 3
    assert size_problems(found.pipeline, found.platform) == []
    read = read_pipeline(dump_all(found.pipeline, found.platform))
    configs = kubernetes_configs(read.documents)
    assert list(read.tasks) == list(placed_before(document))
    for key, node in nodes.items():
        task = read.tasks[key.path]
        assert preferred_by(configs[task.executor]) == [node]
        assert task.requests == placed_before(document)[key.path].requests
    odd = read.tasks["t7"].executor
    assert [path for path, task in read.tasks.items() if task.executor == odd] == ["t7"]
    assert document["components"].keys() == {f"comp-t{number}" for number in range(TASKS)}, "what was read stays"


def placed_before(document: dict[str, Any]) -> Mapping[str, KubeflowTask]:
    return read_pipeline(Documents("large", "", document)).tasks


def preferred_by(config: object) -> list[str]:
    """The hosts that a configuration wishes for."""
    entries = items(config, "nodeAffinity")
    return [str(items(items(one, "matchExpressions")[0], "values")[0]) for one in entries]


def test_what_is_too_large_with_its_placements_ends_with_the_bytes_and_is_not_tried_again() -> None:
    compiler, run, placements = compiled_with(13_000)
    with pytest.raises(PlatformError, match=r"with its placements it is too large .* about \d+ bytes") as caught:
        compiler.place(run, placements, None)
    assert not caught.value.is_retryable


async def test_an_option_that_cannot_be_compiled_ends_the_run_instead_of_trying_for_ever() -> None:
    class Refusing:
        def place(self, *_: Any) -> Any:
            raise InvalidSubmissionError("it cannot run", details=("task train: too large",))

    submitter = Submitter(
        cast("Any", None),
        cast("Any", Refusing()),
        namespaces=Namespaces(),
        experiment="x",
        service_account="",
        now=lambda: AT + timedelta(seconds=1),
    )
    run = compiled_with(10)[1]
    with pytest.raises(PlatformError, match="it cannot run: task train: too large") as caught:
        await submitter.submit(run, {}, version=None, headers=None)
    assert not caught.value.is_retryable


def with_inputs(*, is_at_the_end: bool = False, is_read: bool = True) -> str:
    """A pipeline whose first task reads an artifact that the pipeline is given, and which takes a number."""
    declared = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
    given = {"inputs": {"artifacts": {"data": {"componentInputArtifact": "table"}}}} if is_read else {}
    definitions = {"artifacts": {"table": declared}, "parameters": {"count": {"parameterType": "NUMBER_INTEGER"}}}
    end = {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}} if is_at_the_end else {}
    root = {"dag": {"tasks": {"a": a_task("comp-a", **given, **end)}}, "inputDefinitions": definitions}
    taken = {"executorLabel": "exec-a", "inputDefinitions": {"artifacts": {"data": declared}}}
    return a_pipeline({}, {"comp-a": taken}, root=root)


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        (
            with_inputs(),
            ["count=1"],
            "parameter 'table' (str) is required and was not given: the address of an artifact",
        ),
        (with_inputs(is_at_the_end=True), ["count=1"], "its input 'table' is an artifact that task a needs"),
        (with_inputs(is_read=False), [], "parameter 'count' (int) is required and was not given"),
        (yaml.safe_dump(document_of(131_072, sdk="kfp")), [], "task t0: one argument of the command takes 131072"),
    ],
)
def test_nothing_is_created_directly_that_could_not_run(text: str, given: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(text)
    with pytest.raises(InvalidSubmissionError) as caught:
        read_direct(tmp_path / "flow.yaml", None, given, None)
    assert any(one.startswith(said) for one in caught.value.details), caught.value.details


def test_a_submission_that_could_not_run_is_refused_by_the_server_too() -> None:
    from server.platforms.kubeflow.adopting import adopt

    compiler = PlacingCompiler(translate=cast("Any", None), refusals=lambda spec: [], node_of=NODES.get)
    spec: PipelineSpec = adopt(with_inputs(is_at_the_end=True), "flow.yaml")
    assert any("its input 'table' is an artifact" in one for one in compiler.refusals(spec))
    assert compiler.refusals(adopt(with_inputs(is_read=False), "flow.yaml")) == []


@pytest.mark.parametrize("count", [0, 3, 12])
def test_who_submits_a_file_is_told_what_was_seen_in_it_the_first_few_of_many(count: int) -> None:
    from server.platforms.kubeflow.adopting import adopt

    gap = {"parameters": {"x": {"componentInputParameter": "nowhere"}}}
    tasks = {"fine": a_task("comp-work"), **{f"t{one}": a_task("comp-work", inputs=gap) for one in range(count)}}
    compiler = PlacingCompiler(translate=cast("Any", None), refusals=lambda spec: [], node_of=NODES.get)
    notes = compiler.notes(adopt(a_pipeline(tasks, {"comp-work": {}}), "flow.yaml"))
    assert len(notes) == (11 if count > 10 else count)
    assert all("reads the input 'nowhere', which nothing around it has" in note for note in notes[:10])
    assert ("2 more: `mlopx-server place` says them all" in notes) == (count == 12)


def test_of_our_own_pipelines_there_is_nothing_to_say() -> None:
    @component
    def nothing() -> int:
        return 1

    @pipeline
    def own():
        nothing()

    compiler = PlacingCompiler(translate=cast("Any", None), refusals=lambda spec: [], node_of=NODES.get)
    assert compiler.notes(own.build()) == []
