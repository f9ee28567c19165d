"""A real server in a process of its own, with runs in every state, and a real browser in front of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.testing.processes import ServerProcess

CLUSTER = """
allow_overcommit = true
[agent]
preload = []
[[node]]
name = "quick"
cpus = 2
memory = "1Gi"
[[node]]
name = "slow"
cpus = 1
speed = 0.5
memory = "1Gi"
[[node_group]]
name = "rented"
cpus = 8
memory = "8Gi"
accelerators = [{ kind = "nvidia.com/gpu", count = 1, memory = "16Gi" }]
"""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_SECONDS = 90.0
GPU = {"accelerator": {"accelerator": "nvidia.com/gpu", "count": 1}}


class Real(ServerProcess):
    """A server process, and how to fill it with runs."""

    def __init__(self, folder: Path, *, cluster: str = CLUSTER, **settings: str) -> None:
        super().__init__(folder, cluster, **{"PLACER": "fifo_greedy", "PLACER_TIME_LIMIT": "60", **settings})
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def submit(self, spec: dict[str, Any], **more: Any) -> str:
        """Start a run; its id."""
        answer = self.http.post("/api/v1/runs", json={"spec": spec, **more})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run"]["id"])

    def wait(self, run_id: str, *states: str) -> None:
        """Until the run is in one of the states."""
        until = time.monotonic() + WAIT_SECONDS
        while self.http.get(f"/api/v1/runs/{run_id}").json()["state"] not in states:
            assert time.monotonic() < until, self.http.get(f"/api/v1/runs/{run_id}").text
            time.sleep(0.05)


def component(name: str, source: str, **ports: Any) -> dict[str, Any]:
    return {"name": name, "code": {"kind": "function", "source": source, "entrypoint": name}, **ports}


def spec(name: str, components: list[dict[str, Any]], tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    parts = {one["name"]: one for one in components}
    base = {"kind": "mlopx.PipelineSpec", "version": "1.0", "name": name, "components": parts, "tasks": tasks}
    return {**base, **more}


def churn(depth: int = 3) -> dict[str, Any]:
    """Loads, trains in a loop and publishes an artifact with a figure."""
    number = {"kind": "parameter", "type": "int"}
    load = component("load", "def load(depth: int) -> int:\n    print('loading', depth)\n    return depth\n")
    load |= {"inputs": {"depth": number}, "outputs": {"output": number}}
    source = "def train(rows, item, model):\n    open(model.path, 'w').write(str(rows))\n"
    source += "    model.metadata['accuracy'] = 0.9\n    print('trained', item)\n"
    train = component("train", source, inputs={"rows": number, "item": number})
    train["outputs"] = {"model": {"kind": "artifact", "type": "Model"}}
    loaded = {"kind": "output", "task": "load", "port": "output"}
    return spec(
        "churn",
        [load, train],
        {
            "load": {"component": "load", "arguments": {"depth": {"kind": "param", "name": "depth"}}},
            "train": {
                "component": "train",
                "scope": "loop-1",
                "arguments": {"rows": loaded, "item": {"kind": "item", "loop": "loop-1"}},
            },
        },
        parameters={"depth": {"type": "int", "optional": True, "default": depth}},
        scopes={"loop-1": {"kind": "loop", "items": {"kind": "const", "value": [1, 2, 3]}}},
    )


def sleeper(name: str = "sleeper", **task: Any) -> dict[str, Any]:
    """One task that prints as it goes, and goes on as long as its server: tests come in any order, at any time."""
    source = "def nap():\n    import itertools, time\n    for turn in itertools.count():\n"
    source += "        print('turn', turn, flush=True)\n        time.sleep(0.5)\n"
    return spec(name, [component("nap", source)], {"nap": {"component": "nap", "cache": False, **task}})


def chain(count: int) -> dict[str, Any]:
    """Many tasks after one that waits for a node that is not there."""
    tasks: dict[str, Any] = {"first": {"component": "nap", "resources": GPU}}
    for number in range(count - 1):
        tasks[f"part-{number // 20}/step-{number}"] = {"component": "nap", "after": ["first"]}
    scopes = {f"part-{number}": {"kind": "pipeline", "pipeline": "part"} for number in range((count - 2) // 20 + 1)}
    for path, task in tasks.items():
        if "/" in path:
            task["scope"] = path.split("/")[0]
    return spec("chain", [component("nap", "def nap():\n    pass\n")], tasks, scopes=scopes)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A server with a run of each kind: finished, failed, running, waiting."""
    real = Real(tmp_path_factory.mktemp("dashboard"))
    real.start()
    yield real
    real.kill()
    real.http.close()


@pytest.fixture(scope="session")
def runs(server: Real) -> dict[str, str]:
    """Run ids by what they are."""
    bad = spec(
        "broken", [component("fail", "def fail():\n    raise ValueError('bad luck')\n")], {"a": {"component": "fail"}}
    )
    found = {"done": server.submit(churn()), "failed": server.submit(bad)}
    server.wait(found["done"], "succeeded")
    server.wait(found["failed"], "failed")
    found["again"] = server.submit(churn(), parameters={"depth": 4})
    server.wait(found["again"], "succeeded")
    found["running"] = server.submit(sleeper())
    found["waiting"] = server.submit(sleeper("greedy", resources=GPU))
    server.wait(found["running"], "running")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium from the system's packages; for one module only, since its driver's event loop bars all others."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, server: Real) -> Iterator[Any]:
    """A fresh page; whatever it complains about fails the test."""
    context = browser.new_context(viewport={"width": 1360, "height": 860}, base_url=f"{server.url}/ui/")
    context.set_default_timeout(60_000)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.complaints = complaints
    yield opened
    context.close()
    assert [text for text in complaints if "Failed to load resource" not in text] == []


@pytest.fixture(scope="module")
def real_server() -> type[Real]:
    """For tests that need a server of their own."""
    return Real


@pytest.fixture(scope="module")
def make() -> dict[str, Any]:
    """Pipelines to submit."""
    return {"churn": churn, "sleeper": sleeper, "chain": chain, "gpu": GPU}
