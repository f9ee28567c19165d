"""The real application on a folder of its own: store, scheduler, strategy and agents are real, the socket is not."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from server.bootstrap import running
from server.main import build_app
from server.settings import Settings

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
FIXED = CLUSTER.split("[[node_group]]", maxsplit=1)[0]
LONG_SECONDS = 20.0
ENDS = ("succeeded", "failed", "cancelled")

Problem = dict[str, Any]
Caller = Callable[..., httpx.AsyncClient]


class Served:
    """A running application, and how to call it."""

    def __init__(self, app: FastAPI, state: Path) -> None:
        self.app, self.state = app, state
        self.http = self.caller()

    def caller(self, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """A client that calls from an address."""
        transport = httpx.ASGITransport(self.app, client=(address, 50_000), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)

    async def run(self, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Submit a pipeline, and return the run's summary."""
        answer = await self.http.post("/api/v1/runs", json={"spec": spec, **more})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()["run"]
        return found

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON that is at an address."""
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def when(self, run_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The run as soon as something holds of it."""
        async with asyncio.timeout(LONG_SECONDS):
            async for _ in self.app.state.services.bus.subscribe(after=0, run_id=run_id):
                run: dict[str, Any] = await self.get(f"/api/v1/runs/{run_id}")
                if holds(run):
                    return run
        raise AssertionError(f"the events of {run_id} ended")

    async def ended(self, run_id: str) -> dict[str, Any]:
        """The run when it has ended."""
        return await self.when(run_id, lambda run: run["state"] in ENDS)

    async def held(self, run_id: str) -> dict[str, Any]:
        """The run when its first task has a reason for waiting."""
        return await self.when(run_id, lambda run: bool(run["tasks"][0]["hold"]))


@asynccontextmanager
async def serving(folder: Path, *, cluster: str = CLUSTER, **settings: Any) -> AsyncIterator[Served]:
    """The application on a folder, with its whole life around it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cluster.toml").write_text(cluster)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "irises.csv").write_text("a,b\n1,2\n")
    chosen = Settings(
        **{
            "state_dir": folder / "state",
            "cluster_file": folder / "cluster.toml",
            "datasets_path": folder / "data",
            "agent_grace_seconds": 0,
            "placer": "fifo_greedy",
            **settings,
        }
    )
    app = build_app(lambda: running(chosen))
    async with app.router.lifespan_context(app):
        served = Served(app, folder / "state")
        async with served.http:
            yield served


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Opens an application: `async with serve(mlopx_token="t") as it`."""

    def opened(name: str = "server", **settings: Any) -> AbstractAsyncContextManager[Served]:
        return serving(tmp_path / name, **settings)

    return opened


@pytest.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One application for all tests of a module. The node group makes what asks for a GPU wait for ever."""
    async with serving(tmp_path_factory.mktemp("api")) as served:
        yield served


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., dict[str, Any]]:
    """Makes a spec of one task that greets somebody; `gpu=True` has it wait where no node has one."""

    def make(name: str = "hello", source: str = "", *, gpu: bool = False, **changes: Any) -> dict[str, Any]:
        code = {
            "kind": "function",
            "source": source
            or "def greet(name: str) -> str:\n    print('greeting', name)\n    return 'hello ' + name\n",
            "entrypoint": "greet",
        }
        text = {"kind": "parameter", "type": "str"}
        task: dict[str, Any] = {"component": "greet", "arguments": {"name": {"kind": "param", "name": "name"}}}
        if gpu:
            task["resources"] = {"accelerator": {"accelerator": "nvidia.com/gpu", "count": 1}}
            task["cache"] = False
        task.update(changes.pop("task", {}))
        return {
            "kind": "mlopx.PipelineSpec",
            "version": "1.0",
            "name": name,
            "components": {
                "greet": {"name": "greet", "code": code, "inputs": {"name": text}, "outputs": {"output": text}}
            },
            "parameters": {"name": {"type": "str", "optional": True, "default": "world"}},
            "tasks": {"greet": task},
            **changes,
        }

    return make


@pytest.fixture(scope="session")
def read_problem() -> Callable[..., Problem]:
    """Checks that an answer is a problem document as RFC 9457 wants it, and returns it."""

    def read(answer: httpx.Response, status: int, says: str = "") -> Problem:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        found: Problem = answer.json()
        assert set(found) == {"type", "title", "status", "detail", "hint", "details", "instance"}
        assert found["type"].startswith("https://mlopx.dev/problems/")
        assert found["status"] == status
        assert found["title"]
        assert found["detail"]
        assert found["instance"] == answer.url.path
        assert says in answer.text, answer.text
        assert "Traceback" not in answer.text
        return found

    return read


@pytest.fixture(scope="module")
async def named(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One application for all tests of a module, which is also known as mlopx.example."""
    async with serving(tmp_path_factory.mktemp("named"), allowed_hosts="MLOpX.example, other.example") as served:
        yield served


