"""The API's description: every operation has an example, each is true, and the server keeps to it whatever is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mlopx.spec import parse_spec
from server.api.app import build_app
from server.api.description import ANSWERS, BODIES, operations
from server.api.examples import RUN_ID

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def nowhere() -> Any:
    raise AssertionError("describing the API starts no server")


DOCUMENT = build_app(nowhere).openapi()
OPERATIONS = {name: operation for name, _, operation in operations(DOCUMENT)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_shows_what_is_sent_and_what_comes_back(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"]
    sent = operation.get("requestBody", {"content": {}})["content"]
    assert all(body["example"] for body in sent.values())
    for status, answer in operation["responses"].items():
        assert answer["description"]
        examples = [one["example"] for one in answer["content"].values() if "example" in one]
        assert examples, status
        if not status.startswith("2") and name != "GET /readyz":
            assert list(answer["content"]) == ["application/problem+json"]
            assert examples[0]["status"] == int(status)


def test_there_are_examples_for_operations_that_are_there_and_no_others() -> None:
    assert set(ANSWERS) == set(OPERATIONS)
    assert set(BODIES) == {name for name, one in OPERATIONS.items() if "requestBody" in one}


def test_the_problem_document_is_described_as_rfc_9457_wants_it() -> None:
    problem = DOCUMENT["components"]["schemas"]["Problem"]
    assert {"type", "title", "status", "detail"} <= set(problem["required"])
    Draft202012Validator(problem).validate(problem["example"])
    assert "HTTPValidationError" not in json.dumps(DOCUMENT)


KEYED_BY_DATA = (".totals.others",)
"""Objects whose keys are what was counted, not names of the API."""


def shape(value: Any, other: Any, place: str = "answer") -> None:
    """Fail where two JSON values are built differently; null stands for anything, an empty list or object too."""
    if value is None or other is None:
        return
    if isinstance(value, int | float) and isinstance(other, int | float):
        assert isinstance(value, bool) == isinstance(other, bool), place
        return
    assert type(value) is type(other), place
    if isinstance(value, dict) and value and other and not place.endswith(KEYED_BY_DATA):
        assert set(value) == set(other), place
        for key in value:
            shape(value[key], other[key], f"{place}.{key}")
    if isinstance(value, list) and value and other:
        shape(value[0], other[0], f"{place}[0]")


async def test_the_examples_are_built_like_the_real_answers(
    serve: Any, two_task_spec: dict[str, Any], make_spec: Callable[..., dict[str, Any]]
) -> None:
    spec = two_task_spec
    train = {**spec["components"]["train"], "outputs": {"model": spec["components"]["train"]["outputs"]["model"]}}
    source = "def train(text, model):\n    open(model.path, 'w').write(text)\n    model.metadata['accuracy'] = 0.9\n"
    train["code"] = {**train["code"], "source": source}
    spec = {**spec, "components": {**spec["components"], "train": train}}
    async with serve() as api:
        taken = await api.http.post("/api/v1/runs", json={"spec": spec})
        run = await api.ended(taken.json()["run"]["id"])
        held = await api.run(make_spec(gpu=True))
        await api.held(held["id"])
        kept = await api.http.post("/api/v1/schedules", json=BODIES["POST /api/v1/schedules"])
        registered = await api.http.post("/api/v1/datasets", json=BODIES["POST /api/v1/datasets"])
        dataset = registered.json()["name"]
        await api.http.post(f"/api/v1/datasets/{dataset}/copies/quick")
        real = {"POST /api/v1/runs": taken.json(), "POST /api/v1/schedules": kept.json()}
        for name in ANSWERS:
            method, path = name.split(" ", 1)
            path = path.replace("{run_id}", run["id"]).replace("{pipeline_id}", run["id"])
            path = path.replace("/schedules/{name}", "/schedules/nightly")
            path = path.replace("/datasets/{name}", f"/datasets/{dataset}")
            if (
                method == "GET"
                and path not in ("/metrics", "/api/v1/events")
                and not path.endswith(("/content", "/document", "/shadows/{name}"))
            ):
                real[name] = await api.get(
                    path, **({"task": "greet"} if path.endswith(("/logs", "/launch", "/explain/task")) else {})
                )
        form = [("spec", ("spec.json", json.dumps(BODIES["POST /api/v1/runs"]["spec"]).encode()))]
        data = {key: BODIES["POST /submit/"][key] for key in ("parameters", "options")}
        real["POST /submit/"] = (await api.http.post("/submit/", files=form, data=data)).json()
        planned = await api.http.post("/api/v1/plan", json=BODIES["POST /api/v1/plan"])
        assert planned.status_code == 200, planned.text
        real["POST /api/v1/plan"] = planned.json()
        base = "POST /api/v1/runs/{run_id}"
        for name, one in ((f"{base}/cancel", held["id"]), (f"{base}/retry", run["id"])):
            path = name.split(" ")[1].replace("{run_id}", one)
            answer = await api.http.post(path, json=BODIES[name])
            assert answer.status_code == 202, answer.text
            real[name] = answer.json()
        del real["GET /api/v1/runs/{run_id}/spec"]
        real["GET /"]["runs"] = ANSWERS["GET /"]["runs"]
        for name, found in real.items():
            shape(ANSWERS[name], found, name)


def test_the_examples_that_are_text_can_be_read() -> None:
    assert [family.name for family in text_string_to_metric_families(ANSWERS["GET /metrics"])] == ["mlopx_runs"]
    data = ANSWERS["GET /api/v1/events"].split("data: ")[1]
    assert json.loads(data)["run_id"] == RUN_ID
    assert parse_spec(json.dumps(ANSWERS["GET /api/v1/runs/{run_id}/spec"])).name == "hello"


schema = schemathesis.openapi.from_dict(DOCUMENT).exclude(path="/api/v1/events")
"""Without the stream, which never ends by itself."""


@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_server_keeps_to_its_description(
    case: schemathesis.Case, api_in_a_thread: tuple[str, dict[str, str]]
) -> None:
    url, real = api_in_a_thread
    case.call_and_validate(base_url=url, checks=CHECKS)
    if case.path_parameters:
        case.path_parameters.update(dict.fromkeys(case.path_parameters, real["run"]))
        if "task" in case.query:
            case.query["task"] = real["task"]
        case.call_and_validate(base_url=url, checks=CHECKS)


@pytest.fixture(scope="module")
def api_in_a_thread(
    tmp_path_factory: pytest.TempPathFactory, two_task_spec: dict[str, Any], serving_at: Any, listening: Any
) -> Iterator[tuple[str, dict[str, str]]]:
    """A server behind a real socket while this thread sends, with a run that has ended."""
    folder = tmp_path_factory.mktemp("fuzzed")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving_at(folder)) as api,
        portal.wrap_async_context_manager(listening(api)) as url,
    ):

        async def one_run() -> str:
            ended = await api.ended((await api.run(two_task_spec))["id"])
            return str(ended["id"])

        yield url, {"run": portal.call(one_run), "task": "greet"}
