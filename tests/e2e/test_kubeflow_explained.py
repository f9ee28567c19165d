"""Runs on the Kubeflow double are explained, planned, and partly left to the cluster's own scheduler."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlopx import component, pipeline
from server.testing.kfp import KubeflowDouble, VirtualNode

MOST_RUNS = 12


@component(cpu=0.5)
def step(a: int = 0) -> int:
    return a


@pipeline
def pair():
    step(a=step(a=1).named("first").output).named("second")


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a test with the machine's clock


async def test_a_run_on_kubeflow_is_explained_planned_and_may_be_left_out(
    make_server: Any, kubeconfig_for: Callable[[str], str], tmp_path: Path
) -> None:
    nodes = [VirtualNode("one", cpu="2"), VirtualNode("two", cpu="2")]
    double = KubeflowDouble(tmp_path / "double", nodes, now=now)
    double.kube.objects.put("namespaces", {"metadata": {"name": "kubeflow", "labels": {"mlopx.dev/mode": "place"}}})
    async with double.serve() as (url, kube_url):
        settings = {"KFP_URL": url, "KUBECONFIG": kubeconfig_for(kube_url), "UPDATE_INTERVAL": "0.2"}
        server = make_server(**settings, CLUSTER_FILE="", PLACER="fifo_greedy", HOLDOUT="50%")
        try:
            await asyncio.to_thread(server.start)
            seen = await asyncio.to_thread(look, server)
        finally:
            await asyncio.to_thread(server.stop)
            server.client.close()
            server.process = None
    for is_holdout, (run, whole, task) in seen["runs"].items():
        assert run["state"] == "succeeded"
        assert whole["sentence"].startswith("pair succeeded after ")
        assert task["sentence"].startswith("first ran on ")
        assert ("which the platform's own scheduler chose" in task["sentence"]) == is_holdout
        assert (task["decision"] is None) == is_holdout
        planned = {one["key"]: one["attempts"][-1]["node"] for one in run["tasks"]}
        assert all((node is None) == is_holdout for node in planned.values()), planned
    assert seen["plan"]["bars"]
    assert seen["plan"]["critical_path"]
    assert "takes whole runs" in seen["accept"] or "is over" in seen["accept"]


def look(server: Any) -> dict[str, Any]:
    """One run of each kind with its explanations, a plan, and what accepting says."""
    found: dict[bool, Any] = {}
    for _ in range(MOST_RUNS):
        body = {"spec": pair.build().model_dump(), "options": {"is_caching": False}}
        run = server.ended(server.client.post("/api/v1/runs", body)["run"]["id"])
        path = f"/api/v1/runs/{run['id']}/explain"
        task = server.client.get(f"{path}/task", task="first")
        found[run["is_holdout"]] = (run, server.client.get(path), task)
        if len(found) == 2:
            break
    assert len(found) == 2, "in so many runs both kinds come, but for one time in two thousand"
    with pytest.raises(Exception, match=r"whole runs|is over") as refused:
        server.client.post(f"/api/v1/runs/{run['id']}/accept", {"task": "first", "node": "one"})
    plan = server.client.post("/api/v1/plan", {"spec": pair.build().model_dump()})
    return {"runs": found, "plan": plan, "accept": str(refused.value)}
