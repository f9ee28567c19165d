"""Explanations over HTTP: what waits, what runs and what is over, each in a sentence with its evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

MakeSpec = Callable[..., dict[str, Any]]
SLEEP = "def greet(name: str) -> str:\n    import time\n    time.sleep({})\n    return name\n"


async def explained(api: Any, run: str, task: str = "greet") -> dict[str, Any]:
    found: dict[str, Any] = await api.get(f"/api/v1/runs/{run}/explain/task", task=task)
    return found


async def test_a_task_that_needs_what_no_node_has_says_so_and_what_each_node_lacks(
    api: Any, make_spec: MakeSpec
) -> None:
    run = await api.run(make_spec(gpu=True))
    await api.held(run["id"])
    found = await explained(api, run["id"])
    assert found["waiting"]["kind"] == "growth"
    assert found["sentence"].startswith("greet waits for a new node: it needs 1 CPU and 1 nvidia.com/gpu")
    verdicts = {one["node"]: one for one in found["nodes"]}
    assert verdicts["rented"]["verdict"] == "not-there-yet"
    assert (verdicts["slow"]["verdict"], verdicts["slow"]["kind"]) == ("never", "request")
    assert verdicts["slow"]["missing"] == [{"request": "nvidia.com/gpu", "asks": 1, "has": 0}]
    assert found["position"] >= 1
    whole = await api.get(f"/api/v1/runs/{run['id']}/explain")
    assert whole["sentence"].startswith("hello: greet waits for a new node")
    assert (whole["ends"], whole["position"]) == (None, found["position"])
    assert whole["why_no_eta"]


async def test_a_task_behind_others_waits_for_room_and_a_later_one_for_its_upstream(
    serve: Any, make_spec: MakeSpec, two_task_spec: dict[str, Any]
) -> None:
    async with serve() as api:
        big = {"resources": {"cpu_millicores": 2000}, "cache": False}
        first = await api.run(make_spec(source=SLEEP.format(300), task=big))
        await api.when(first["id"], lambda run: run["tasks"][0]["state"] == "running")
        tasks = two_task_spec["tasks"]
        second = await api.run({**two_task_spec, "tasks": {**tasks, "greet": {**tasks["greet"], **big}}})
        await api.held(second["id"])
        running, held = await explained(api, first["id"]), await explained(api, second["id"])
        later = await explained(api, second["id"], "train")
        assert running["sentence"].startswith("greet runs on quick since ")
        assert "the only node that can run it (slow: too little cpu (asks 2, the node has 1))" in running["sentence"]
        assert held["sentence"].startswith("greet waits for room on quick")
        assert "1 of 3 nodes can run it, and quick is busy" in held["sentence"] or "2 of 3 nodes" in held["sentence"]
        assert held["waiting"]["kind"] == "capacity"
        assert held["actions"][0]["command"] == "mlopx plan --add-node quick"
        busy = next(one for one in held["nodes"] if one["node"] == "quick")
        assert (busy["verdict"], busy["missing"]) == ("busy", [{"request": "cpu", "asks": 2000, "has": 0}])
        assert (later["waiting"]["kind"], later["waiting"]["tasks"]) == ("dependency", ["greet"])
        assert later["sentence"] == "train waits for greet."
        await api.http.post(f"/api/v1/runs/{second['id']}/cancel", json={})
        await api.http.post(f"/api/v1/runs/{first['id']}/cancel", json={})


async def test_who_waits_behind_a_higher_priority_is_told_so_in_the_queue_as_in_the_explanation(
    fixed: Any, make_spec: MakeSpec
) -> None:
    async def kind(run: dict[str, Any]) -> str:
        return str((await explained(fixed, run["id"]))["waiting"]["kind"])

    async def until(run: dict[str, Any], wanted: str) -> None:
        async with asyncio.timeout(60):
            while await kind(run) != wanted:
                await asyncio.sleep(0.1)

    big = {"resources": {"cpu_millicores": 2000}, "cache": False}
    first = await fixed.run(make_spec("first", source=SLEEP.format(300), task=big))
    await fixed.when(first["id"], lambda run: run["tasks"][0]["state"] == "running")
    low = await fixed.run(make_spec("low", source=SLEEP.format(1), task=big))
    await until(low, "capacity")
    same = await fixed.run(make_spec("same", source=SLEEP.format(1), task=big))
    await until(same, "capacity")
    high = await fixed.run(make_spec("high", source=SLEEP.format(1), task=big), options={"priority": 9})
    await until(low, "priority")
    assert await kind(high) == "capacity"
    assert await kind(same) == "capacity", "a run of its own priority is ahead of it, too"
    found = await explained(fixed, low["id"])
    assert found["sentence"].startswith(f"greet waits behind {high['id']} of higher priority for room on quick")
    assert "See what a higher priority would change." in [one["text"] for one in found["actions"]]
    queue = {one["run_id"]: one for one in (await fixed.get("/api/v1/queue"))["tasks"]}
    for run in (low, same, high):
        said = await explained(fixed, run["id"])
        assert said["sentence"].removesuffix(".").startswith(f"greet {queue[run['id']]['waiting']['text'][:40]}")
        assert queue[run["id"]]["waiting"]["kind"] == said["waiting"]["kind"]
    figures = (await fixed.http.get("/metrics")).text
    assert 'mlopx_pending_tasks{reason="priority"} 1.0' in figures
    assert 'mlopx_pending_tasks{reason="capacity"} 2.0' in figures
    listed = {one["id"]: one for one in (await fixed.get("/api/v1/runs"))["runs"]}
    assert all(listed[run["id"]]["ends"] is None for run in (first, low, same, high)), "nothing has run here yet"
    for run in (first, low, same, high):
        await fixed.http.post(f"/api/v1/runs/{run['id']}/cancel", json={})


async def test_a_task_that_is_over_is_held_against_its_prediction(api: Any, two_tasks: dict[str, Any]) -> None:
    found = await explained(api, two_tasks["id"])
    assert found["sentence"].startswith(f"greet ran on {found['node']} for ")
    seen = found["hindsight"]
    assert seen["predicted_p10"] <= seen["predicted_p50"] <= seen["predicted_p90"]
    assert seen["regret_seconds"] >= 0
    decision = found["decision"]
    assert (decision["strategy"], decision["strategy_version"]) == ("fifo_greedy", "1")
    assert decision["snapshot_age_seconds"] >= 0
    chosen = [one for one in decision["candidates"] if one["is_chosen"]]
    assert [one["node"] for one in chosen] == [found["node"]]
    assert decision["runner_up"] in [one["node"] for one in decision["candidates"]]
    whole = await api.get(f"/api/v1/runs/{two_tasks['id']}/explain")
    assert whole["sentence"].startswith("churn succeeded after ")
    assert whole["counts"] == {"succeeded": 2}


async def test_an_end_is_predicted_once_the_run_times_stand_on_history(
    serve: Any, make_spec: MakeSpec, latch: Any
) -> None:
    async with serve() as api:
        spec = make_spec(source=latch.source(0.6), task={"cache": False})
        for number in range(3):
            run = await api.run(spec)
            await api.when(run["id"], lambda run: run["tasks"][0]["state"] == "running")
            if number == 0:
                whole = await api.get(f"/api/v1/runs/{run['id']}/explain")
                assert whole["ends"] is None
                assert "a guess" in whole["why_no_eta"]
            else:
                whole = await api.foretold(run["id"])
            latch.open()
            await api.ended(run["id"])
            latch.shut()
        assert whole["ends"]["p10"] <= whole["ends"]["p50"] <= whole["ends"]["p90"]
        assert " It should be done " in whole["sentence"]


HUNGRY = """def greet(name: str) -> str:
    import os, time
    held = [bytearray(16 << 20) for _ in range(7)]
    for one in held:
        one[::4096] = b"x" * len(one[::4096])
    if os.environ["MLOPX_ATTEMPT"] == "1":
        time.sleep(600)
    return str(len(held))
