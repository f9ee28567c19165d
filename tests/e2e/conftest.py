"""A real server of its own for each test: a process, a port, a folder, and nothing left when the test ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlopx.remote import Client
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
labels = { worker_type = "low" }
"""
LONG_SECONDS = 60.0


class Server(ServerProcess):
    """A server process with its agents, and what users do with it. Its strategy is a quick one unless a test names
    another: the default one loads a compiler at each start. Its agents end with it unless a test gives them time."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, CLUSTER, **{"PLACER": "fifo_greedy", "PLACER_TIME_LIMIT": "60", **settings})
        self.client = Client(self.url)

    def kill_agents(self) -> None:
        """Kill the agents of all nodes."""
        found = [pid for pid in pids() if "server.platforms.local.agent" in command(pid)]
        for pid in found:
            if str(self.folder) in command(pid):
                os.kill(pid, signal.SIGKILL)

    def submit(self, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a definition file as its user would."""
        return subprocess.run(
            [sys.executable, str(file), *options],
            cwd=file.parent,
            env={**os.environ, "MLOPX_URL": self.url},
            capture_output=True,
            text=True,
            timeout=2 * LONG_SECONDS,
            check=False,
        )

    def ended(self, run_id: str, seconds: float = 2 * LONG_SECONDS) -> dict[str, Any]:
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
        if self.settings["AGENT_GRACE_SECONDS"] != "0" or self.process.poll() == -signal.SIGKILL:
            self.settings["AGENT_GRACE_SECONDS"] = "0"  # whoever starts next ends agents that are left
            self.kill()
            self.start()
        self.stop()
        self.client.close()
        state = str(self.folder / "state")
        end = time.monotonic() + LONG_SECONDS
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


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers, each over a folder of its own."""
    made: list[Server] = []

    def make(name: str = "server", **settings: str) -> Server:
        (tmp_path / name).mkdir(exist_ok=True)
        server = Server(tmp_path / name, **settings)
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


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for tests of a module that leave it as it was."""
    made = Server(tmp_path_factory.mktemp("shared"))
    made.start()
    yield made
    made.close()


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
