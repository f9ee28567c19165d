"""A server process of its own for one benchmark, on a folder and a port of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlopx.remote import Client
from server.testing.processes import ServerProcess

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
    server = ServerProcess(folder, cluster, **settings)
    server.start()
    assert server.process is not None
    try:
        with Client(server.url) as client:
            yield BenchServer(server.url, server.process.pid, folder / "state", client)
    finally:
        server.stop()
