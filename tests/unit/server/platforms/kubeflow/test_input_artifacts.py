"""Pipelines that take artifacts: a run is given their addresses, and the copy that is sent imports them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from server.components.parameters import resolve_parameters
from server.domain.errors import InvalidSubmissionError
from server.platforms.kubeflow.adopting import adopt
from server.platforms.kubeflow.compiler import importing, refusals_of
from server.platforms.kubeflow.placing import TaskPlacement, place_pipeline
from server.platforms.kubeflow.reading import read_pipeline
from server.testing.compiled import a_node, a_pipeline, a_task

TYPE = {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}


def taking(*, is_optional: bool = False, is_read: bool = True, **more: Any) -> str:
    """A pipeline whose first task reads an artifact that the pipeline is given, and which takes a number."""
    declared = {"artifactType": TYPE, **({"isOptional": True} if is_optional else {})}
    given = {"inputs": {"artifacts": {"data": {"componentInputArtifact": "table"}}}} if is_read else {}
    definitions = {"artifacts": {"table": declared}, "parameters": {"count": {"parameterType": "NUMBER_INTEGER"}}}
    tasks = {"a": a_task("comp-a", **given, **more), "b": a_task("comp-b", "a")}
    root = {"dag": {"tasks": tasks}, "inputDefinitions": definitions}
    taken = {"executorLabel": "exec-a", "inputDefinitions": {"artifacts": {"data": declared}}}
    return a_pipeline({}, {"comp-a": taken, "comp-b": {}}, root=root)


def test_the_address_is_a_parameter_that_a_run_needs_only_where_a_task_does() -> None:
    spec = adopt(taking(), "flow.yaml")
    assert not spec.parameters["table"].optional
    assert spec.parameters["table"].type == "str"
    assert resolve_parameters(spec, {"count": 1, "table": "s3://a/b"}) == {"count": 1, "table": "s3://a/b"}
    with pytest.raises(InvalidSubmissionError) as caught:
        resolve_parameters(spec, {"count": 1})
    [problem] = caught.value.details
    assert problem.startswith("parameter 'table' (str) is required and was not given")
    assert "the address of an artifact (system.Dataset)" in problem
    assert refusals_of(read_pipeline(taking())) == []
    for text in (taking(is_optional=True), taking(is_read=False)):
        assert adopt(text, "flow.yaml").parameters["table"].optional


def test_only_the_copy_that_is_sent_imports_it_and_all_else_stays() -> None:
    text = taking()
    pipeline = read_pipeline(text)
    assert importing(pipeline, {"count": 1, "table": None}) is pipeline
    sent = importing(pipeline, {"count": 1, "table": "s3://a/b"})
    assert pipeline.documents.pipeline == yaml.safe_load(text), "the original is not changed"
    assert list(sent.tasks) == ["import-table", "a", "b"]
    assert sent.tasks["import-table"].kind == "importer"
    assert sent.tasks["a"].waits_for == ("import-table",)
    document = copy.deepcopy(dict(sent.documents.pipeline))
    root = document["root"]
    assert root["inputDefinitions"]["parameters"]["table"]["parameterType"] == "STRING"
    assert "artifacts" not in root["inputDefinitions"]
    produced = {"taskOutputArtifact": {"outputArtifactKey": "artifact", "producerTask": "import-table"}}
    assert root["dag"]["tasks"]["a"]["inputs"]["artifacts"] == {"data": produced}
    before = yaml.safe_load(text)
    assert root["dag"]["tasks"]["b"] == before["root"]["dag"]["tasks"]["b"]
    assert document["components"]["comp-a"] == before["components"]["comp-a"]
    placed = place_pipeline(sent, {"a": TaskPlacement((a_node("one"),)), "b": TaskPlacement((a_node("two"),))})
    assert list(read_pipeline(placed.text).tasks) == list(sent.tasks)


def test_a_task_that_runs_whatever_happened_cannot_wait_for_an_importer() -> None:
    text = taking(triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"})
    [problem] = refusals_of(read_pipeline(text))
    assert problem.startswith("its input 'table' is an artifact that task a needs")
    assert "task a runs at the end whatever happened" in problem
    assert "table" not in adopt(text, "flow.yaml").parameters
    pipeline = read_pipeline(text)
    assert importing(pipeline, {"table": "s3://a/b"}) is pipeline
