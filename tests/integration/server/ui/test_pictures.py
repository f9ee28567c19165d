"""The pictures of the documents, taken while the examples run; each shows what the documents say of it.

With `DASHBOARD_PICTURES` (a folder) all examples run, several times, and the pictures are kept there: that is how
`utils/screenshots.py` takes those in `images/`. Without, one small example runs, and the pictures are thrown away.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("chromium")

ROOT = Path(__file__).parents[4]
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
LIVE = ("waiting", "dispatched", "running", "finishing", "cancelling")
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs, how often before the pictures are taken, and which run and task they show."""

    pipelines: tuple[str, ...]
    rounds: int
    shown: str
    task: str
    settings: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    kept = os.environ.get("DASHBOARD_PICTURES")
    if kept:
        every = ("diamonds", "segments", "languages", "bikes", "digits")
        return Scene(every, 2, "diamonds", "fit.1", {"PLACER": "online", "SHADOW": "srpt_eft"}, Path(kept))
    few = {"PLACER": "fifo_greedy", "SHADOW": "fifo_round_robin"}
    return Scene(("digits",), 1, "digits", "train-network", few, tmp_path_factory.mktemp("pictures"))


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "the runs did not get ready in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def work(real_server: Any, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server on which the examples have run before."""
    server = real_server(tmp_path_factory.mktemp("examples"), cluster=CLUSTER, **scene.settings)
    server.start()
    for _ in range(scene.rounds):
        submit(server, scene)
        until(lambda: is_idle(server))
    yield server
    server.kill()
    server.http.close()


def submit(server: Any, scene: Scene) -> None:
    """Submit the examples, each to run anew."""
    environment = {**os.environ, "MLOPX_URL": server.url}
    for name in scene.pipelines:
        command = [sys.executable, "-m", "mlopx", "submit", "--no-cache", str(ROOT / "pipelines" / f"{name}.py")]
        subprocess.run(command, check=True, env=environment, capture_output=True)


def is_idle(server: Any) -> bool:
    states = server.http.get("/").json()["runs"]
    return not any(states.get(state) for state in LIVE)


def newest(server: Any, name: str) -> str:
    return str(server.http.get("/api/v1/runs", params={"name": name, "limit": 1}).json()["runs"][0]["id"])


def has_begun(server: Any, run: str) -> bool:
    tasks = server.http.get(f"/api/v1/runs/{run}").json()["tasks"]
    return any(task["state"] in ("running", "succeeded") for task in tasks)


def test_the_pictures_show_what_the_documents_say(browser: Any, work: Any, scene: Scene, make: dict[str, Any]) -> None:
    pages = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=SIZE, color_scheme=scheme, base_url=f"{work.url}/ui/")
        context.set_default_timeout(120_000)
        pages[scheme] = context.new_page()

    def take(name: str, scheme: str, address: str, shows: Callable[[Any], Any], seconds: float = 1.0) -> None:
        """A picture as soon as the page shows what it is taken for, and has come to rest."""
        page = pages[scheme]
        page.goto(address)
        page.locator("h1").first.wait_for()
        shows(page).first.wait_for()
        page.locator(".loading").first.wait_for(state="detached")
        page.wait_for_timeout(seconds * 1000)
        file = scene.folder / f"dashboard-{name}.png"
        page.screenshot(path=file)
        assert file.read_bytes().startswith(b"\x89PNG")

    for page in pages.values():
        page.goto("#/")
    for _ in range(scene.rounds):
        submit(work, scene)
    run = newest(work, scene.shown)
    until(lambda: has_begun(work, run))
    stays = None if os.environ.get("DASHBOARD_PICTURES") else work.submit(make["sleeper"]("stays"))
    if stays is not None:  # the small example may be over before a page is there
        work.wait(stays, "running")
    region = "region"
    take("overview", "light", "#/", lambda page: page.get_by_role(region, name="Running now").get_by_role("listitem"))
    if stays is not None:
        work.http.post(f"/api/v1/runs/{stays}/cancel").raise_for_status()
    until(lambda: is_idle(work))
    path = f"#/runs/{run}"
    take(
        "run", "dark", f"{path}?task={scene.task}", lambda page: page.get_by_role("complementary").get_by_text("ran on")
    )
    take("timeline", "light", f"{path}/gantt?by=node", lambda page: page.locator("[data-lane] .planned"))
    take("decision", "light", f"{path}/tasks/{scene.task}", lambda page: page.get_by_text("Predicted and actual"))
    take("plan", "dark", f"#/plan?run={run}", lambda page: page.get_by_role(region, name="Predicted, by node"))
    take("strategies", "light", "#/strategies", lambda page: page.get_by_role("img", name="Predicted against actual"))
    for page in pages.values():
        page.context.close()
