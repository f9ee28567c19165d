"""What comes in at the door: usable pipelines are taken, everything else is refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

MakeSpec = Callable[..., dict[str, Any]]
ReadProblem = Callable[..., dict[str, Any]]
JSON = {"Content-Type": "application/json"}


def form(spec: Any, *more: tuple[str, tuple[str, bytes]]) -> list[tuple[str, tuple[str, bytes]]]:
    text = spec if isinstance(spec, bytes) else json.dumps(spec).encode()
    return [("spec", ("spec.json", text)), *more]


async def test_a_pipeline_is_taken_by_either_door_and_runs(api: Any, make_spec: MakeSpec) -> None:
    by_json = await api.http.post("/api/v1/runs", json={"spec": make_spec(), "parameters": {"name": "json"}})
    source = make_spec()["components"]["greet"]["code"]["source"].encode()
    by_form = await api.http.post(
        "/submit/",
        files=form(
            make_spec(),
            ("components", ("greet.py", source)),
            ("metadata", ("metadata.json", b'{"components_type": {"greet": "training"}}')),
        ),
        data={"parameters": '{"name": "form"}', "options": '{"priority": 7, "labels": {"team": "blue"}}'},
    )
    assert (by_json.status_code, by_form.status_code) == (202, 202)
    first = await api.ended(by_json.json()["run"]["id"])
    second = await api.ended(by_form.json()["run_id"])
    assert [run["tasks"][0]["outputs"]["output"]["value"] for run in (first, second)] == ["hello json", "hello form"]
    assert (second["priority"], second["labels"]) == (7, {"team": "blue"})
    assert by_json.json()["link"] == f"/api/v1/runs/{first['id']}"
    spec = await api.get(f"/api/v1/runs/{second['id']}/spec")
    assert spec["tasks"]["greet"]["hints"]["task_kind"] == "training"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "body: Field required"),
        (b"\x00garbage", "cannot be read as JSON: Expecting value: line 1 column 1"),
        (b'{"spec": "\xff"}', "not UTF-8 text at byte 10"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[]", "valid dictionary"),
        (b"null", "valid dictionary"),
        (b'"text"', "valid dictionary"),
        (b"{}", "there is no pipeline in it"),
        (b'{"spec": 1}', "body.spec"),
        (b'{"spec": {}}', "this is not a pipeline spec"),
        (b'{"spec": {}, "spec": {}}', "'spec' stands twice in one object"),
        (b'{"spec": {}, "more": 1}', "body.more: Extra inputs are not permitted"),
        (b'{"spec": {}, "parameters": {"x": NaN}}', "NaN is no number"),
        (b'{"spec": {}, "parameters": {"x": 1e999}}', "the number 1e999 is too large"),
        (b'{"spec": {}, "parameters": {"x": "\\ud800"}}', "half of a character"),
    ],
)
async def test_a_body_that_is_no_submission_is_refused(
    api: Any, read_problem: ReadProblem, body: bytes, says: str
) -> None:
    before = sum((await api.get("/"))["runs"].values())
    read_problem(await api.http.post("/api/v1/runs", content=body, headers=JSON), 422, says)
    assert sum((await api.get("/"))["runs"].values()) == before


@pytest.mark.parametrize("media", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_json_that_does_not_call_itself_json_is_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem, media: str | None
) -> None:
    headers = {} if media is None else {"Content-Type": media}
    body = json.dumps({"spec": make_spec()}).encode()
    read_problem(await api.http.post("/api/v1/runs", content=body, headers=headers), 422)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (b"", "cannot be read as JSON"),
        (b"\x00garbage", "cannot be read as JSON"),
        (b"\xff\xfe\xfa", "cannot be read as JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[]", "this is not a pipeline spec"),
        (b"3", "this is not a pipeline spec"),
        (b"{}", 'it has no \\"kind\\"'),
    ],
)
async def test_a_form_without_a_spec_in_it_is_refused(
    api: Any, read_problem: ReadProblem, spec: bytes, says: str
) -> None:
    read_problem(await api.http.post("/submit/", files=form(spec)), 422, says)


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"", "multipart/form-data; boundary=a", 422),
        (b"garbage", "multipart/form-data; boundary=a", 400),
        (b"garbage", "multipart/form-data", 400),
        (b"{}", "application/json", 422),
        (b"spec=1", "application/x-www-form-urlencoded", 422),
    ],
)
async def test_what_is_no_form_is_refused(
    api: Any, read_problem: ReadProblem, content: bytes, media: str, status: int
) -> None:
    read_problem(await api.http.post("/submit/", content=content, headers={"Content-Type": media}), status)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": "2.0"}, "is of version 2.0; this side reads 1.x"),
        ({"version": "100.3"}, "upgrade the server"),
        ({"version": "0.9"}, "rebuild it with a current library"),
        ({"version": 1.0}, "no readable version"),
        ({"kind": "Workflow"}, "this is not a pipeline spec"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"name": "Not A Name"}, "name: String should match pattern"),
        ({"tasks": {}}, "tasks: Dictionary should have at least 1 item"),
        ({"tasks": {"greet": {"component": "gone"}}}, "gone"),
        ({"task": {"surprise": 1}}, "tasks.greet.surprise: Extra inputs are not permitted"),
        ({"task": {"arguments": {}}}, "name"),
        ({"task": {"arguments": {"name": {"kind": "const", "value": 3}}}}, "expects str"),
        ({"task": {"after": ["greet"]}}, "in a circle: greet -> greet"),
        (
            {"task": {"arguments": {"name": {"kind": "output", "task": "greet", "port": "output"}}}},
            "in a circle: greet -> greet",
        ),
        ({"task": {"requirements": [{"label": "n", "operator": "Gt", "values": ["--5"]}]}}, "exactly one integer"),
        ({"exit_task": "gone"}, "gone"),
        ({"run": {"deadline_seconds": 1e300}}, "outside the calendar"),
    ],
)
async def test_a_spec_that_cannot_be_used_is_refused_with_the_place(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem, changes: dict[str, Any], says: str
) -> None:
    spec = make_spec(**changes)
    for answer in (
        await api.http.post("/api/v1/runs", json={"spec": spec}),
        await api.http.post("/submit/", files=form(spec)),
    ):
        assert read_problem(answer, 422, says)["type"].endswith("/invalid-submission")


async def test_a_newer_minor_version_is_taken_as_far_as_it_can_be_read(api: Any, make_spec: MakeSpec) -> None:
    assert (await api.run(make_spec(version="1.9")))["state"] == "waiting"


async def test_a_component_without_its_source_is_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem
) -> None:
    spec = make_spec()
    del spec["components"]["greet"]["code"]["source"]
    says = "components.greet.code.function.source: Field required"
    read_problem(await api.http.post("/api/v1/runs", json={"spec": spec}), 422, says)
    spec["components"]["greet"]["code"]["source"] = "  \n"
    says = "components.greet: its code has no source"
    read_problem(await api.http.post("/api/v1/runs", json={"spec": spec}), 422, says)


async def test_two_components_with_one_name_are_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem
) -> None:
    text = json.dumps(make_spec())
    component = json.dumps(make_spec()["components"]["greet"])
    twice = text.replace('"components": {', f'"components": {{"greet": {component}, ').encode()
    says = "'greet' stands twice in one object"
    read_problem(await api.http.post("/submit/", files=form(twice)), 422, says)
    read_problem(await api.http.post("/api/v1/runs", content=b'{"spec": %s}' % twice, headers=JSON), 422, says)
    spec = make_spec()
    spec["components"]["other"] = spec["components"]["greet"]
    read_problem(await api.http.post("/submit/", files=form(spec)), 422, "components.other: is named 'greet' inside")
    files = form(make_spec(), ("components", ("a.py", b"1")), ("components", ("a.py", b"2")))
    read_problem(await api.http.post("/submit/", files=files), 422, "two different component files are called 'a.py'")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../greet.py", "not a usable file name"),
        ("a/../../greet.py", "not a usable file name"),
        ("..", "not a usable file name"),
        ("/etc/passwd", "not a usable file name"),
        ("a\\..\\greet.py", "not a usable file name"),
        ("x" * 300 + ".py", "has 303 characters; at most 255"),
    ],
)
async def test_a_file_name_that_leads_elsewhere_is_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem, name: str, says: str
) -> None:
    files = form(make_spec(), ("components", (name, b"pass")))
    read_problem(await api.http.post("/submit/", files=files), 422, says)
    body = {"spec": make_spec(), "sources": {name: "pass"}}
    read_problem(await api.http.post("/api/v1/runs", json=body), 422, says)
    assert not [path for path in api.state.parent.rglob("*") if "passwd" in path.name or path.name == "greet.py"]


async def test_more_files_than_anybody_needs_are_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem
) -> None:
    many = [("components", (f"c{number}.py", b"pass")) for number in range(501)]
    read_problem(await api.http.post("/submit/", files=form(make_spec(), *many)), 422, "at most 500 are taken")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "parameter 'rows' (int) is required and was not given"),
        ({"rows": "many"}, "parameter 'rows' expects int, but 'many' was given"),
        ({"rows": True}, "parameter 'rows' expects int, but True was given"),
        ({"rows": None}, "parameter 'rows' expects int, but None was given"),
        ({"rows": 1, "rwos": 2}, "parameter 'rwos' is not one of this pipeline's (name, rows)"),
    ],
)
async def test_parameters_that_do_not_fit_are_all_named(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem, parameters: dict[str, Any], says: str
) -> None:
    spec = make_spec(parameters={**make_spec()["parameters"], "rows": {"type": "int"}})
    body = {"spec": spec, "parameters": parameters}
    assert says in read_problem(await api.http.post("/api/v1/runs", json=body), 422)["details"]
    answer = await api.http.post("/submit/", files=form(spec), data={"parameters": json.dumps(parameters)})
    assert says in read_problem(answer, 422)["details"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"parameters": "[1]"}, "parameters must be a JSON object, not list"),
        ({"parameters": "x=1"}, "parameters cannot be read as JSON"),
        ({"parameters": '{"a": NaN}'}, "NaN is no number"),
        ({"options": "3"}, "options must be a JSON object, not int"),
        ({"options": '{"prio": 1}'}, "prio: Extra inputs are not permitted"),
        ({"options": '{"priority": 5000}'}, "priority: Input should be less than or equal to 1000"),
        ({"options": '{"deadline_at": "2026-01-31T12:00:00"}'}, "needs a time zone"),
        ({"options": '{"deadline_at": "9999-12-31T23:59:59-14:00"}'}, "outside the calendar"),
        ({"options": '{"deadline_seconds": 1e300}'}, "outside the calendar"),
        ({"options": '{"deadline_seconds": 0}'}, "deadline_seconds: Input should be greater than 0"),
    ],
)
async def test_parameters_and_options_of_a_form_are_checked(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem, data: dict[str, str], says: str
) -> None:
    read_problem(await api.http.post("/submit/", files=form(make_spec()), data=data), 422, says)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (b"[]", "metadata must be a JSON object, not list"),
        (b'{"modell": {}}', "the metadata has unknown entries: modell"),
        (b'{"components_type": ["greet"]}', "components_type in the metadata must be an object, not list"),
        (b'{"components_type": {"greet": "baking"}}', "task_kind: Input should be"),
        (b'{"dataset": 5}', "the metadata is wrong"),
    ],
)
async def test_metadata_that_cannot_be_used_is_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem, metadata: bytes, says: str
) -> None:
    files = form(make_spec(), ("metadata", ("metadata.json", metadata)))
    read_problem(await api.http.post("/submit/", files=files), 422, says)


@pytest.mark.parametrize(
    ("task", "needs"),
    [
        (
            {"resources": {"cpu_millicores": 64_000}},
            [
                "node quick: too little cpu (asks 64, the node has 2)",
                "node slow: too little cpu (asks 64, the node has 1)",
            ],
        ),
        (
            {"resources": {"accelerator": {"accelerator": "nvidia.com/gpu"}}},
            ["nodes quick, slow: too little nvidia.com/gpu (asks 1, the node has 0)"],
        ),
        ({"node": "mars"}, ["nodes quick, slow: the task asks for node mars"]),
        (
            {"requirements": [{"label": "zone", "values": ["mars"]}]},
            ["nodes quick, slow: label zone In (mars) does not hold"],
        ),
    ],
)
async def test_a_task_that_no_node_can_ever_hold_is_refused_at_once_with_need_and_nodes(
    fixed: Any, make_spec: MakeSpec, read_problem: ReadProblem, task: dict[str, Any], needs: list[str]
) -> None:
    problem = read_problem(await fixed.http.post("/api/v1/runs", json={"spec": make_spec(task=task)}), 422)
    assert problem["type"].endswith("/unplaceable")
    assert problem["details"] == ["task greet: " + "; ".join(needs)]
    assert (await fixed.get("/"))["runs"] == {}


async def test_where_a_node_group_can_grow_the_task_is_held_with_that_reason(api: Any, make_spec: MakeSpec) -> None:
    run = await api.held((await api.run(make_spec(gpu=True)))["id"])
    assert run["state"] == "waiting"
    assert run["tasks"][0]["hold"].startswith("waits for a new node of group rented")
    queue = (await api.get("/api/v1/queue"))["tasks"]
    assert run["tasks"][0]["hold"] in [entry["hold"] for entry in queue if entry["run_id"] == run["id"]]


async def test_what_even_the_node_group_cannot_hold_is_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem
) -> None:
    spec = make_spec(task={"resources": {"cpu_millicores": 64_000}})
    says = "node rented: too little cpu (asks 64, the node has 8)"
    read_problem(await api.http.post("/api/v1/runs", json={"spec": spec}), 422, says)


async def test_what_the_platform_cannot_do_is_refused(api: Any, make_spec: MakeSpec, read_problem: ReadProblem) -> None:
    spec = make_spec()
    spec["components"]["greet"]["code"] = {"kind": "container", "command": ["true"]}
    spec["components"]["greet"]["image"] = "busybox"
    spec["components"]["greet"]["outputs"] = {}
    says = "the local platform runs Python functions, not containers"
    read_problem(await api.http.post("/api/v1/runs", json={"spec": spec}), 422, says)


async def test_one_idempotency_key_makes_one_run_by_either_door(api: Any, make_spec: MakeSpec) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.http.post("/api/v1/runs", json={"spec": make_spec("once")}, headers=headers)
    again = await api.http.post("/api/v1/runs", json={"spec": make_spec("once")}, headers=headers)
    by_form = await api.http.post("/submit/", files=form(make_spec("once")), headers=headers)
    assert first.status_code == again.status_code == by_form.status_code == 202
    assert first.json()["run"]["id"] == again.json()["run"]["id"] == by_form.json()["run_id"]
    assert len((await api.get("/api/v1/runs", name="once"))["runs"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"spec": "other"},
        {"parameters": {"name": "other"}},
        {"options": {"priority": 5}},
        {"options": {"project": "other"}},
        {"options": {"labels": {"team": "other"}}},
        {"options": {"is_caching": False}},
    ],
)
async def test_an_idempotency_key_for_something_else_is_a_conflict(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem, change: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": repr(change)}
    body = {"spec": make_spec("one")}
    first = await api.http.post("/api/v1/runs", json=body, headers=headers)
    changed = {**body, **change, **({"spec": make_spec("two")} if "spec" in change else {})}
    answer = await api.http.post("/api/v1/runs", json=changed, headers=headers)
    assert first.json()["run"]["id"] in read_problem(answer, 409)["detail"]


async def test_an_idempotency_key_without_end_is_refused(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem
) -> None:
    headers = {"Idempotency-Key": "k" * 256}
    answer = await api.http.post("/api/v1/runs", json={"spec": make_spec()}, headers=headers)
    read_problem(answer, 422, "header.Idempotency-Key: String should have at most 255 characters")


async def test_a_body_over_the_limit_is_cut_off_whatever_it_says_of_its_size(
    serve: Any, make_spec: MakeSpec, read_problem: ReadProblem
) -> None:
    async def pieces() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="spec"; filename="spec.json"\r\n\r\n'
        for _ in range(20):
            yield b"x" * 10_000

    async with serve(max_upload_bytes=100_000) as api:
        fits = form(make_spec(), ("components", ("greet.py", b"#" * 90_000)))
        assert (await api.http.post("/submit/", files=fits)).status_code == 202
        large = form(make_spec(), ("components", ("greet.py", b"#" * 110_000)))
        for answer in (
            await api.http.post("/submit/", files=large),
            await api.http.post("/api/v1/runs", content=pieces(), headers=JSON),
            await api.http.post(
                "/submit/", content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"}
            ),
        ):
            read_problem(answer, 413, "the request is larger than")
