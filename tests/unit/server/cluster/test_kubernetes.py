"""The nodes as the Kubernetes API tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from server.cluster.kubernetes import KubernetesNodes
from server.domain.errors import MlopxError
from server.domain.node import Occupancy, Taint
from server.domain.resources import Resources
from server.kube.access import Access
from server.kube.client import KubeClient
from server.kube.own_runs import LEAVING, OwnRuns
from server.kube.reading import read_node
from server.testing.kube import KubeDouble

AT = datetime(2026, 1, 1, tzinfo=UTC)


def a_node(name: str, *, is_ready: bool = True, **spec: Any) -> dict[str, Any]:
    amounts = {"cpu": "3920m", "memory": "16Gi", "pods": "110", "nvidia.com/gpu": "2", "ephemeral-storage": "1Gi"}
    labels = {"kubernetes.io/arch": "arm64", "topology.kubernetes.io/zone": "z1", "worker_type": "med"}
    return {
        "metadata": {"name": name, "labels": {**labels, "nvidia.com/gpu.memory": "40960"}},
        "spec": spec,
        "status": {
            "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True" if is_ready else "Unknown"}],
            "images": [{"names": ["python:3.11", "python@sha256:0"], "sizeBytes": 5}],
        },
    }


def a_pod(name: str, node: str | None, *, phase: str = "Running", run: str = "", cpu: str = "500m") -> dict[str, Any]:
    requests = {"cpu": cpu, "memory": "1Gi"}
    return {
        "metadata": {"name": name, "namespace": "x", "labels": {"mlopx.dev/run": run} if run else {}},
        "spec": {"nodeName": node, "containers": [{"name": "main", "resources": {"requests": requests}}]},
        "status": {"phase": phase},
    }


@asynccontextmanager
async def source(double: KubeDouble, **more: Any) -> AsyncIterator[KubernetesNodes]:
    async def no_sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    async with double.serve() as url, KubeClient(Access(url=url), sleep=no_sleep) as client:
        yield KubernetesNodes(client, now=lambda: AT, sleep=no_sleep, **more)


async def test_a_node_is_read_whole() -> None:
    double = KubeDouble()
    double.objects.put("nodes", a_node("n", taints=[{"key": "gpu", "effect": "NoSchedule"}], unschedulable=True))
    async with source(double) as nodes:
        seen = await nodes.look()
    [node] = seen.nodes
    assert node.allocatable == Resources.of(
        cpu_millicores=3920, memory_bytes=16 * 2**30, accelerators={"nvidia.com/gpu": 2}, pods=110
    )
    assert (node.architecture, node.zone, node.labels["worker_type"]) == ("arm64", "z1", "med")
    assert node.taints == (Taint("gpu", "", "NoSchedule"),)
    assert node.is_ready
    assert not node.is_schedulable
    assert node.accelerator_memory_bytes == {"nvidia.com/gpu": 40 * 2**30}
    assert seen.images["n"].has(("python:3.11",))


def following(*run_ids: str) -> OwnRuns:
    own_runs = OwnRuns()
    for run_id in run_ids:
        own_runs.began(run_id)
    return own_runs


async def test_only_pods_of_others_that_hold_room_are_foreign() -> None:
    double = KubeDouble()
    double.objects.put("nodes", a_node("n"))
    for pod in (
        a_pod("other", "n"),
        a_pod("done", "n", phase="Succeeded"),
        a_pod("pending", None),
        a_pod("ours", "n", run="r1"),
        a_pod("of-another-mlopx", "n", run="r2"),
    ):
        double.objects.put("pods", pod)
    async with source(double, own_runs=following("r1")) as nodes:
        seen = await nodes.look()
    half = Resources(cpu_millicores=500, memory_bytes=2**30, pods=1)
    assert [(one.node, one.requests) for one in seen.foreign] == [("n", half), ("n", half)]


async def test_what_leaves_is_known_to_come_free() -> None:
    double = KubeDouble()
    double.objects.put("nodes", a_node("n"))
    deleted = a_pod("deleted", "n")
    deleted["metadata"]["deletionTimestamp"] = "2026-11-20T10:00:30Z"
    for pod in (deleted, a_pod("of-an-ended-run", "n", run="r1"), a_pod("stays", "n", run="r2")):
        double.objects.put("pods", pod)
    own_runs = following("r1")
    at_thirty = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)
    async with source(double, own_runs=own_runs) as nodes:
        own_runs.ended("r1", AT)
        assert {one.expected_end_at for one in (await nodes.look()).foreign} == {at_thirty, AT, None}
        own_runs.ended("r1", AT - 2 * LEAVING)
        assert {one.expected_end_at for one in (await nodes.look()).foreign} == {at_thirty, None}, "it stays after all"


async def test_what_was_put_beside_our_tasks_holds_room() -> None:
    double = KubeDouble()
    double.objects.put("nodes", a_node("n"))
    pod = a_pod("ours", "n", run="r1")
    pod["spec"]["containers"].append(
        {"name": "istio-proxy", "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}
    )
    pod["metadata"]["annotations"] = {"mlopx.dev/task": "train"}
    double.objects.put("pods", pod)
    async with source(double, own_runs=following("r1")) as nodes:
        seen = await nodes.look()
    assert seen.foreign == (Occupancy("n", Resources(cpu_millicores=100, memory_bytes=2**20), "r1", "train"),)


async def test_in_steady_state_nothing_is_listed() -> None:
    double = KubeDouble()
    double.objects.put("nodes", a_node("n"))
    async with source(double) as nodes:
        task = asyncio.create_task(nodes.run_forever())
        async with asyncio.timeout(60):
            while not (nodes.nodes.is_synced and nodes.pods.is_synced):
                await asyncio.sleep(0.002)
        for number in range(3):
            double.objects.put("pods", a_pod(f"p{number}", "n"))
        double.objects.put("nodes", a_node("n", is_ready=False))
        async with asyncio.timeout(60):
            while len((await nodes.look()).foreign) < 3 or (await nodes.look()).nodes[0].is_ready:
                await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    lists = [call.plural for call in double.calls if call.verb == "list" and call.plural != "resourceslices"]
    assert sorted(lists) == ["nodes", "pods"]


async def test_without_the_right_to_see_all_pods_it_says_what_is_lost() -> None:
    double = KubeDouble()
    double.objects.put("nodes", a_node("n"))
    double.denied = {("list", "pods")}
    async with source(double) as nodes:
        seen = await nodes.look()
    assert [node.name for node in seen.nodes] == ["n"]
    assert "what other pods hold is unknown" in seen.problems[0]


async def test_nodes_that_were_never_seen_are_no_empty_cluster() -> None:
    double = KubeDouble()
    double.is_down = True
    async with source(double) as nodes:
        with pytest.raises(MlopxError, match="503"):
            await nodes.look()


async def test_a_watch_that_broke_leaves_the_last_picture_with_its_age() -> None:
    double = KubeDouble()
    double.objects.put("nodes", a_node("n"))
    async with source(double) as nodes:
        task = asyncio.create_task(nodes.run_forever())
        await until(lambda: nodes.nodes.is_synced)
        double.is_down = True
        double.objects.wake()
        await until(lambda: nodes.nodes.problem is not None)
        seen = await nodes.look()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [node.name for node in seen.nodes] == ["n"]
    assert "out of date" in " ".join(seen.problems)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.002)


def test_slices_of_a_gpu_are_accelerators_of_their_own_with_their_own_memory() -> None:
    item = a_node("sliced")
    item["status"]["allocatable"]["nvidia.com/mig-1g.10gb"] = "4"
    item["status"]["allocatable"]["nvidia.com/mig-2g.20gb"] = "1"
    item["metadata"]["labels"]["nvidia.com/mig-1g.10gb.memory"] = "9856"
    found = read_node(item)
    assert dict(found.allocatable.accelerators)["nvidia.com/mig-1g.10gb"] == 4
    assert found.accelerator_memory_bytes == {
        "nvidia.com/gpu": 40960 * 2**20,
        "nvidia.com/mig-1g.10gb": 9856 * 2**20,
    }, "of a slice without a label of its own nothing is claimed"
