"""Runs from all sides: lists and pages, one run, its end, its second try, and what its tasks left behind."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

MakeSpec = Callable[..., dict[str, Any]]
ReadProblem = Callable[..., dict[str, Any]]


async def all_pages(api: Any, **wanted: Any) -> list[str]:
    """Ids of all pages, newest first."""
    found, cursor = [], None
    while True:
        page = await api.get("/api/v1/runs", **wanted, **({} if cursor is None else {"cursor": cursor}))
        assert len(page["runs"]) <= wanted["limit"]
        found += [run["id"] for run in page["runs"]]
        cursor = page["next"]
        if cursor is None:
            return found


async def test_pages_show_every_run_once_newest_first(api: Any, make_spec: MakeSpec) -> None:
    made = [(await api.run(make_spec("paged", gpu=True)))["id"] for _ in range(11)]
    for limit in (1, 3, 10, 11, 500):
        assert await all_pages(api, name="paged", limit=limit) == made[::-1]


async def test_no_run_is_lost_or_shown_twice_while_new_ones_come(api: Any, make_spec: MakeSpec) -> None:
    made = [(await api.run(make_spec("growing", gpu=True)))["id"] for _ in range(7)]
    page = await api.get("/api/v1/runs", name="growing", limit=2)
    shown = [run["id"] for run in page["runs"]]
    while page["next"] is not None:
        await api.run(make_spec("growing", gpu=True))
        page = await api.get("/api/v1/runs", name="growing", limit=2, cursor=page["next"])
        shown += [run["id"] for run in page["runs"]]
    assert shown == made[::-1]


async def test_filters_hold_together(api: Any, make_spec: MakeSpec) -> None:
    held = await api.run(make_spec("sifted", gpu=True), options={"project": "red"})
    done = await api.run(make_spec("sifted"), options={"project": "blue"})
    done = await api.ended(done["id"])

    async def ids(**wanted: Any) -> set[str]:
        return {run["id"] for run in (await api.get("/api/v1/runs", name="sifted", **wanted))["runs"]}

    assert await ids() == {held["id"], done["id"]}
    assert await ids(project="red") == {held["id"]}
    assert await ids(state="succeeded") == {done["id"]}
    assert await ids(state=["succeeded", "waiting"]) == {held["id"], done["id"]}
    assert await ids(state="succeeded", project="red") == set()
    assert await ids(since=done["submitted_at"]) == {done["id"]}
    assert await ids(since="2100-01-01T00:00:00Z") == set()
    assert await ids(since="0001-01-01T00:00:00+14:00") == {held["id"], done["id"]}
    assert (await api.get("/api/v1/runs", name="nothing"))["runs"] == []


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("cursor=gone", 404, "the cursor 'gone' is not one of this list"),
        ("cursor=", 404, "start again without a cursor"),
        ("cursor=%00", 404, "start again without a cursor"),
        ("limit=0", 422, "query.limit: Input should be greater than or equal to 1"),
        ("limit=501", 422, "query.limit: Input should be less than or equal to 500"),
        ("limit=ten", 422, "query.limit: Input should be a valid integer"),
        ("state=sleeping", 422, "query.state.0: Input should be 'waiting'"),
        ("since=2026-01-31T12:00:00", 422, "query.since: Input should have timezone info"),
        ("since=yesterday", 422, "query.since: Input should be a valid datetime"),
    ],
)
async def test_a_list_that_cannot_be_made_is_refused(
    api: Any, read_problem: ReadProblem, query: str, status: int, says: str
) -> None:
    read_problem(await api.http.get(f"/api/v1/runs?{query}"), status, says)


async def test_a_run_tells_its_whole_story(two_tasks: dict[str, Any], api: Any) -> None:
    run = two_tasks
    assert (run["state"], [task["state"] for task in run["tasks"]]) == ("succeeded", ["succeeded"] * 2)
    assert run["tasks"][0]["outputs"] == {"output": {"value": "hello world"}}
    assert run["turnaround_seconds"] == pytest.approx(run["waiting_seconds"] + run["execution_seconds"], abs=1e-5)
    assert run["graph"]["tasks"]["train"]["waits_for"] == ["greet"]
    assert await api.get(f"/pipelines/{run['id']}") == run
    for task in run["tasks"]:
        (attempt,) = task["attempts"]
        assert attempt["actual_node"] == task["node"] == "quick"
        assert attempt["ready_at"] <= attempt["placed_at"] <= attempt["started_at"] <= attempt["finished_at"]


async def test_events_of_a_run_come_in_order_and_by_pages(two_tasks: dict[str, Any], api: Any) -> None:
    path = f"/api/v1/runs/{two_tasks['id']}/events"
    whole = (await api.get(path))["events"]
    assert whole[0]["kind"] == "run-submitted"
    assert whole[-1]["data"]["after"] == "succeeded"
    paged: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = await api.get(path, after=after, limit=4)
        paged, after = paged + page["events"], page["next"]
    assert paged == whole
    assert {event["run_id"] for event in whole} == {two_tasks["id"]}
    kinds = [event["kind"] for event in whole if event["task"] == "greet" and event["kind"] != "task-queued"]
    assert kinds == ["task-ready", "task-placed", "task-started", "task-succeeded"]


async def test_logs_continue_where_one_stopped(two_tasks: dict[str, Any], api: Any) -> None:
    path = f"/api/v1/runs/{two_tasks['id']}/logs"
    whole = await api.get(path, task="greet")
    assert whole == {"text": "greeting world\n", "next_offset": 15, "is_end": True, "attempt": 1, "node": "quick"}
    assert (await api.get(path, task="greet", offset=9))["text"] == "world\n"
    assert (await api.get(path, task="greet", attempt=1, offset=15))["text"] == ""
    assert (await api.get(path, task="greet", offset=2**62))["text"] == ""


async def test_a_long_log_comes_in_pieces_that_break_no_character(api: Any, make_spec: MakeSpec) -> None:
    source = "def greet(name: str) -> str:\n    print('x' + 'é' * 300_000)\n    return name\n"
    run = await api.ended((await api.run(make_spec("long", source)))["id"])
    text, offset, is_end = "", 0, False
    while not is_end:
        piece = await api.get(f"/api/v1/runs/{run['id']}/logs", task="greet", offset=offset)
        text, offset, is_end = text + piece["text"], piece["next_offset"], piece["is_end"]
    assert text == "x" + "é" * 300_000 + "\n"
    assert offset == 600_002


async def test_artifacts_are_listed_and_can_be_fetched(two_tasks: dict[str, Any], api: Any) -> None:
    found = (await api.get(f"/api/v1/runs/{two_tasks['id']}/artifacts"))["artifacts"]
    model, folder = sorted(found, key=lambda one: str(one["port"]))
    assert (model["task"], model["port"], model["type"], model["size_bytes"]) == ("train", "model", "Model", 11)
    assert model["metadata"] == {"accuracy": 0.9}
    content = await api.http.get(model["download"])
    assert (content.content, content.headers["content-type"]) == (b"hello world", "application/octet-stream")
    packed = await api.http.get(folder["download"])
    assert packed.headers["content-type"] == "application/x-tar"
    assert packed.headers["content-disposition"].endswith(f"''{folder['port']}.tar")
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as archive:
        assert sorted(archive.getnames()) == ["a.txt", "deep", "deep/b.txt"]
        member = archive.extractfile("deep/b.txt")
        assert member is not None
        assert member.read() == b"b"


async def test_what_a_task_was_given_can_be_had_elsewhere(two_tasks: dict[str, Any], api: Any) -> None:
    given = await api.get(f"/api/v1/runs/{two_tasks['id']}/launch", task="train")
    assert given["arguments"] == {"text": {"kind": "parameter", "value": "hello world"}}
    assert given["component"]["code"]["entrypoint"] == "train"


async def test_decisions_say_why(two_tasks: dict[str, Any], api: Any) -> None:
    path = f"/api/v1/runs/{two_tasks['id']}/decisions"
    found = (await api.get(path))["decisions"]
    assert [(one["task"], one["node"], one["strategy"]) for one in found] == [
        ("greet", "quick", "fifo_greedy"),
        ("train", "quick", "fifo_greedy"),
    ]
    assert all(one["reason"] for one in found)
    assert (await api.get(path, task="train"))["decisions"] == found[1:]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("logs", 422, "query.task: Field required"),
        ("logs?task=gone", 404, "its tasks are: greet, train"),
        ("logs?task=..", 422, "'..' is not a task of a run"),
        ("logs?task=greet.x", 422, "is not a task of a run"),
        ("logs?task=greet.0", 404, "has no task 'greet.0'"),
        ("logs?task=greet&attempt=2", 404, "has no attempt 2"),
        ("logs?task=greet&attempt=0", 422, "query.attempt"),
        ("logs?task=greet&offset=-1", 422, "query.offset"),
        ("logs?task=greet&offset=4611686018427387905", 422, "query.offset"),
        ("events?after=-1", 422, "query.after"),
        ("events?limit=10001", 422, "query.limit"),
        ("decisions?task=.", 422, "is not a task of a run"),
        ("artifacts/content?task=greet&port=output", 404, "has no artifact 'output'"),
        ("artifacts/content?task=train&port=../model", 404, "has no artifact"),
        ("artifacts/content?task=train", 422, "query.port: Field required"),
        ("launch?task=gone", 404, "has no task 'gone'"),
    ],
)
async def test_what_a_run_does_not_have_is_said(
    two_tasks: dict[str, Any], api: Any, read_problem: ReadProblem, path: str, status: int, says: str
) -> None:
    read_problem(await api.http.get(f"/api/v1/runs/{two_tasks['id']}/{path}"), status, says)


@pytest.mark.parametrize("run_id", ["gone", "..%2f..%2fetc%2fpasswd", "%00", "x" * 5000, "é", "'; drop table runs"])
async def test_a_run_that_is_not_there_is_a_problem_wherever_one_asks(
    api: Any, read_problem: ReadProblem, run_id: str
) -> None:
    paths = ["", *(f"/{part}" for part in ("events", "artifacts", "spec", "decisions", "logs?task=a", "launch?task=a"))]
    if "%2f" not in run_id:
        for path in paths:
            problem = read_problem(await api.http.get(f"/api/v1/runs/{run_id}{path}"), 404, "there is no run")
            assert problem["hint"] == "`mlopx runs` lists them"
        for path in ("cancel", "retry"):
            read_problem(await api.http.post(f"/api/v1/runs/{run_id}/{path}"), 404, "there is no run")
    read_problem(await api.http.get(f"/pipelines/{run_id}"), 404)


async def test_a_waiting_run_can_be_cancelled_once(api: Any, make_spec: MakeSpec, read_problem: ReadProblem) -> None:
    run = await api.run(make_spec(gpu=True))
    path = f"/api/v1/runs/{run['id']}/cancel"
    read_problem(await api.http.post(path, json={"why": "typo"}), 422, "body.why: Extra inputs are not permitted")
    answer = await api.http.post(path, json={"reason": "wrong data set"})
    assert (answer.status_code, answer.json()["id"]) == (202, run["id"])
    ended = await api.ended(run["id"])
    assert (ended["state"], ended["tasks"][0]["state"]) == ("cancelled", "cancelled")
    told = (await api.get(f"/api/v1/runs/{run['id']}/events"))["events"]
    assert "wrong data set" in [event["data"].get("reason") for event in told]
    read_problem(await api.http.post(path), 409, "is already cancelled")
    assert run["id"] not in [entry["run_id"] for entry in (await api.get("/api/v1/queue"))["tasks"]]


async def test_a_running_task_is_stopped_by_cancelling_its_run(api: Any, make_spec: MakeSpec) -> None:
    sleepy = "import time\n\n\ndef greet(name: str) -> str:\n    time.sleep(60)\n    return name\n"
    run = await api.run(make_spec("sleepy", sleepy))
    await api.when(run["id"], lambda found: found["tasks"][0]["state"] == "running")
    nodes = (await api.get("/api/v1/nodes"))["nodes"]
    assert {"run_id": run["id"], "task": "greet"} in [one for node in nodes for one in node["running"]]
    assert (await api.http.post(f"/api/v1/runs/{run['id']}/cancel")).status_code == 202
    assert (await api.ended(run["id"]))["state"] == "cancelled"


async def test_a_failed_run_says_why_and_is_run_again_from_where_it_broke(
    api: Any, make_spec: MakeSpec, read_problem: ReadProblem
) -> None:
    broken = make_spec("broken", "def greet(name: str) -> str:\n    raise ValueError('no such friend')\n")
    broken["components"]["first"] = {
        "name": "first",
        "code": {"kind": "function", "source": "def first() -> str:\n    return 'you'\n", "entrypoint": "first"},
        "outputs": {"output": {"kind": "parameter", "type": "str"}},
    }
    broken["tasks"]["first"] = {"component": "first", "cache": False}
    broken["tasks"]["greet"]["arguments"] = {"name": {"kind": "output", "task": "first", "port": "output"}}
    run = await api.ended((await api.run(broken))["id"])
    failed = next(task for task in run["tasks"] if task["key"] == "greet")
    assert run["state"] == "failed"
    assert "no such friend" in failed["attempts"][0]["error"]["message"]

    path = f"/api/v1/runs/{run['id']}/retry"
    read_problem(await api.http.post(path, json={"from_task": "gone"}), 404, "the pipeline has no task 'gone'")
    read_problem(await api.http.post(path, json={"spec": {}}), 422, "this is not a pipeline spec")
    read_problem(await api.http.post(path, json={"parameters": {"x": 1}}), 422, "parameter 'x' is not one of")
    read_problem(await api.http.post(path, json={"surprise": 1}), 422, "body.surprise")

    mended = {**broken, "components": {**broken["components"], "greet": make_spec()["components"]["greet"]}}
    answer = await api.http.post(path, json={"spec": mended})
    assert (answer.status_code, answer.json()["run"]["retry_of"]) == (202, run["id"])
    second = await api.ended(answer.json()["run"]["id"])
    tasks = {task["key"]: task for task in second["tasks"]}
    assert second["state"] == "succeeded"
    assert tasks["first"]["attempts"][0]["started_at"] is None
    assert tasks["greet"]["outputs"]["output"]["value"] == "hello you"

    answer = await api.http.post(f"/api/v1/runs/{second['id']}/retry", json={"from_task": "greet"})
    assert answer.json()["notes"] == []
    third = {task["key"]: task for task in (await api.ended(answer.json()["run"]["id"]))["tasks"]}
    assert third["first"]["attempts"][0]["started_at"] is None
    assert third["greet"]["attempts"][0]["started_at"] is not None, "asked for anew, it comes from no cache"


async def test_a_live_run_cannot_be_run_again(api: Any, make_spec: MakeSpec, read_problem: ReadProblem) -> None:
    run = await api.run(make_spec(gpu=True))
    problem = read_problem(await api.http.post(f"/api/v1/runs/{run['id']}/retry"), 409, "is still waiting")
    assert problem["hint"] == "cancel it first, or wait for its end"
    waiting = await api.http.get(f"/api/v1/runs/{run['id']}/logs", params={"task": "greet"})
    assert (waiting.json()["text"], waiting.json()["is_end"]) == ("", False)


async def test_a_run_without_an_offer_of_a_new_placement_is_not_replaced(
    api: Any, make_spec: Callable[..., dict[str, Any]], read_problem: Callable[..., dict[str, Any]]
) -> None:
    run = await api.run(make_spec(gpu=True))
    assert (await api.get(f"/api/v1/runs/{run['id']}"))["offer"] is None
    problem = read_problem(await api.http.post(f"/api/v1/runs/{run['id']}/replace"), 409, "there is no offer")
    assert "mlopx show" in problem["hint"]
