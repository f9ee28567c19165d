"""Servers in processes of their own: for tests from end to end, for the dashboard's, and for benchmarks."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 180.0
STOP_SECONDS = 90.0


LOWEST_PORT = 10_000
PORTS_OF_CALLERS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port of the loopback interface on which nobody listens, for a server that binds it later, perhaps again and
    again: where the system tells from which ports it serves callers, not one of those, which anybody may get meanwhile.
    """
    highest = int(PORTS_OF_CALLERS.read_text().split()[0]) if PORTS_OF_CALLERS.exists() else 0
    while True:
        wanted = LOWEST_PORT + secrets.randbelow(highest - LOWEST_PORT) if highest > 2 * LOWEST_PORT else 0
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])


class ServerProcess:
    """A server over one folder, which can be killed and started again at the same address.

    `settings` are environment variables; those of whoever calls hold as well. Attributes: `folder`, `port`, `url`,
    `settings` (read at every start), and `process`, None before the first start.
    """

    def __init__(self, folder: Path, cluster: str, **settings: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "cluster.toml").write_text(cluster, encoding="utf-8")
        self.settings = {
            "STATE_DIR": str(folder / "state"),
            "CLUSTER_FILE": str(folder / "cluster.toml"),
            "AGENT_GRACE_SECONDS": "0",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start the process; `wait` until it is ready."""
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "server.main:app", "--port", str(self.port), "--no-access-log"],
                cwd=ROOT,
                env={**os.environ, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it answers that it is ready. Raises RuntimeError with its log if it ends, or takes too long."""
        assert self.process is not None
        end = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=START_SECONDS).is_success:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.05)
        raise RuntimeError(f"the server did not get ready:\n{self.log()[-4000:]}")

    def kill(self) -> None:
        """End it without a warning, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as an operator would; nothing happens if it does not run."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)

    def log(self) -> str:
        """What it said so far, over all its starts."""
        return (self.folder / "server.log").read_text(errors="replace")


__all__ = ["ServerProcess", "free_port"]
