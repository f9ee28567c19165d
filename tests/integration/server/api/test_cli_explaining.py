"""`mlopx explain` and `mlopx queue` in a terminal of 80 columns, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeSpec = Callable[..., dict[str, Any]]


async def test_explaining_a_task_begins_with_a_sentence_and_shows_the_candidates(
    api: Any, listening: Any, two_tasks: dict[str, Any], mlopx: Any
) -> None:
    async with listening(api) as url:
        text = await mlopx(url, "explain", two_tasks["id"], "greet")
        document = json.loads(await mlopx(url, "explain", two_tasks["id"], "greet", "--json"))
    assert text.startswith("greet ran on ")
    assert "the decision: fifo_greedy (version 1)" in text
    assert "chosen" in text
    assert "predicted" in text
    assert document == await api.get(f"/api/v1/runs/{two_tasks['id']}/explain/task", task="greet")


async def test_explaining_a_waiting_task_says_what_every_node_lacks(
    api: Any, listening: Any, make_spec: MakeSpec, mlopx: Any
) -> None:
    run = await api.run(make_spec(gpu=True))
    await api.held(run["id"])
    async with listening(api) as url:
        whole = await mlopx(url, "explain", run["id"])
        text = await mlopx(url, "explain", run["id"], "greet")
        queue = await mlopx(url, "queue")
    assert "greet waits for a new node" in whole
    assert "no end is predicted" in whole
    assert "too little nvidia.com/gpu (asks 1, the node has 0)" in text
    assert "position in the queue: " in text
    assert "no start is predicted until every task of a run has run here once" in queue


async def test_the_queue_reads_well_in_eighty_columns(api: Any, listening: Any, make_spec: MakeSpec) -> None:
    spec = make_spec(gpu=True)
    spec["tasks"]["later"] = {**spec["tasks"]["greet"], "after": ["greet"]}
    run = await api.run(spec)
    await api.held(run["id"])
    await api.explained(run["id"])
    async with listening(api) as url:
        text = await in_terminal(url, "queue")
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= 80
    head = next(index for index, line in enumerate(lines) if line.endswith(f"greet of {run['id']}"))
    said = lines[head + 1].lstrip()
    assert said.startswith("waits for a new node: it needs 1 CPU and 1 nvidia.com/gpu")
    assert f"  -  {run['id']}: 1 task waits for earlier ones" in lines


async def test_a_plan_says_when_each_task_starts_and_ends_in_eighty_columns(
    api: Any, listening: Any, two_tasks: dict[str, Any], two_task_spec: dict[str, Any], tmp_path: Path, mlopx: Any
) -> None:
    file = tmp_path / "churn.json"
    file.write_text(json.dumps(two_task_spec))
    async with listening(api) as url:
        text = await mlopx(url, "plan", str(file))
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= 80
    head = lines.index(next(line for line in lines if line.startswith("task ")))
    assert lines[head].split() == ["task", "node", "starts", "done"]
    assert re.match(r"greet +(quick|slow) +.*\d s", lines[head + 1])
    assert re.match(r"train +(quick|slow) +(now|[\d.]+ s.*) +~? ?[\d.]+ s", lines[head + 2])


def test_a_plan_names_what_is_not_placed(capsys: pytest.CaptureFixture[str]) -> None:
    from mlopx.cli.planning import _tasks

    held = {"run_id": "new", "task": "train", "reason": "waits for room that is held by others without a known end"}
    other = {"run_id": "old", "task": "load", "reason": "no node can run it"}
    at = "2026-01-31T12:00:00+00:00"
    _tasks({"at": at, "bars": [], "subject": "new", "unplaced": [held, other]})
    text = " ".join(capsys.readouterr().out.split())
    assert "not placed: train: waits for room that is held by others" in text
    assert "not placed: load of old: no node can run it" in text


async def test_what_can_never_run_is_refused_with_what_each_node_lacks(
    api: Any, listening: Any, make_spec: MakeSpec, mlopx: Any, tmp_path: Path
) -> None:
    file = tmp_path / "big.json"
    file.write_text(json.dumps(make_spec(task={"resources": {"cpu_millicores": 64000}})))
    async with listening(api) as url:
        text = await mlopx(url, "plan", str(file), code=4)
    assert "no node of the cluster could ever run this task" in text
    assert "node quick: too little cpu (asks 64, the node has 2)" in text


async def test_the_latest_run_is_meant_where_none_is_named(
    api: Any, listening: Any, make_spec: MakeSpec, mlopx: Any
) -> None:
    run = await api.ended((await api.run(make_spec(task={"cache": False})))["id"])
    async with listening(api) as url:
        shown = await mlopx(url, "show")
        watched = await mlopx(url, "watch")
        explained = await mlopx(url, "explain")
    assert run["id"] in shown.splitlines()[0]
    assert run["id"] in watched
    assert explained.rstrip().endswith(f"mlopx explain {run['id']} TASK")
    assert max(len(line) for line in (shown + explained).splitlines()) <= 80


async def test_a_watched_run_is_told_as_json_lines(api: Any, listening: Any, make_spec: MakeSpec, mlopx: Any) -> None:
    run = await api.run(make_spec(task={"cache": False}))
    async with listening(api) as url:
        lines = [json.loads(line) for line in (await mlopx(url, "watch", run["id"], "--json")).splitlines()]
    assert lines[0]["kind"] == "run-submitted"
    assert "task-succeeded" in [line["kind"] for line in lines[:-1]]
    assert lines[-1]["run"]["state"] == "succeeded"
    assert lines[-1]["run"]["id"] == run["id"]


async def in_terminal(url: str, *arguments: str) -> str:
    """What the command prints in a terminal of eighty columns, without colours."""
    ours, its = os.openpty()
    environment = {**os.environ, "MLOPX_URL": url, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mlopx", *arguments, stdout=its, env=environment
    )
    os.close(its)
    found = b""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while chunk := await asyncio.to_thread(os.read, ours, 65536):
            found += chunk
    os.close(ours)
    assert await process.wait() == 0
    return found.decode()


async def test_two_runs_are_compared(api: Any, listening: Any, make_spec: MakeSpec, mlopx: Any) -> None:
    first = await api.ended((await api.run(make_spec(task={"cache": False})))["id"])
    other = make_spec(source="def greet(name: str) -> str:\n    return 'bye ' + name\n", task={"cache": False})
    second = await api.ended((await api.run(other, parameters={"name": "moon"}))["id"])
    async with listening(api) as url:
        text = await mlopx(url, "compare", first["id"], second["id"])
        document = json.loads(await mlopx(url, "compare", first["id"], second["id"], "--json"))
    assert "-    return 'hello ' + name" in text
    assert "+    return 'bye ' + name" in text
    assert document["parameters"] == [{"name": "name", "first": "world", "second": "moon", "differs": True}]
    assert document["values and figures"][0]["second"] == "bye moon"
    assert max(len(line) for line in text.splitlines()) <= 200


async def test_a_watched_run_shows_what_is_to_come(api: Any, make_spec: MakeSpec, latch: Any) -> None:
    from rich.console import Console

    from mlopx.cli.watching import picture

    spec = make_spec(source=latch.source(2.0), task={"cache": False})
    latch.open()
    await api.ended((await api.run(spec))["id"])
    latch.shut()
    run = await api.run(spec)
    await api.when(run["id"], lambda run: run["tasks"][0]["state"] == "running")
    explained = await api.foretold(run["id"])
    detail, nodes = await api.get(f"/api/v1/runs/{run['id']}"), (await api.get("/api/v1/nodes"))["nodes"]
    out = Console(width=80, file=io.StringIO())
    with out.capture() as captured:
        out.print(picture(detail, nodes, 80, explained))
    text = captured.get()
    assert "done in " in text or "done within " in text
    assert ". = expected" in text
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    latch.open()
    await api.ended(run["id"])


async def test_showing_a_run_warns_of_memory_that_nobody_uses(
    serve: Any, listening: Any, make_spec: MakeSpec, mlopx: Any
) -> None:
    modest = (
        "def greet(name: str) -> str:\n    held = bytearray(64 << 20)\n    held[::4096] = b'x' * len(held[::4096])\n"
    )
    needs = {"memory_bytes": 960 << 20, "cpu_millicores": 100}
    async with serve() as api:
        run = await api.run(make_spec(source=modest + "    return name\n", task={"cache": False, "resources": needs}))
        await api.ended(run["id"])
        async with asyncio.timeout(60):  # what a run used is learnt beside its end
            while not (await api.get(f"/api/v1/runs/{run['id']}/explain"))["warnings"]:
                await asyncio.sleep(0.05)
        async with listening(api) as url:
            text = await mlopx(url, "show", run["id"])
    assert "warning: greet asks for 960 MiB of memory and keeps others from it" in " ".join(text.split())
