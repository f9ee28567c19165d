"""A real server process beside the Kubeflow double: by settings alone, observing first, then placing."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlopx import Dataset, Output, component, pipeline
from server.testing.kfp import KubeflowDouble, VirtualNode


@component(cpu=0.5)
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@pipeline
def pair():
    first = step(a=1, b=1).named("first")
    step(a=first.output, b=1).named("second")


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a test with the machine's clock


@component
def write(text: str, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write(text)


@pipeline
def written():
    write(text="seven..").named("write")


async def test_an_artifact_is_listed_and_downloaded_after_its_pod_is_gone(
    make_server: Any, kubeconfig_for: Callable[[str], str], tmp_path: Path
) -> None:
    double = KubeflowDouble(tmp_path / "double", [VirtualNode("one")], now=now)
    async with double.serve() as (url, kube_url):
        settings = {
            "KFP_URL": url,
            "KUBECONFIG": kubeconfig_for(kube_url),
            "UPDATE_INTERVAL": "0.2",
            "CLUSTER_FILE": "",
        }
        server = make_server(**settings, KFP_MODE="place", KFP_UI_URL=url, PLACER="online")
        try:
            await asyncio.to_thread(server.start)
            answer = await asyncio.to_thread(server.client.post, "/api/v1/runs", {"spec": written.build().model_dump()})
            ended = await asyncio.to_thread(server.ended, answer["run"]["id"])
            double.collect(next(iter(double.runs)))
            listed = await asyncio.to_thread(server.client.get, f"/api/v1/runs/{ended['id']}/artifacts")
            [found] = listed["artifacts"]
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                content = await client.get(found["download"])
                log = await client.get(f"/api/v1/runs/{ended['id']}/logs", params={"task": "write"})
        finally:
            await asyncio.to_thread(server.stop)
            server.client.close()
            server.process = None
    assert (found["task"], found["type"], found["size_bytes"]) == ("write", "Dataset", 7)
    assert (content.status_code, content.content) == (200, b"seven..")
    assert "attachment" in content.headers["Content-Disposition"]
    assert log.status_code == 200


def troubles(server: Any) -> list[str]:
    """What is not well now: a call that took too long, say, until the next is answered."""
    return [name for name, one in server.client.get("/readyz")["checks"].items() if not one["ok"]]


async def test_a_server_beside_kubeflow_places_runs_by_its_settings_alone(
    make_server: Any, kubeconfig_for: Callable[[str], str], tmp_path: Path
) -> None:
    nodes = [VirtualNode("one", cpu="2"), VirtualNode("two", cpu="2")]
    double = KubeflowDouble(tmp_path / "double", nodes, now=now)
    double.kube.objects.put("namespaces", {"metadata": {"name": "kubeflow", "labels": {"mlopx.dev/mode": "place"}}})
    async with double.serve() as (url, kube_url):
        kubeconfig = kubeconfig_for(kube_url)
        settings = {"KFP_URL": url, "KUBECONFIG": kubeconfig, "UPDATE_INTERVAL": "0.2", "CLUSTER_FILE": ""}
        server = make_server(**settings, PLACER="fifo_greedy")
        try:
            await asyncio.to_thread(server.start)
            for count in (1, 2):
                asked = time.monotonic()
                body = {"spec": pair.build().model_dump(), "options": {"is_caching": False}}
                answer = await asyncio.to_thread(server.client.post, "/api/v1/runs", body)
                while len(double.runs) < count:
                    await asyncio.sleep(0.001)
                print(f"create call {time.monotonic() - asked:.3f} s after the submission")
                ended = await asyncio.to_thread(server.ended, answer["run"]["id"])
            async with asyncio.timeout(60):
                while await asyncio.to_thread(troubles, server):
                    await asyncio.sleep(0.05)
            shown = await asyncio.to_thread(server.client.get, "/nodes/")
        finally:
            await asyncio.to_thread(server.stop)
            server.client.close()
            server.process = None
    attempts = {task["key"]: task["attempts"][-1] for task in ended["tasks"]}
    assert ended["state"] == "succeeded", ended
    assert {attempt["actual_node"] for attempt in attempts.values()} <= {"one", "two"}
    assert all(attempt["queue_seconds"] is not None for attempt in attempts.values())
    assert {node["name"] for node in shown["nodes"]} == {"one", "two"}


async def test_one_server_places_the_runs_of_several_namespaces(
    make_server: Any, kubeconfig_for: Callable[[str], str], tmp_path: Path
) -> None:
    double = KubeflowDouble(tmp_path / "double", [VirtualNode("one")], now=now)
    double.is_multi_user = True
    double.rights = {"mlopx": {"red", "blue"}, "ada": {"red"}, "eve": {"blue"}}
    for name, mode in (("red", "place"), ("blue", "observe")):
        labels = {"mlopx.dev/mode": mode}
        double.kube.objects.put("namespaces", {"metadata": {"name": name, "labels": labels}})
    async with double.serve() as (url, kube_url):
        settings = {
            "KFP_URL": url,
            "KUBECONFIG": kubeconfig_for(kube_url),
            "UPDATE_INTERVAL": "0.2",
            "CLUSTER_FILE": "",
        }
        server = make_server(**settings, KFP_NAMESPACE="red,blue", KFP_USER="mlopx")
        try:
            await asyncio.to_thread(server.start)
            async with httpx.AsyncClient(base_url=server.url, headers={"kubeflow-userid": "ada"}, timeout=60) as client:
                body = {"spec": written.build().model_dump(), "options": {"project": "red"}}
                answer = await client.post("/api/v1/runs", json=body)
                refused = await client.post("/api/v1/runs", json={**body, "options": {"project": "blue"}})
            ended = await asyncio.to_thread(server.ended, answer.json()["run"]["id"])
            ready = await asyncio.to_thread(server.client.get, "/readyz")
        finally:
            await asyncio.to_thread(server.stop)
            server.client.close()
            server.process = None
    [record] = double.runs.values()
    assert (ended["state"], record.namespace, record.user) == ("succeeded", "red", "ada")
    assert ended["tasks"][0]["attempts"][-1]["actual_node"] == "one"
    assert (refused.status_code, "namespace blue is only observed" in refused.text) == (409, True)
    assert not {name for name in ready["checks"] if "kubeflow" in name}


async def test_what_kubeflow_takes_from_its_cache_is_handed_over_and_known_before(
    make_server: Any, kubeconfig_for: Callable[[str], str], tmp_path: Path
) -> None:
    """The whole run goes to Kubeflow again: its cache answers, not ours; the plan expects that."""
    double = KubeflowDouble(tmp_path / "double", [VirtualNode("one"), VirtualNode("two")], now=now)
    double.kube.objects.put("namespaces", {"metadata": {"name": "kubeflow", "labels": {"mlopx.dev/mode": "place"}}})
    async with double.serve() as (url, kube_url):
        settings = {
            "KFP_URL": url,
            "KUBECONFIG": kubeconfig_for(kube_url),
            "UPDATE_INTERVAL": "0.2",
            "CLUSTER_FILE": "",
        }
        server = make_server(**settings, PLACER="fifo_greedy")
        try:
            await asyncio.to_thread(server.start)
            ended = []
            for _ in range(2):
                answer = await asyncio.to_thread(
                    server.client.post, "/api/v1/runs", {"spec": pair.build().model_dump()}
                )
                ended.append(await asyncio.to_thread(server.ended, answer["run"]["id"]))
        finally:
            await asyncio.to_thread(server.stop)
            server.client.close()
            server.process = None
    assert [run["state"] for run in ended] == ["succeeded", "succeeded"]
    assert len(double.runs) == 2
    first, second = double.runs.values()
    assert Counter(path for _, path in double.world.started) == {"root.first.executor": 1, "root.second.executor": 1}
    for record in (first, second):
        assert set(record.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]) == {
            "exec-first",
            "exec-second",
        }, "all tasks are placed, whatever the cache may answer"
    assert [[task["from_cache"] for task in run["tasks"]] for run in ended] == [[False, False], [True, True]]
    planned = [_planned_seconds(task) for task in ended[1]["tasks"]]
    assert max(planned) < 0.01 < min(_planned_seconds(task) for task in ended[0]["tasks"])


def _planned_seconds(task: dict[str, Any]) -> float:
    begin, end = (datetime.fromisoformat(task["attempts"][-1][f"planned_{side}_at"]) for side in ("start", "finish"))
    return (end - begin).total_seconds()


@pytest.mark.parametrize("seed", [4])
async def test_runs_on_kubeflow_survive_kills_of_the_server_at_random_moments(
    make_server: Any, kubeconfig_for: Callable[[str], str], tmp_path: Path, seed: int
) -> None:
    """Whatever was acknowledged is in Kubeflow exactly once, every task ran once, and every end is known."""
    draw = random.Random(seed)
    double = KubeflowDouble(tmp_path / "double", [VirtualNode("one"), VirtualNode("two")], now=now)
    double.kube.objects.put("namespaces", {"metadata": {"name": "kubeflow", "labels": {"mlopx.dev/mode": "place"}}})
    async with double.serve() as (url, kube_url):
        kubeconfig = kubeconfig_for(kube_url)
        settings = {"KFP_URL": url, "KUBECONFIG": kubeconfig, "UPDATE_INTERVAL": "0.2", "CLUSTER_FILE": ""}
        server = make_server(**settings, PLACER="fifo_greedy", ENABLE_CACHING="false")
        try:
            await asyncio.to_thread(server.start)
            acknowledged: list[str] = []
            for _ in range(2):
                for _ in range(2):
                    body = {"spec": pair.build().model_dump(), "options": {"is_caching": False}}
                    answer = await asyncio.to_thread(server.client.post, "/api/v1/runs", body)
                    acknowledged.append(answer["run"]["id"])
                await asyncio.sleep(draw.uniform(0.0, 0.6))
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(draw.uniform(0.0, 0.3))
                await asyncio.to_thread(server.start)
            ended = [await asyncio.to_thread(server.ended, run_id, 120.0) for run_id in acknowledged]
        finally:
            await asyncio.to_thread(server.stop)
            server.client.close()
            server.process = None
    assert [run["state"] for run in ended] == ["succeeded"] * len(acknowledged)
    names = Counter(record.display_name.rpartition("/")[2] for record in double.runs.values())
    assert names == dict.fromkeys(acknowledged, 1)
    assert set(Counter(double.world.started).values()) == {1}
    assert len(double.world.started) == 2 * len(acknowledged)
