"""What all tests share: sockets only on loopback, tests that need a program skipped by name, strict mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

IS_STRICT = os.environ.get("MLOPX_STRICT_TESTS") == "1"
ROOT = Path(__file__).resolve().parent.parent

# Tests start hundreds of Python processes: what one has compiled, the next one finds, whatever the shell says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A slow machine is no fault. In strict mode examples are the same every time; developers' runs find new ones.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=IS_STRICT or "CI" in os.environ,
)
settings.load_profile("any machine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        missing = [name for name in marker.args if not _is_there(name)]
        if missing:
            pytest.skip(f"needs {', '.join(missing)}, which is not installed here")


def _is_there(name: str) -> bool:
    """Whether a program is installed, or (`python3-NAME`) a module of the system's own Python."""
    if not name.startswith("python3-"):
        return shutil.which(name) is not None
    look = ["/usr/bin/python3", "-c", f"import {name.removeprefix('python3-')}"]
    return shutil.which(look[0]) is not None and subprocess.run(look, capture_output=True, check=False).returncode == 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    if IS_STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in strict mode that is a failure: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees settings of the developer's own shell."""
    for name in list(os.environ):
        if name.startswith("MLOPX_") and name not in ("MLOPX_STRICT_TESTS", "MLOPX_TEST_WORKERS", "MLOPX_BENCH_DATA"):
            monkeypatch.delenv(name)
    for name in [name for name in os.environ if name.startswith(("KFP_", "KUBE"))]:
        monkeypatch.delenv(name)
    for name in ("PROMETHEUS_URL", "PIPELINES_DIR", "PLACER", "PLATFORM", "DATABASE_URL", "STATE_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would speak to another machine fails."""
    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> Any:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"tests may only connect to loopback, not to {host}")
        return real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on the event loop that the server runs on."""
    return "asyncio"
