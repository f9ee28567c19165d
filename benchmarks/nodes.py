"""What it costs to know 1,000 nodes with 20,000 pods: by watch, and with Prometheus's answers for all of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import httpx

from benchmarks.measure import Measure
from server.cluster.kubernetes import KubernetesNodes
from server.cluster.prometheus import PrometheusLoads
from server.cluster.promql import queries
from server.components.clock import SteadyClock
from server.components.node_manager import NodeManager
from server.domain.request import one_cpu_defaults
from server.kube.client import Happening, KubeClient, Listing, Object
from server.kube.resources import NODES, Kind

NODE_COUNT, POD_COUNT, CYCLES, SECONDS = 1_000, 20_000, 5, 5.0
EVENTS_PER_CYCLE = 100
"""Pods that begin or end in an interval."""

MOST_SHARE, MOST_QUERIES = 10.0, 6


class Cluster(KubeClient):
    """Lists everything, and then tells of pods that change."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[int] = asyncio.Queue()

    async def list(
        self, kind: Kind, *, namespace: str | None = None, labels: str = "", fields: str = "", limit: int = 500
    ) -> Listing:
        if kind == NODES:
            return Listing([_node(number) for number in range(NODE_COUNT)], "1")
        return Listing([_pod(number) for number in range(POD_COUNT)], "1")

    async def watch(
        self, kind: Kind, version: str, *, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Happening]:
        while True:
            if kind == NODES:
                await asyncio.sleep(3600)
            yield Happening("MODIFIED", _pod(await self.changes.get()))


def measure(folder: Path) -> Iterator[Measure]:
    """Processor time of steady intervals, as a share of one core, and queries in each."""
    share, asked = asyncio.run(_measured())
    what = f"{NODE_COUNT:,} nodes, {POD_COUNT:,} pods and Prometheus, looked at every {SECONDS:g} s: processor time"
    yield Measure(what, share, "% of a core", most=MOST_SHARE)
    yield Measure("the same: queries to Prometheus in a cycle", asked, "", most=MOST_QUERIES)


async def _measured() -> tuple[float, float]:
    cluster, asked = Cluster(), [0]
    clock = SteadyClock(time.time, time.monotonic)
    texts = queries("2m")
    answers = {text: _answer(name) for name, text in texts.items()}

    def answered(request: httpx.Request) -> httpx.Response:
        asked[0] += 1
        return httpx.Response(200, text=answers[parse_qs(request.content.decode())["query"][0]])

    nodes = KubernetesNodes(cluster, now=clock.now)
    names = [f"node-{number}" for number in range(NODE_COUNT)]
    async with httpx.AsyncClient(transport=httpx.MockTransport(answered), base_url="http://prometheus") as client:
        loads = PrometheusLoads(client, queries=texts, known=lambda: names, now=clock.now, stale_seconds=600.0)
        manager = NodeManager(
            sources=[nodes, loads], live=list, defaults=one_cpu_defaults, clock=clock, refresh_seconds=SECONDS
        )
        following = asyncio.create_task(nodes.run_forever())
        try:
            while len(nodes.pods) < POD_COUNT or len(nodes.nodes) < NODE_COUNT:
                await asyncio.sleep(0.01)
            await manager.snapshot()
            asked[0] = 0
            began = time.process_time()
            for cycle in range(CYCLES):
                for event in range(EVENTS_PER_CYCLE):
                    cluster.changes.put_nowait(cycle * EVENTS_PER_CYCLE + event)
                await manager.refresh()
                if len(manager.current().loads) != NODE_COUNT:
                    raise RuntimeError("the loads of some nodes were not understood")
            spent = time.process_time() - began
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    return 100 * spent / CYCLES / SECONDS, asked[0] / CYCLES


def _node(number: int) -> Object:
    labels = {"worker_type": f"kind-{number % 20}", "topology.kubernetes.io/zone": f"zone-{number % 3}"}
    return {
        "metadata": {"name": f"node-{number}", "labels": labels},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "images": [{"names": [f"image-{image}:1"]} for image in range(20)],
        },
    }


def _pod(number: int) -> Object:
    requests = {"cpu": f"{100 + number % 900}m", "memory": "512Mi"}
    return {
        "metadata": {"namespace": "work", "name": f"pod-{number}", "resourceVersion": str(number + 1)},
        "spec": {"nodeName": f"node-{number % NODE_COUNT}", "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": "Running"},
    }


GAUGES = ("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes", "node_load1", "node_filesystem_avail_bytes")
RATES = ("cpu_idle", "cpus", "cpu_pressure", "memory_pressure", "io_pressure", "disk_busy")


def _answer(name: str) -> str:
    """What Prometheus says to one of the queries, of every node."""
    now = datetime.now(UTC).timestamp()
    label, figures = {"gauges": ("__name__", GAUGES), "rates": ("figure", RATES), "ages": ("job", ("node",))}[name]
    series = [
        {
            "metric": {"instance": f"node-{number}:9100", "node": f"node-{number}", label: figure},
            "value": [now, str(now) if name == "ages" else "0.5"],
        }
        for number in range(NODE_COUNT)
        for figure in figures
    ]
    return json.dumps({"status": "success", "data": {"result": series}})
