"""Whatever Kubeflow's own SDK compiles becomes a run of ours: the original beside the graph that was read from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
import yaml

from mlopx.spec import ConditionScope, Const, ForeignCode, LoopScope, Param, parse_spec, to_json
from server.domain.errors import InvalidSubmissionError
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.request import kubernetes_defaults, waiting_run
from server.domain.run import RunOptions
from server.domain.states import Binding
from server.platforms.kubeflow.adopting import adopt
from server.platforms.kubeflow.compiler import original
from server.platforms.kubeflow.reading import read_pipeline

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_feature_becomes_a_spec_with_the_original_to_the_letter(feature: str, compiled: dict[str, str]) -> None:
    text = compiled[feature]
    spec = adopt(text.encode(), "p.yaml")
    assert spec.foreign is not None
    assert spec.foreign.text == text
    assert parse_spec(to_json(spec)) == spec, "it is stored as JSON"
    pipeline = read_pipeline(text)
    assert sorted(spec.foreign.paths.values()) == sorted(pipeline.tasks), "every leaf is a task, once"
    assert list(spec.foreign.paths) == list(spec.tasks)
    placeable = {path for path, task in spec.tasks.items() if _code(spec, path).placeable}
    assert {spec.foreign.paths[path] for path in placeable} == {task.path for task in pipeline.placeable()}
    assert original(spec).pipeline.documents.pipeline == pipeline.documents.pipeline
    graph = compile_graph(spec)
    options = RunOptions(binding=Binding.AT_SUBMISSION)
    run = start_run("r", graph, parameters={}, options=options, at=AT).run
    asked = {task.key.path for task in waiting_run(run, kubernetes_defaults).tasks}
    assert asked == {path for path in placeable if not graph.loops[path]}, "strategies see what can be given a node"


def test_the_graph_keeps_order_loops_and_conditions(feature: str, compiled: dict[str, str]) -> None:
    spec = adopt(compiled[feature], "p.yaml")
    graph, pipeline = compile_graph(spec), read_pipeline(compiled[feature])
    assert spec.foreign is not None
    ours = {theirs: path for path, theirs in spec.foreign.paths.items()}
    for theirs, task in pipeline.tasks.items():
        path = ours[theirs]
        assert {ours[one] for one in task.waits_for} <= set(graph.waits_for[path])
        assert len(graph.loops[path]) == len(task.loops)
        assert len(graph.conditions[path]) == len(task.conditions)
        assert (spec.tasks[path].trigger == "all-done") is task.is_exit


def _code(spec: Any, path: str) -> ForeignCode:
    code = spec.components[spec.tasks[path].component].code
    assert isinstance(code, ForeignCode)
    return code


def test_parameters_are_those_of_the_document(compiled: dict[str, str]) -> None:
    spec = adopt(compiled["all_parameter_types"], "p.yaml")
    kinds = {parameter.type for parameter in spec.parameters.values()}
    assert kinds == {"str", "int", "float", "bool", "list", "dict"}


def test_loops_have_their_items_where_they_are_known(compiled: dict[str, str]) -> None:
    def items(name: str) -> list[Any]:
        spec = adopt(compiled[name], "p.yaml")
        return [scope.items for scope in spec.scopes.values() if isinstance(scope, LoopScope)]

    assert all(isinstance(one, Const) and len(one.value) > 1 for one in items("loop_over_constants"))
    assert [type(one) for one in items("loop_over_a_parameter")] == [Param]
    assert items("loop_over_an_output") == [Const(value=[None])], "one, until the run tells"


def test_what_a_task_is_given_is_seen_where_it_is_known_before_the_run(compiled: dict[str, str]) -> None:
    spec = adopt(compiled["dependent_tasks"], "p.yaml")
    assert Param(name="start") in [value for task in spec.tasks.values() for value in task.arguments.values()]
    nested = adopt(compiled["nested_five_deep"], "p.yaml")
    assert any(task.arguments for task in nested.tasks.values())


def test_copies_of_a_component_are_one_so_that_their_run_times_are_learnt_together(compiled: dict[str, str]) -> None:
    spec = adopt(compiled["nested_pipeline_twice"], "p.yaml")
    assert len(spec.components) < len(spec.tasks)


def test_resources_selectors_and_tolerations_are_read(compiled: dict[str, str]) -> None:
    asked = [task.resources for task in adopt(compiled["resources"], "p.yaml").tasks.values()]
    assert any(one.cpu_millicores and one.memory_bytes for one in asked)
    assert any(task.resources.accelerator for task in adopt(compiled["accelerator"], "p.yaml").tasks.values())
    assert any(task.requirements for task in adopt(compiled["node_selector"], "p.yaml").tasks.values())
    assert any(task.tolerations for task in adopt(compiled["tolerations"], "p.yaml").tasks.values())


def test_without_caching_nothing_else_changes(compiled: dict[str, str]) -> None:
    text = compiled["nested_five_deep"]
    spec = adopt(text, "p.yaml")
    tasks = {path: task.model_copy(update={"cache": False}) for path, task in spec.tasks.items()}
    edited = original(spec.model_copy(update={"tasks": tasks})).pipeline
    before, after = read_pipeline(text), edited
    assert any(task.is_cached for task in before.tasks.values())
    assert not any(task.is_cached for task in after.tasks.values())
    assert _stripped(before.documents.pipeline) == _stripped(after.documents.pipeline)


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(one) for key, one in value.items() if key != "cachingOptions"}
    return [_stripped(one) for one in value] if isinstance(value, list) else value


def test_names_that_are_none_of_ours_are_told_apart(compiled: dict[str, str]) -> None:
    document = yaml.safe_load(compiled["dependent_tasks"])
    tasks = document["root"]["dag"]["tasks"]
    first, second = list(tasks)[:2]
    text = json.dumps(document).replace(f'"{first}"', '"Train_1"').replace(f'"{second}"', '"train-1"')
    spec = adopt(text, "p.yaml")
    assert spec.foreign is not None
    assert {"Train_1", "train-1"} <= set(spec.foreign.paths.values())
    assert {"train-1", "train-1-2"} <= set(spec.tasks)


def test_a_parameter_may_have_a_name_that_python_does_not_know(compiled: dict[str, str]) -> None:
    text = compiled["dependent_tasks"].replace("start", "first-start")
    assert "first-start" in adopt(text, "p.yaml").parameters


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a: [", "cannot be read as YAML at line"),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n", "Argo workflow"),
        ("hello\n", "is no pipeline"),
        ("schemaVersion: 2.0.0\nroot: {}\n", "schemaVersion 2.0.0"),
    ],
)
def test_what_is_no_pipeline_is_refused_with_reason_and_place(text: str, said: str, sdk: ModuleType) -> None:
    with pytest.raises(InvalidSubmissionError, match=r"^p\.yaml: ") as caught:
        adopt(text, "p.yaml")
    assert said in str(caught.value)


def test_conditions_are_scopes_that_nobody_here_decides(compiled: dict[str, str]) -> None:
    spec = adopt(compiled["condition"], "p.yaml")
    [scope] = [one for one in spec.scopes.values() if isinstance(one, ConditionScope)]
    assert scope.when == ()
