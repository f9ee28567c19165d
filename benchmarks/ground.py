"""A server process of its own for one benchmark, on a folder and a port of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlopx.errors import MlopxError
from mlopx.remote import Client

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
ENDS = ("succeeded", "failed", "cancelled")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class BenchServer:
    """A running server: its address, its process, its state folder and a client."""

    url: str
    pid: int
    state: Path
    client: Client

    def cpu_seconds(self) -> float:
        """CPU time of the server process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mib(self) -> float:
        """Memory that the server process holds."""
        line = next(x for x in Path(f"/proc/{self.pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def ended(self, run_id: str, seconds: float = 300.0) -> dict[str, Any]:
        """The run, once it has ended. Raises RuntimeError if it did not succeed, TimeoutError if it does not end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            run: dict[str, Any] = self.client.get(f"/api/v1/runs/{run_id}")
            if run["state"] in ENDS:
                if run["state"] != "succeeded":
                    raise RuntimeError(f"run {run_id} {run['state']}: {run.get('error')}")
                return run
            time.sleep(0.1)
        raise TimeoutError(f"run {run_id} did not end within {seconds:g} s")


@contextmanager
def serving(folder: Path, cluster: str, **settings: str) -> Iterator[BenchServer]:
    """A server over `folder` with these nodes (the text of a cluster.toml); it and its agents end with the block."""
    folder.mkdir(parents=True)
    (folder / "cluster.toml").write_text(cluster, encoding="utf-8")
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLOPX_")}
    state = folder / "state"
    ours = {"STATE_DIR": str(state), "CLUSTER_FILE": str(folder / "cluster.toml"), "AGENT_GRACE_SECONDS": "0"}
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "server.main:app", "--port", str(port), "--no-access-log"],
            cwd=ROOT,
            env={**clean, **ours, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            _wait_ready(client, process, folder / "server.log")
            yield BenchServer(client.url, process.pid, state, client)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(client: Client, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(MlopxError):
            client.get("/readyz")
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")
