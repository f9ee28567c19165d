"""The cluster, the queue, and the server about itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from server import __version__

MakeSpec = Callable[..., dict[str, Any]]


async def test_the_front_door_says_who_is_there(api: Any, make_spec: MakeSpec) -> None:
    await api.ended((await api.run(make_spec()))["id"])
    found = await api.get("/")
    assert (found["status"], found["version"], found["platform"]) == ("running", __version__, "local")
    assert found["placer"] == "fifo_greedy"
    assert found["runs"]["succeeded"] >= 1


async def test_the_front_door_names_the_definitions_in_the_folder_and_opens_none(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "churn.py").write_text("raise SystemExit('nobody runs this')")
    (tmp_path / "notes.md").write_text("no definition")
    async with serve(pipelines_dir=tmp_path) as api:
        assert (await api.get("/"))["pipelines"] == ["churn"]
    async with serve(pipelines_dir=tmp_path / "gone") as api:
        assert (await api.get("/"))["pipelines"] == []


async def test_nodes_show_what_they_have_and_what_is_promised(api: Any) -> None:
    found = await api.get("/api/v1/nodes")
    nodes = {node["name"]: node for node in found["nodes"]}
    assert list(nodes) == ["quick", "slow", "rented"]
    assert nodes["quick"]["allocatable"]["cpu_millicores"] == 2000
    assert nodes["slow"]["speed"] == 0.5
    assert nodes["rented"]["is_virtual"]
    assert nodes["rented"]["allocatable"]["accelerators"] == {"nvidia.com/gpu": 1}
    assert found["problems"] == {}
    assert [node["name"] for node in (await api.get("/nodes/"))["nodes"]] == list(nodes)


async def test_the_queue_is_in_order_of_priority_then_submission(serve: Any, make_spec: MakeSpec) -> None:
    async with serve() as api:
        runs = [(await api.run(make_spec(gpu=True), options={"priority": one}))["id"] for one in (0, 5, 0)]
        queue = (await api.get("/api/v1/queue"))["tasks"]
        assert [entry["run_id"] for entry in queue] == [runs[1], runs[0], runs[2]]
        assert [entry["position"] for entry in queue] == [1, 2, 3]
        assert all(entry["waiting_seconds"] >= 0 for entry in queue)


async def test_strategies_are_listed_with_the_one_in_use(api: Any) -> None:
    usual, every = await api.get("/api/v1/placers"), await api.get("/api/v1/placers", all=True)
    names = [placer["name"] for placer in usual["placers"]]
    assert usual["current"] == every["current"] == "fifo_greedy"
    assert {"random_random", "fifo_random", "fifo_round_robin", "custom"} <= set(names)
    assert set(names) <= {placer["name"] for placer in every["placers"]}
    assert all(placer["summary"] for placer in every["placers"])
    assert [placer["name"] for placer in every["placers"] if placer["is_current"]] == ["fifo_greedy"]


async def test_data_sets_are_listed_with_their_size(api: Any) -> None:
    (found,) = (await api.get("/datasets/"))["datasets"]
    assert (found["name"], found["path"], found["size_bytes"], found["files"]) == ("irises", "irises.csv", 8, 1)
    listed = await api.get("/api/v1/datasets")
    assert (listed["datasets"], listed["registered"]) == ([found], [])


async def test_the_probes_answer(api: Any) -> None:
    assert await api.get("/healthz") == {"status": "ok"}
    ready = await api.get("/readyz")
    assert ready["status"] == "ready"
    assert {"database", "scheduler", "tracker"} <= set(ready["checks"])
    found = await api.get("/version")
    assert (found["version"], found["api"], found["spec_versions"]) == (__version__, "v1", ["1.0"])


async def test_a_store_that_does_not_answer_makes_the_server_not_ready(serve: Any, monkeypatch: Any) -> None:
    async with serve() as api:
        monkeypatch.setattr(api.app.state.services.store, "ping", unreachable)
        answer = await api.http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not-ready")
        assert answer.json()["checks"]["database"] == {"ok": False, "detail": "the database is away"}


def unreachable() -> None:
    from server.domain.errors import UnavailableError

    raise UnavailableError("the database is away")


async def test_metrics_are_what_prometheus_reads(api: Any, make_spec: MakeSpec) -> None:
    await api.held((await api.run(make_spec(gpu=True)))["id"])
    await api.http.request("BREW", "/")
    await api.http.get("/nowhere/at/all")
    answer = await api.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    figures = {family.name: family for family in text_string_to_metric_families(answer.text)}
    waiting = {one.labels["state"]: one.value for one in figures["mlopx_waiting_tasks"].samples}
    assert waiting["ready"] >= 1
    pending = {one.labels["reason"]: one.value for one in figures["mlopx_pending_tasks"].samples}
    assert pending["growth"] >= 1
    assert sum(pending.values()) == sum(waiting.values())
    found = [one for one in figures["mlopx_placements"].samples if one.name == "mlopx_placements_total"]
    answers = {(one.labels["strategy"], one.labels["outcome"]): one.value for one in found}
    assert answers["fifo_greedy", "held"] >= 1
    decided = {one.name: one.value for one in figures["mlopx_decision_seconds"].samples}
    assert decided["mlopx_decision_seconds_sum"] > 0
    cores = {
        one.labels["node"]: one.value
        for one in figures["kube_node_status_allocatable"].samples
        if one.labels["resource"] == "cpu"
    }
    assert cores == {"quick": 2, "slow": 1, "rented": 8}
    asked = [one.labels for one in figures["mlopx_http_requests"].samples if one.name.endswith("_total")]
    assert {"method": "other", "route": "/", "status": "405"} in [
        {**labels, "route": labels["route"].replace("none", "/")} for labels in asked
    ]
    assert "BREW" not in answer.text
    assert "nowhere" not in answer.text


async def test_metrics_tell_what_tasks_use_of_the_platforms_own_nodes(api: Any, make_spec: MakeSpec) -> None:
    before = await cpu_seconds(api)
    assert {node for node, _ in before} == {"quick", "slow"}  # nothing is known of a node that is not there yet
    burning = (
        "def greet(name: str) -> str:\n"
        "    import time\n"
        "    while time.process_time() < 0.3:\n"
        "        pass\n"
        "    return name\n"
    )
    run = await api.ended((await api.run(make_spec(source=burning), options={"is_caching": False}))["id"])
    node, speed = run["tasks"][0]["node"], {"quick": 1.0, "slow": 0.5}
    after = await cpu_seconds(api)
    spent = after[node, "user"] + after[node, "system"] - before[node, "user"] - before[node, "system"]
    assert spent * speed[node] >= 0.29  # processor time of a task that has ended is kept, in cores of its node
    assert all(after[one] >= before[one] for one in before)


async def cpu_seconds(api: Any) -> dict[tuple[str, str], float]:
    """Seconds by node and mode, over all CPUs, checking on the way what is said of memory."""
    total: dict[str, float] = {}
    async with asyncio.timeout(60):
        while len(total) < 2:  # an agent that does not answer within a second is left out
            figures = {one.name: one for one in text_string_to_metric_families((await api.http.get("/metrics")).text)}
            total, free = (
                {one.labels["node"]: one.value for one in figures[f"node_memory_Mem{name}_bytes"].samples}
                for name in ("Total", "Available")
            )
    assert total == {"quick": 2**30, "slow": 2**30}
    assert all(0 < free[node] <= total[node] for node in total)
    found: dict[tuple[str, str], float] = {}
    for one in figures["node_cpu_seconds"].samples:
        key = one.labels["node"], one.labels["mode"]
        found[key] = found.get(key, 0.0) + one.value
    return found


async def test_predictions_are_compared_with_what_happened(api: Any, make_spec: MakeSpec) -> None:
    for _ in range(3):
        await api.ended((await api.run(make_spec(), options={"is_caching": False}))["id"])
    async with asyncio.timeout(60):
        while (found := await api.get("/api/v1/estimates/calibration"))["runs"] < 2:
            await asyncio.sleep(0.05)
    assert found["overall"]["runs"] == sum(one["runs"] for one in found["components"]) >= 2
    assert 0 <= found["overall"]["coverage"] <= 1
    assert found["starts"][0]["p50_seconds"] > 0
    metrics = await api.http.get("/metrics")
    assert {one["kind"] for one in found["forecasts"]} <= {"run-ends", "task-starts", "task-ends", "running-ends"}
    assert all(0 <= one["inside"] <= one["asked"] for one in found["forecasts"])
    assert "mlopx_replay_questions_dropped 0.0" in metrics.text
    figures = {one.name: one for one in text_string_to_metric_families(metrics.text)}
    assert figures["mlopx_estimates_compared"].samples[0].value >= found["runs"]  # other tests run tasks here, too