"""
"""What takes too much is seen sooner or later: the first attempt goes on until it is."""


async def test_a_task_that_ran_out_of_memory_asks_for_more_and_says_how_much_to_ask_for(
    serve: Any, make_spec: MakeSpec
) -> None:
    needs = {"memory_bytes": 104 << 20, "cpu_millicores": 100}
    async with serve() as api:
        run = await api.run(
            make_spec(source=HUNGRY, task={"cache": False, "resources": needs, "retry": {"max_retries": 2}})
        )
        ended = await api.ended(run["id"])
        first, second, *_ = ended["tasks"][0]["attempts"]
        assert first["error"]["kind"] == "oom"
        assert second["state"] == "succeeded"
        found = await explained(api, run["id"])
        (said,) = found["warnings"]
        assert said.startswith("greet asks for ")
        assert " of memory and may run out of it: its runs usually use " in said
        whole = await api.get(f"/api/v1/runs/{run['id']}/explain")
        assert whole["warnings"] == [said]


MODEST = """def greet(name: str) -> str:
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])
    return name
"""


async def test_a_task_that_asks_for_far_too_much_memory_is_told(serve: Any, make_spec: MakeSpec) -> None:
    async with serve() as api:
        needs = {"memory_bytes": 960 << 20, "cpu_millicores": 100}
        run = await api.run(make_spec(source=MODEST, task={"cache": False, "resources": needs}))
        await api.ended(run["id"])
        async with asyncio.timeout(60):  # what a run used is learnt beside its end
            while not (warnings := (await explained(api, run["id"]))["warnings"]):
                await asyncio.sleep(0.05)
        (said,) = warnings
        assert said.startswith("greet asks for 960 MiB of memory and keeps others from it: its runs usually use ")
        assert said.endswith(" would do")


async def test_unknown_runs_and_tasks_are_refused_in_a_sentence(
    api: Any, two_tasks: dict[str, Any], read_problem: Any
) -> None:
    read_problem(await api.http.get("/api/v1/runs/nobody/explain"), 404, "nobody")
    base = f"/api/v1/runs/{two_tasks['id']}/explain/task"
    read_problem(await api.http.get(base, params={"task": "nothing"}), 404, "its tasks are: greet and train")
    read_problem(await api.http.get(base, params={"task": "a.b"}), 422, "not a task of a run")
