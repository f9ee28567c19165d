"""Takes the pictures of the dashboard in `images/`: starts a server, runs the example pipelines, and looks at it.

`python utils/screenshots.py` needs Chromium and the development environment. The pictures differ a little each time.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
SIZE = {"width": 1280, "height": 800}
CLUSTER = """
allow_overcommit = true
[[node]]
name = "small"
cpus = 1
speed = 0.3
memory = "2Gi"
[[node]]
name = "medium"
cpus = 1
speed = 0.6
memory = "3Gi"
[[node]]
name = "large"
cpus = 2
memory = "6Gi"
"""
PIPELINES = ("diamonds", "segments", "languages", "bikes", "digits")
HISTORY_ROUNDS = 2
READY_SECONDS = 300.0


def main() -> int:
    """Take all pictures."""
    browser = shutil.which("chromium")
    if browser is None:
        print("Chromium is not installed (Debian: apt-get install chromium)")
        return 1
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        server = start(Path(folder), port)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
                look(http, port, browser)
        finally:
            server.terminate()
            server.wait()
    return 0


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A server with three unequal nodes."""
    (folder / "cluster.toml").write_text(CLUSTER)
    environment = {
        **os.environ,
        "STATE_DIR": str(folder / "state"),
        "CLUSTER_FILE": str(folder / "cluster.toml"),
        "AGENT_GRACE_SECONDS": "0",
        "SHADOW": "srpt_eft",
    }
    command = [sys.executable, "-m", "uvicorn", "server.main:app", "--port", str(port), "--log-level", "error"]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def look(http: httpx.Client, port: int, browser: str) -> None:
    """Let the examples run until there is history, then photograph them at work."""
    from playwright.sync_api import sync_playwright

    until(lambda: http.get("/healthz").status_code == 200)
    for _ in range(HISTORY_ROUNDS):
        submit(port)
        until(lambda: is_idle(http))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        pages = {scheme: chromium.new_page(viewport=SIZE, color_scheme=scheme) for scheme in ("light", "dark")}
        base = f"http://127.0.0.1:{port}/ui/#"
        pages["light"].goto(f"{base}/")
        submit(port)
        submit(port)
        take(pages["light"], f"{base}/", "overview", seconds=2)
        run = newest(http, "diamonds")
        take(pages["dark"], f"{base}/runs/{run}?task=fit.0", "run", seconds=3)
        take(pages["light"], f"{base}/runs/{run}/gantt?by=node", "timeline", seconds=2)
        until(lambda: is_idle(http))
        take(pages["light"], f"{base}/runs/{run}/tasks/fit.1", "decision", seconds=2)
        take(pages["dark"], f"{base}/plan?run={run}", "plan", seconds=4)
        take(pages["light"], f"{base}/strategies", "strategies", seconds=3)
        chromium.close()


def submit(port: int) -> None:
    """Submit all examples."""
    environment = {**os.environ, "MLOPX_URL": f"http://127.0.0.1:{port}"}
    for name in PIPELINES:
        path = str(ROOT / "pipelines" / f"{name}.py")
        subprocess.run([sys.executable, "-m", "mlopx", "submit", "--no-cache", path], check=True, env=environment)


def take(page: Any, address: str, name: str, *, seconds: float) -> None:
    """One picture."""
    page.set_default_timeout(120_000)
    page.goto(address)
    page.locator("h1").first.wait_for()
    page.locator(".loading").first.wait_for(state="detached")
    page.wait_for_timeout(seconds * 1000)
    page.screenshot(path=ROOT / "images" / f"dashboard-{name}.png")
    print(f"images/dashboard-{name}.png")


def newest(http: httpx.Client, name: str) -> str:
    """The newest run of a pipeline."""
    return str(http.get("/api/v1/runs", params={"name": name, "limit": 1}).json()["runs"][0]["id"])


def is_idle(http: httpx.Client) -> bool:
    """Whether no run is live."""
    states = http.get("/").json()["runs"]
    return not any(states.get(state) for state in ("waiting", "dispatched", "running", "finishing", "cancelling"))


def until(holds: Any) -> None:
    """Wait until something holds."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError("the server or its runs did not get ready in time")


if __name__ == "__main__":
    sys.exit(main())
