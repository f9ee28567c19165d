"""What it costs to follow a thousand active runs on Kubeflow, and how soon a submission gets there."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx

from benchmarks.definitions import three
from benchmarks.ground import serving
from benchmarks.kubeflow_double import double, task_names
from benchmarks.measure import Measure
from mlopx import component, pipeline
from server.connecting import translate
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.run import Run, RunOptions
from server.domain.states import Binding
from server.kube.access import Access
from server.kube.client import KubeClient
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.compiler import PlacingCompiler
from server.platforms.kubeflow.identity import Identity
from server.platforms.kubeflow.options import KubeflowOptions
from server.platforms.kubeflow.platform import KubeflowPlatform

RUNS = 1000
INTERVAL_SECONDS = 5.0
INTERVALS = 4
SETTLE_SECONDS = 2 * INTERVAL_SECONDS
SUBMISSIONS = 11


@component
def work(a: int = 0) -> int:
    return a


@pipeline
def bench():
    value = 0
    for name in task_names():
        value = work(a=value).named(name).output


class Counting(httpx.AsyncHTTPTransport):
    """Counts requests on their way."""

    requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await super().handle_async_request(request)


def measure(folder: Path) -> Iterator[Measure]:
    """Both; the double is another process, so its work is not counted."""
    yield _busy()
    yield from asyncio.run(_follow(folder / "following"))
    yield from _submit(folder / "submitting")


async def _follow(folder: Path) -> list[Measure]:
    """Requests per interval, and processor time of all that follows: lists, watches, digesting, events."""
    with double(folder / "double", RUNS) as (_, address):
        transport = Counting()
        client = KfpClient(address["kfp"], identity=Identity(), now=_now)
        platform = KubeflowPlatform(
            client=client,
            compiler=PlacingCompiler(translate=translate, refusals=lambda spec: [], node_of=lambda name: None),
            kube=KubeClient(Access(url=address["kube"]), transport=transport),
            nodes=None,
            options=KubeflowOptions(update_seconds=INTERVAL_SECONDS),
            folder=folder / "kubeflow",
            now=_now,
        )
        await platform.start()
        await platform.resume(_runs())
        told = asyncio.create_task(_listen(platform))
        await asyncio.sleep(SETTLE_SECONDS)
        requests, seconds = client.requests + transport.requests, time.process_time()
        await asyncio.sleep(INTERVALS * INTERVAL_SECONDS)
        requests, seconds = client.requests + transport.requests - requests, time.process_time() - seconds
        told.cancel()
        await platform.aclose()
    share = 100 * seconds / (INTERVALS * INTERVAL_SECONDS)
    return [
        Measure(f"following {RUNS:,} active runs, requests per interval", requests / INTERVALS, "", most=10),
        Measure(f"following {RUNS:,} active runs, CPU", share, f"% of a core at {INTERVAL_SECONDS:g} s", most=5),
    ]


def _submit(folder: Path) -> Iterator[Measure]:
    """From before the submission is sent until Kubeflow begins to create the run; nothing waits there."""
    with double(folder / "double") as (process, address):
        assert process.stdout is not None
        config = folder / "kubeconfig"
        config.write_text(_kubeconfig(address["kube"]))
        settings = {"KFP_URL": address["kfp"], "KFP_MODE": "place", "KUBECONFIG": str(config), "CLUSTER_FILE": ""}
        with serving(folder / "server", "", **settings) as server:
            spec, waits, work_seconds = three.build(), [], []
            for _ in range(SUBMISSIONS):
                before, began = server.cpu_seconds(), time.time()
                run_id = server.client.submit(spec)["run_id"]
                waits.append(json.loads(process.stdout.readline())["created"] - began)
                server.ended(run_id)
                work_seconds.append(server.cpu_seconds() - before)
    yield Measure("submission to create call, first of a server", waits[0] * 1000, "ms")
    yield Measure(f"submission to create call, median of {SUBMISSIONS - 1}", median(waits[1:]) * 1000, "ms", most=300)
    yield Measure("submission to create call, slowest of them", max(waits[1:]) * 1000, "ms")
    yield Measure("the server's CPU for a run of three tasks", median(work_seconds[1:]) * 1000, "ms of CPU")


def _runs() -> list[Run]:
    """As the server knows them after a restart."""
    graph, options, now = compile_graph(bench.build()), RunOptions(binding=Binding.AT_SUBMISSION), _now()
    return [
        replace(
            start_run(f"run-{number}", graph, parameters={}, options=options, at=now).run,
            platform_run_id=f"kfp-{number}",
            dispatched_at=now,
        )
        for number in range(RUNS)
    ]


async def _listen(platform: KubeflowPlatform) -> None:
    """Take every event, as the tracker does."""
    async for delivery in platform.events():
        await platform.acknowledge(delivery.token)


def _busy() -> Measure:
    """What else the machine does: processor time tells something all the same, waiting does not."""
    cores = len(os.sched_getaffinity(0))
    return Measure("load of the machine before", os.getloadavg()[0], f"runnable on {cores} cores")


def _kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "double"}}],
            "clusters": [{"name": "double", "cluster": {"server": url}}],
        }
    )


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
