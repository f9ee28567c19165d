"""What is no compiled pipeline is refused with reason and place; what is one is read, whatever else stands in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from server.domain.errors import InvalidSubmissionError
from server.platforms.kubeflow.reading import read_pipeline
from server.platforms.kubeflow.reading.amounts import quantity
from server.platforms.kubeflow.reading.fields import FIELDS
from server.platforms.kubeflow.reading.quick_shape import is_of
from server.platforms.kubeflow.reading.shape import _problems
from server.platforms.kubeflow.reading.yaml_text import load_all
from server.testing.compiled import a_container, a_node, a_pipeline, a_task

PIPELINE = a_pipeline({"a": a_task("comp-a")}, {"comp-a": {}})


def changed(**more: Any) -> str:
    return a_pipeline({"a": a_task("comp-a")}, {"comp-a": {}}, **more)


def without(*path: str) -> str:
    document = yaml.safe_load(PIPELINE)
    at = document
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return str(yaml.safe_dump(document))


REFUSED: dict[str, tuple[str, str]] = {
    "an empty file": ("", "is empty"),
    "no YAML": ("a: [1", "cannot be read as YAML at line"),
    "no mapping": ("- 1\n", "it holds list, not a mapping"),
    "something else": ("a: 1\n", "it has no root (it has: a)"),
    "an Argo workflow": ("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n", "is an Argo workflow"),
    "a component of version 1": ("name: x\nimplementation: {container: {image: x}}\n", "is a component of Kubeflow"),
    "a job wrapper": (json.dumps({"pipelineSpec": yaml.safe_load(PIPELINE)}), "is a job around a pipeline"),
    "a manifest": ("kind: PipelineVersion\nspec: {}\n", "is a Kubernetes manifest"),
    "another manifest": (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nrules: []\n",
        "is a manifest of Kubernetes (kind Role)",
    ),
    "our own spec": ('{"kind": "mlopx.PipelineSpec"}', "compile it: mlopx-server compile"),
    "schema 2.0.0": (changed(schemaVersion="2.0.0"), "is of schemaVersion 2.0.0"),
    "no schema": (without("schemaVersion"), "has no schemaVersion"),
    "no name": (changed(pipelineInfo={}), "pipelineInfo.name: the pipeline has no name"),
    "no tasks": (changed(root={"dag": {"tasks": {}}}), "root.dag.tasks: the pipeline has no tasks"),
    "a misspelt field": (
        a_pipeline({"a": {**a_task("comp-a"), "dependantTasks": []}}, {"comp-a": {}}),
        "tasks.a.dependantTasks: Kubeflow knows no field 'dependantTasks' here; did you mean 'dependentTasks'?",
    ),
    "a wrong type": (
        a_pipeline({"a": {**a_task("comp-a"), "cachingOptions": {"enableCache": "yes"}}}, {"comp-a": {}}),
        "root.dag.tasks.a.cachingOptions.enableCache: expects true or false, not 'yes'",
    ),
    "a field twice": (
        a_pipeline({"a": {**a_task("comp-a"), "component_ref": {"name": "x"}}}, {"comp-a": {}}),
        "component_ref: is the same field as componentRef",
    ),
    "a date": (changed(defaultPipelineRoot="x").replace("x", "2024-01-01"), "defaultPipelineRoot: expects a text"),
    "inputs of the betas": (
        changed(
            root={"dag": {"tasks": {"a": a_task("comp-a")}}, "inputDefinitions": {"parameters": {"x": {"type": "INT"}}}}
        ),
        "root.inputDefinitions.parameters.x: has no parameterType",
    ),
    "two pipelines": (f"{PIPELINE}---\n{PIPELINE}", "holds 2 pipeline documents"),
    "two platforms": (f"{PIPELINE}---\nplatforms: {{}}\n---\nplatforms: {{}}\n", "holds 2 platform documents"),
    "only a platform": ("platforms: {}\n", "holds only a platform document"),
    "a misspelt platform": (f"{PIPELINE}---\nplatforms: {{kubernetes: {{deployment: {{}}}}}}\n", "did you mean"),
    "a component in itself": (
        a_pipeline({"a": a_task("comp-a")}, {"comp-a": {"dag": {"tasks": {"b": a_task("comp-a")}}}}),
        "components.comp-a: contains itself: comp-a -> comp-a",
    ),
    "endless aliases": (
        "a: &a [x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join(['*' + c] * 9)}]\n" for c, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "too often",
    ),
    "endless nesting": ("[" * 300 + "]" * 300, "nested too deeply"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_the_reason_and_the_place(what: str) -> None:
    text, said = REFUSED[what]
    with pytest.raises(InvalidSubmissionError) as caught:
        read_pipeline(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert said in str(caught.value)


FINISHED = {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidSubmissionError) as caught:
        read_pipeline(changed(sdkVersion=1, defaultPipelineRoot=2))
    assert len(caught.value.details) == 2


def test_the_original_is_kept_word_for_word() -> None:
    text = "# Kept\n" + PIPELINE
    assert read_pipeline(text.encode()).documents.text == text


def test_names_with_underscores_are_the_same_fields() -> None:
    task = {"component_ref": {"name": "comp-a"}, "trigger_policy": {"condition": "1 == 1"}, "task_info": {"name": "A"}}
    read = read_pipeline(a_pipeline({"a": task}, {"comp-a": {"executor_label": "exec-a"}}, {"exec-a": a_container()}))
    assert read.tasks["a"].executor == "exec-a"
    assert read.tasks["a"].conditions == ("a",)
    assert read.tasks["a"].display_name == "A"


def test_documents_may_stand_in_either_order_and_empty_ones_are_passed_over() -> None:
    config = {"exec-a": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}
    pipeline, platform = changed(configs=config).split("---\n")
    read = read_pipeline(f"---\n{platform}---\n---\n{pipeline}")
    assert [one.key for one in read.tasks["a"].constraints.tolerations] == ["gpu"]


def test_a_launcher_is_reported_since_its_placement_goes_to_the_job() -> None:
    passed_on = {"taskConfigPassthroughs": [{"field": "KUBERNETES_NODE_SELECTOR"}], "executorLabel": "exec-a"}
    assert "passes through to the job" in read_pipeline(changed_component(passed_on)).notes[0]
    applied = {**passed_on, "taskConfigPassthroughs": [{"field": "KUBERNETES_AFFINITY", "applyToTask": True}]}
    assert read_pipeline(changed_component(applied)).notes == ()


def changed_component(component: dict[str, Any]) -> str:
    return a_pipeline({"a": a_task("comp-a")}, {"comp-a": component}, {"exec-a": a_container()})


def test_what_is_newer_than_the_protocol_is_named() -> None:
    assert "initContainers" in read_pipeline(changed(configs={"exec-a": {"initContainers": []}})).notes[0]


def test_what_kubeflows_drivers_fail_at_is_named_and_read_all_the_same() -> None:
    loop = {"dag": {"tasks": {"work": a_task("comp-work")}}}
    gap = {"parameters": {"x": {"componentInputParameter": "loop-item-param-1-subvar-a"}}}
    items = {"items": {"inputArtifact": "all"}, "itemInput": "one"}
    tasks = {"first": a_task("comp-work", inputs=gap), "loop": a_task("comp-loop", artifactIterator=items)}
    pipeline = read_pipeline(a_pipeline(tasks, {"comp-work": {}, "comp-loop": loop}))
    assert list(pipeline.tasks) == ["first", "loop/work"]
    notes = "\n".join(pipeline.notes)
    assert "task first: reads the input 'loop-item-param-1-subvar-a', which nothing around it has" in notes
    assert "loop loop: runs over artifacts" in notes


def test_data_is_waited_for_without_being_told_and_a_maker_that_is_not_there_is_named() -> None:
    given = {"parameters": {"x": {"taskOutputParameter": {"producerTask": "first", "outputParameterKey": "Output"}}}}
    tasks = {"second": a_task("comp-work", inputs=given), "first": a_task("comp-work")}
    pipeline = read_pipeline(a_pipeline(tasks, {"comp-work": {}}))
    assert pipeline.notes == ()
    assert pipeline.tasks["second"].waits_for == ("first",)
    [note] = read_pipeline(a_pipeline({"second": tasks["second"]}, {"comp-work": {}})).notes
    assert note == "task second: reads what 'first' makes, and no such task is beside it; Kubeflow will refuse it"


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ({"end": a_task("comp-work", "a", **FINISHED)}, ""),
        ({"end": a_task("comp-work", "a", "b", **FINISHED)}, "task end: runs once after each of a, b"),
        ({"end": a_task("comp-work", "loop", **FINISHED)}, "task end: waits for the end of loop, a loop"),
        ({"end": a_task("comp-work", "a", **FINISHED), "c": a_task("comp-work", "end")}, "task c: waits for end"),
        (
            {"end": a_task("comp-work", "a", **FINISHED), "more": a_task("comp-work", "a", **FINISHED)},
            "task end: does not run when a ends",
        ),
    ],
)
def test_what_kubeflow_does_not_do_of_tasks_that_run_whatever_happened_is_named(tasks: Any, said: str) -> None:
    loop = a_task("comp-loop", parameterIterator={"items": {"raw": "[1]"}, "itemInput": "one"})
    body = {"dag": {"tasks": {"work": a_task("comp-work")}}}
    beside = {"a": a_task("comp-work"), "b": a_task("comp-work"), "loop": loop}
    notes = read_pipeline(a_pipeline({**beside, **tasks}, {"comp-work": {}, "comp-loop": body})).notes
    assert [note for note in notes if note.startswith(said)] == list(notes)
    assert len(notes) == bool(said)


def test_selectors_beside_nested_pipelines_are_doubted_since_the_sdk_mixes_them_up() -> None:
    nested = {"comp-a": {}, "comp-inner": {"dag": {"tasks": {"b": a_task("comp-b")}}}, "comp-b": {}}
    text = a_pipeline(
        {"a": a_task("comp-a"), "inner": a_task("comp-inner")},
        nested,
        configs={"exec-a": {"nodeSelector": {"labels": {"x": "y"}}}},
    )
    assert any("may have given a task the selector of another" in note for note in read_pipeline(text).notes)


def test_alternatives_of_an_affinity_become_the_nodes_on_which_one_of_them_holds() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]} for zone in "ab"]
    constraints = read_pipeline(changed(configs={"exec-a": {"nodeAffinity": terms}})).tasks["a"].constraints
    nodes = [a_node(f"n-{zone}", labels={"zone": zone}) for zone in "abc"]
    (requirement,) = constraints.requirements_on(nodes)
    assert (requirement.label, requirement.values) == ("kubernetes.io/hostname", ("n-a", "n-b"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", "0.5"), ("2", "2"), ("1e3", "1000"), ("1Ki", "1024"), ("1.5Gi", "1610612736"), ("2G", "2000000000")],
)
def test_quantities_are_those_of_kubernetes(text: str, value: str) -> None:
    assert quantity(text) == __import__("decimal").Decimal(value)
    assert quantity("{{$.inputs.parameters['x']}}") is None


@pytest.mark.parametrize(
    "text",
    [
        "a: yes\nb: 012\nc: 1_000\nd: 1.5\ne: .inf\nf: ~\ng: 'x'\nh: \"\\u00e9\"\n",
        "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n",
        "a: !!str 1\nb: |\n  text\n  more\n--- \nc: 1\n...\n",
        "? a\n: - 1\n  - {b: c}\n1: 2\n",
    ],
)
def test_yaml_means_what_pyyaml_says_it_means(text: str) -> None:
    assert load_all(text).values == list(yaml.safe_load_all(text))


def test_what_begins_a_pipeline_that_is_the_exit_task_runs_whatever_happened_and_the_rest_waits_for_that() -> None:
    finished = {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}
    inside = {"dag": {"tasks": {"first": a_task("comp-a"), "second": a_task("comp-a", "first")}}}
    tasks = {"work": a_task("comp-a"), "cleanup": a_task("comp-cleanup", "work", **finished)}
    found = read_pipeline(a_pipeline(tasks, {"comp-a": {}, "comp-cleanup": inside})).tasks
    assert {path: (task.is_exit, task.waits_for) for path, task in found.items()} == {
        "work": (False, ()),
        "cleanup/first": (True, ("work",)),
        "cleanup/second": (False, ("cleanup/first",)),
    }


VALUES = [
    None,
    True,
    3,
    1.5,
    float("nan"),
    "",
    "10s",
    [],
    ["a"],
    [None],
    [3],
    {},
    {"a": "b"},
    {1: 2},
    {"a": None},
    b"x",
]


def test_the_quick_look_at_a_shape_is_never_content_with_what_the_close_one_refuses() -> None:
    content = 0
    for message, fields in FIELDS.items():
        for name in (*fields, "component_ref", "no such field", 7):
            for value in VALUES:
                for document in ({name: value}, {name: [value]}, {name: {"x": value}}, {name: {"x": {name: value}}}):
                    if is_of(document, message):
                        content += 1
                        assert list(_problems(document, message, "")) == [], (message, document)
    assert content > 500, "and it is content with what there is nothing to say of"
