"""A real server of its own for each test: a process, a port, a folder, and nothing left when the test ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlopx.errors import MlopxError
from mlopx.remote import Client

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
labels = { worker_type = "low" }
"""
START_SECONDS = 30.0


class Server:
    """A server process over one state folder, which can be killed and started again."""

    def __init__(self, root: Path, folder: Path, **settings: str) -> None:
        self.root, self.folder = root, folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "cluster.toml").write_text(CLUSTER)
        self.settings = {
            "STATE_DIR": str(folder / "state"),
            "CLUSTER_FILE": str(folder / "cluster.toml"),
            "AGENT_GRACE_SECONDS": "20",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.client = Client(self.url)

    def start(self, *, wait: bool = True) -> None:
        """Start the process; `wait` until it is ready."""
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "server.main:app", "--port", str(self.port), "--no-access-log"],
                cwd=self.root,
                env={**os.environ, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it answers that it is ready."""
        end = time.monotonic() + START_SECONDS
        while True:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    self.client.get("/readyz")
                    return
            except (OSError, MlopxError):
                assert time.monotonic() < end, self.log()
                time.sleep(0.05)

    def kill(self) -> None:
        """End it without a warning, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def kill_agents(self) -> None:
        """Kill the agents of all nodes."""
        found = [pid for pid in pids() if "server.platforms.local.agent" in command(pid)]
        for pid in found:
            if str(self.folder) in command(pid):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    def log(self) -> str:
        """What it said."""
        return (self.folder / "server.log").read_text()

    def submit(self, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a definition file as its user would."""
        return subprocess.run(
            [sys.executable, str(file), *options],
            cwd=file.parent,
            env={**os.environ, "MLOPX_URL": self.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ended(self, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """The run, once it has ended."""
        end = time.monotonic() + seconds
        while True:
            run: dict[str, Any] = self.client.get(f"/api/v1/runs/{run_id}")
            if run["state"] in ("succeeded", "failed", "cancelled"):
                return run
            assert time.monotonic() < end, (
                f"{run['state']}: {[(t['key'], t['state'], t['hold']) for t in run['tasks']]}"
            )
            time.sleep(0.05)

    def close(self) -> None:
        """End it, its agents and all they run; nothing may be left."""
        if self.process is None:
            return
        if self.process.poll() is not None:
            self.start()
        self.settings["AGENT_GRACE_SECONDS"] = "0"
        self.kill()
        self.start()
        self.stop()
        self.client.close()
        state = str(self.folder / "state")
        end = time.monotonic() + 10
        while left := [pid for pid in pids() if state in command(pid)]:
            assert time.monotonic() < end, [command(pid) for pid in left]
            time.sleep(0.05)


def pids() -> list[int]:
    """All processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command(pid: int) -> str:
    """Command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make_server(project_root: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers, each over a folder of its own."""
    made: list[Server] = []

    def make(name: str = "server", **settings: str) -> Server:
        (tmp_path / name).mkdir(exist_ok=True)
        server = Server(project_root, tmp_path / name, **settings)
        made.append(server)
        return server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A running server."""
    made = make_server()
    made.start()
    return made


@pytest.fixture
def define(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a definition file."""

    def write(name: str, source: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def kubeconfig_for(tmp_path: Path) -> Callable[[str], str]:
    """Writes the kubeconfig of an API server at a URL; its path."""

    def write(url: str) -> str:
        path = tmp_path / "kubeconfig"
        document = {
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "double"}}],
            "clusters": [{"name": "double", "cluster": {"server": url}}],
        }
        path.write_text(json.dumps(document))
        return str(path)

    return write
