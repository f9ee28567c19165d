"""Pipelines of other systems at the door of a server that cannot run them, and requests that make no sense."""

from __future__ import annotations

from typing import Any

import pytest

COMPILED = """
pipelineInfo: {name: small}
schemaVersion: 2.1.0
root: {dag: {tasks: {one: {componentRef: {name: comp-one}}}}}
components: {comp-one: {executorLabel: exec-one}}
deploymentSpec: {executors: {exec-one: {container: {image: a}}}}
"""


async def test_the_local_platform_refuses_a_kubeflow_pipeline_and_says_why(api: Any) -> None:
    body = {"foreign": {"name": "small.yaml", "text": COMPILED}}
    for path in ("/api/v1/runs", "/api/v1/plan"):
        answer = await api.http.post(path, json=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert "small.yaml: the local platform cannot run a compiled pipeline of Kubeflow" in answer.json()["detail"]
    form = await api.http.post("/submit/", files={"spec": ("small.yaml", COMPILED.encode(), "application/yaml")})
    assert form.status_code == 422
    assert "small.yaml: the local platform" in form.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "there is no pipeline in it"),
        ({"foreign": {"name": "../p.yaml", "text": COMPILED}}, "is not a usable file name"),
        ({"foreign": {"text": COMPILED}, "spec": {"kind": "x"}}, "are two pipelines"),
    ],
)
async def test_a_request_needs_exactly_one_pipeline(api: Any, body: dict[str, Any], said: str) -> None:
    answer = await api.http.post("/api/v1/runs", json=body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


async def test_nobody_but_the_server_reads_a_foreign_document_into_a_spec(api: Any) -> None:
    spec = {
        "kind": "mlopx.PipelineSpec",
        "version": "1.0",
        "name": "forged",
        "components": {"one": {"name": "one", "code": {"kind": "foreign"}}},
        "tasks": {"one": {"component": "one"}},
        "foreign": {"format": "kubeflow", "file": "p.yaml", "text": COMPILED},
    }
    answer = await api.http.post("/api/v1/runs", json={"spec": spec})
    assert answer.status_code == 422
    assert "its tasks are read from the document" in answer.json()["detail"]


async def test_a_run_of_our_own_has_no_document(api: Any, make_spec: Any) -> None:
    run = await api.run(make_spec())
    answer = await api.http.get(f"/api/v1/runs/{run['id']}/document")
    assert answer.status_code == 404
    assert "was not submitted as a foreign document" in answer.json()["detail"]
