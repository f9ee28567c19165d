"""Plans over HTTP and on the command line: nothing is submitted, and what is said follows from the cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.components.placer_workers.process import PlacerFailure, PlacerProcess

MakeSpec = Callable[..., dict[str, Any]]
SLEEP = "def greet(name: str) -> str:\n    import time\n    time.sleep({})\n    return name\n"


async def plan(api: Any, **body: Any) -> dict[str, Any]:
    answer = await api.http.post("/api/v1/plan", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_plan_places_every_task_in_order_and_submits_nothing(fixed: Any, two_task_spec: dict[str, Any]) -> None:
    before = (await fixed.get("/"))["runs"]
    found = await plan(fixed, spec=two_task_spec)
    assert (await fixed.get("/"))["runs"] == before
    bars = {bar["task"]: bar for bar in found["bars"]}
    assert set(bars) == {"greet", "train"}
    assert all(bar["is_new"] and bar["node"] in ("quick", "slow") for bar in bars.values())
    assert bars["train"]["starts"]["p50"] >= bars["greet"]["ends"]["p50"]
    assert [step["task"] for step in found["critical_path"]] == ["greet", "train"]
    assert [step["why"] for step in found["critical_path"]] == ["", "data"]
    assert found["turnaround_p10_seconds"] <= found["turnaround_seconds"] <= found["turnaround_p90_seconds"]
    assert found["sentence"].startswith("churn would be done in ")
    assert found["bottleneck"].startswith("the run time of ")
    assert found["unchanged"] is None
    assert found["runs"] == []


async def test_another_node_is_compared_with_how_it_is(fixed: Any, make_spec: MakeSpec) -> None:
    task = {"resources": {"cpu_millicores": 2000}, "cache": False}
    spec = make_spec(task=task)
    spec["tasks"] |= {f"more-{number}": spec["tasks"]["greet"] for number in range(3)}
    found = await plan(fixed, spec=spec, add_nodes=["quick", "quick"])
    nodes = {bar["node"] for bar in found["bars"]}
    assert nodes == {"quick", "quick+1", "quick+2"}
    assert found["makespan_seconds"] < found["unchanged"]["makespan_seconds"]
    assert "sooner than without the change" in found["sentence"]
    assert found["unchanged"]["turnaround_seconds"] > found["turnaround_seconds"]
    without = await plan(fixed, spec=spec)
    assert without["bottleneck"].startswith("room on quick: ")
    assert [step["why"] for step in without["critical_path"]] == ["", "room", "room", "room"]


async def test_a_node_less_is_not_used(fixed: Any, make_spec: MakeSpec) -> None:
    found = await plan(fixed, spec=make_spec(), remove_nodes=["quick"])
    assert {bar["node"] for bar in found["bars"]} == {"slow"}
    assert found["strategy"] == found["unchanged"]["strategy"] == "fifo_greedy"
    held = await plan(fixed, spec=make_spec(task={"resources": {"cpu_millicores": 2000}}), remove_nodes=["quick"])
    assert held["ends"] is None
    assert held["sentence"].startswith("greet cannot be placed: no node can run it")
    assert [one["task"] for one in held["unplaced"]] == ["greet"]


async def test_another_strategy_plans_in_a_worker_of_its_own(fixed: Any, make_spec: MakeSpec) -> None:
    found = await plan(fixed, spec=make_spec(), strategy="random_random")
    assert (found["strategy"], found["unchanged"]["strategy"]) == ("random_random", "fifo_greedy")
    assert fixed.app.state.services.decision_unit.placer == "fifo_greedy"


async def test_what_a_new_run_does_to_those_that_are_there_is_said(serve: Any, make_spec: MakeSpec) -> None:
    async with serve() as api:
        big = {"resources": {"cpu_millicores": 2000}, "cache": False}
        first = await api.run(make_spec("first", source=SLEEP.format(300), task=big))
        second = await api.run(make_spec("second", source=SLEEP.format(300), task=big))
        await api.held(second["id"])
        spec = make_spec("urgent", task=big)
        later = await plan(api, spec=spec, options={"priority": -1})
        sooner = await plan(api, spec=spec, options={"priority": 9})
        delays = [{one["name"]: one["delay_seconds"] for one in found["runs"]} for found in (later, sooner)]
        assert abs(delays[0]["second"]) < 1
        assert delays[1]["second"] > 10
        assert abs(delays[1]["first"]) < 1
        assert re.search(r"; second-\w+ would end [\d.]+ \w+ later\.$", sooner["sentence"])
        alone = await plan(api, priorities={second["id"]: 3})
        assert alone["subject"] is None
        assert {bar["run_id"] for bar in alone["bars"]} == {first["id"], second["id"]}
        for run in (second, first):
            await api.http.post(f"/api/v1/runs/{run['id']}/cancel", json={})


async def test_what_is_not_known_before_the_run_is_assumed_and_said(fixed: Any, two_task_spec: dict[str, Any]) -> None:
    spec = json.loads(json.dumps(two_task_spec))
    spec["components"]["greet"]["outputs"]["output"]["type"] = "list"
    spec["scopes"] = {"loop-1": {"kind": "loop", "items": {"kind": "output", "task": "greet", "port": "output"}}}
    spec["tasks"]["train"] |= {"scope": "loop-1", "arguments": {"text": {"kind": "item", "loop": "loop-1"}}}
    found = await plan(fixed, spec=spec)
    assert {bar["task"] for bar in found["bars"]} == {"greet", "train.0"}
    one = "the items of loop-1 are only known while it runs: one iteration is counted"
    assert found["assumptions"][0] == one


async def test_a_loop_is_planned_with_as_many_iterations_as_the_last_run_had(
    serve: Any, two_task_spec: dict[str, Any]
) -> None:
    spec = json.loads(json.dumps(two_task_spec))
    spec["components"]["greet"]["outputs"]["output"]["type"] = "list"
    spec["components"]["greet"]["code"]["source"] = 'def greet(name):\n    return ["a", "b", "c"]\n'
    spec["scopes"] = {"loop-1": {"kind": "loop", "items": {"kind": "output", "task": "greet", "port": "output"}}}
    spec["tasks"]["train"] |= {"scope": "loop-1", "arguments": {"text": {"kind": "item", "loop": "loop-1"}}}
    async with serve() as api:
        ran = await api.ended((await api.run(spec))["id"])
        assert ran["state"] == "succeeded"
        found = await plan(api, spec=spec)
    assert {bar["task"] for bar in found["bars"]} == {"greet", "train.0", "train.1", "train.2"}
    three = f"the items of loop-1 are only known while it runs: 3 iterations are counted, as in {ran['id']}"
    assert found["assumptions"][0] == three


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"add_nodes": ["nobody"]}, "there is no node 'nobody'"),
        ({"strategy": "fastest"}, "there is no strategy 'fastest'"),
        ({"strategy": "os:path"}, "a plan takes strategies by name"),
        ({"priorities": {"no-run": 1}}, "has nothing that waits"),
        ({"objective": "luck"}, "turnaround"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    fixed: Any, read_problem: Any, body: dict[str, Any], says: str
) -> None:
    read_problem(await fixed.http.post("/api/v1/plan", json=body), 422, says)


async def test_a_strategy_that_is_being_compiled_is_said_to_be(
    fixed: Any, make_spec: MakeSpec, read_problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def place(process: PlacerProcess, request: Any, limit_seconds: float) -> None:
        raise PlacerFailure("cold", f"its worker was not ready within {process.cold_patience_seconds:g} s")

    monkeypatch.setattr(PlacerProcess, "place", place)
    said = "the strategy heft is being prepared for plans (once on a new installation)"
    read_problem(await fixed.http.post("/api/v1/plan", json={"spec": make_spec(), "strategy": "heft"}), 503, said)


async def test_what_could_not_be_submitted_cannot_be_planned(
    fixed: Any, make_spec: MakeSpec, read_problem: Any
) -> None:
    read_problem(await fixed.http.post("/api/v1/plan", json={"spec": make_spec(gpu=True)}), 422, "no node")


async def test_the_command_draws_the_plan(
    fixed: Any, listening: Any, mlopx: Any, make_spec: MakeSpec, tmp_path: Path
) -> None:
    (tmp_path / "hello.json").write_text(json.dumps(make_spec()))
    async with listening(fixed) as url:
        text = await mlopx(url, "plan", str(tmp_path / "hello.json"), "--add-node", "quick")
    assert text.startswith("hello would be done in ")
    assert "A = this plan" in text
    assert "critical path  greet@" in text


async def test_a_volume_without_a_folder_is_told_with_what_to_set(
    serve: Any, make_spec: MakeSpec, read_problem: Any, tmp_path: Path
) -> None:
    def mounted(claim: str) -> list[dict[str, Any]]:
        return [{"name": claim, "mount_path": f"/mnt/{claim}", "source": {"kind": "pvc", "claim": claim}}]

    spec = make_spec(task={"volumes": [*mounted("datasets"), *mounted("archive")]})
    spec["tasks"]["again"] = {**spec["tasks"]["greet"], "volumes": mounted("datasets")}
    async with serve(datasets_path=tmp_path / "nowhere") as api:
        for path, status in (("/api/v1/plan", 422), ("/api/v1/runs", 422)):
            problem = read_problem(await api.http.post(path, json={"spec": spec}), status)
            assert problem["details"] == [
                "tasks greet, again: volume datasets has no folder here: set DATASETS_PATH of the server to the folder"
                ' with the data sets, or write [[volume]] name = "datasets" and folder = "/its/folder" in the server\'s'
                " CLUSTER_FILE",
                'task greet: volume archive has no folder here: write [[volume]] name = "archive" and folder ='
                ' "/its/folder" in the server\'s CLUSTER_FILE',
            ]
