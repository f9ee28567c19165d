"""The real application on a folder of its own: store, scheduler, strategy and agents are real, the socket is not."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from mlopx import remote
from mlopx.cli import main as client_command
from mlopx.remote import Client
from server.bootstrap import running
from server.cli import main as server_command
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
LONG_SECONDS = 90.0
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

    async def foretold(self, run_id: str) -> dict[str, Any]:
        """The run, explained, when its end is predicted: what a run took is learnt beside its end."""
        async with asyncio.timeout(LONG_SECONDS):
            while True:
                found: dict[str, Any] = await self.get(f"/api/v1/runs/{run_id}/explain")
                if found["ends"]:
                    return found
                await asyncio.sleep(0.05)

    async def explained(self, run_id: str) -> list[dict[str, Any]]:
        """The run's tasks in the queue when the picture of the cluster that explains them has them all."""
        async with asyncio.timeout(LONG_SECONDS):
            while True:
                tasks = (await self.get("/api/v1/queue"))["tasks"]
                found = [task for task in tasks if task["run_id"] == run_id]
                if found and all(task["waiting"] for task in found):
                    return found
                await asyncio.sleep(0.05)


class Latch:
    """Holds tasks until a test has seen what it came for: a file on which they wait, where every user may look."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "open"

    def source(self, seconds: float = 0.0) -> str:
        """A greeting that takes so long at least, and as long as this is shut."""
        return (
            "def greet(name: str) -> str:\n"
            "    import os, time\n"
            f"    time.sleep({seconds})\n"
            f"    while not os.path.exists({str(self._file)!r}):\n"
            "        time.sleep(0.01)\n"
            "    return name\n"
        )

    def open(self) -> None:
        """Let them go on."""
        self._file.touch()

    def shut(self) -> None:
        """Hold those that come from now on."""
        self._file.unlink()


@pytest.fixture
def latch() -> Iterator[Latch]:
    """A latch, shut; open at the end."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        found = Latch(Path(folder))
        yield found
        found.open()


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
            "placer_time_limit": 60.0,  # a busy machine is no late strategy
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


def _called(program: Callable[[], None], arguments: Sequence[str], **environment: str) -> tuple[int, str, str]:
    """Call a command's entry point here, which spares a process that would load everything anew: its exit code, and
    what it printed."""
    out, error, code = io.StringIO(), io.StringIO(), 0

    def client(*given: Any, **more: Any) -> Client:
        return opened.enter_context(Client(*given, **more))

    with (
        contextlib.ExitStack() as opened,  # a command leaves its connections to the end of its process
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
    ):
        patch.setattr(sys, "argv", ["command", *arguments])
        patch.setattr(remote, "Client", client)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            program()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue(), error.getvalue()


@pytest.fixture(scope="session")
def mlopx() -> Callable[..., Awaitable[str]]:
    """Runs the command in 80 columns: `await mlopx(url, "queue")` is what it prints."""

    async def run(url: str, *arguments: str, code: int = 0) -> str:
        environment = {"MLOPX_URL": url, "COLUMNS": "80", "NO_COLOR": "1"}
        ended, out, error = await asyncio.to_thread(_called, client_command, arguments, **environment)
        assert ended == code, error
        return out if code == 0 else error

    return run


@pytest.fixture(scope="session")
def mlopx_server() -> Callable[..., Awaitable[tuple[int, str, str]]]:
    """Runs the server's command over a state folder: its exit code, and what it prints."""

    async def run(state: Path, *arguments: str) -> tuple[int, str, str]:
        return await asyncio.to_thread(_called, server_command, arguments, STATE_DIR=str(state))

    return run


@pytest.fixture(scope="session")
def serving_at() -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Opens an application on a folder of one's choice."""
    return serving