@pytest.fixture(scope="module")
async def fixed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One application for all tests of a module, on a cluster that cannot grow."""
    async with serving(tmp_path_factory.mktemp("fixed"), cluster=FIXED) as served:
        yield served


@pytest.fixture(scope="session")
def two_task_spec(make_spec: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A pipeline whose second task writes a file and a folder."""
    spec = make_spec("churn", task={"cache": False})
    source = (
        "import pathlib\n\n\ndef train(text, model, notes):\n"
        "    pathlib.Path(model.path).write_text(text)\n    model.metadata['accuracy'] = 0.9\n"
        "    folder = pathlib.Path(notes.path)\n    (folder / 'deep').mkdir(parents=True)\n"
        "    (folder / 'a.txt').write_text('a')\n    (folder / 'deep' / 'b.txt').write_text('b')\n"
    )
    spec["components"]["train"] = {
        "name": "train",
        "code": {"kind": "function", "source": source, "entrypoint": "train"},
        "inputs": {"text": {"kind": "parameter", "type": "str"}},
        "outputs": {
            "model": {"kind": "artifact", "type": "Model"},
            "notes": {"kind": "artifact", "type": "Artifact"},
        },
    }
    argument = {"kind": "output", "task": "greet", "port": "output"}
    spec["tasks"]["train"] = {"component": "train", "arguments": {"text": argument}, "cache": False}
    return spec


@pytest.fixture(scope="module")
async def two_tasks(api: Served, two_task_spec: dict[str, Any]) -> dict[str, Any]:
    """A run of that pipeline that succeeded."""
    return await api.ended((await api.run(two_task_spec))["id"])


@asynccontextmanager
async def opened(served: Served) -> AsyncIterator[str]:
    """An application behind a real socket; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        server = uvicorn.Server(uvicorn.Config(served.app, lifespan="off", log_config=None))
        with server.capture_signals():
            serving_now = asyncio.create_task(server._serve([own]))
            while not server.started:
                await asyncio.sleep(0.005)
            yield f"http://127.0.0.1:{own.getsockname()[1]}"
            server.should_exit = True
            await serving_now


@pytest.fixture(scope="session")
def listening() -> Callable[[Served], AbstractAsyncContextManager[str]]:
    """Puts an application behind a real socket: `async with listening(api) as url`."""
    return opened


@pytest.fixture(scope="session")
def mlopx() -> Callable[..., Awaitable[str]]:
    """Runs the command in a terminal of 80 columns: `await mlopx(url, "queue")` is what it prints."""

    async def run(url: str, *arguments: str, code: int = 0) -> str:
        environment = {**os.environ, "MLOPX_URL": url, "COLUMNS": "80", "NO_COLOR": "1"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mlopx", *arguments, stdout=-1, stderr=-1, env=environment
        )
        out, error = await process.communicate()
        assert process.returncode == code, error.decode()
        return out.decode() if code == 0 else error.decode()

    return run


@pytest.fixture(scope="session")
def serving_at() -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Opens an application on a folder of one's choice."""
    return serving
