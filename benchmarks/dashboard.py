"""How soon pages of the dashboard can be used, in a real Chromium: a run of 500 tasks, and a list of 1,000 runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.ground import serving
from benchmarks.measure import Measure

TASKS, RUNS = 500, 1000
MOST_MS, LONGEST_TASK_MS = 1000, 200
SETTLE_MS = 2500
CLUSTER = """
allow_overcommit = true
[agent]
preload = []
[[node]]
name = "one"
cpus = 1
memory = "1Gi"
[[node_group]]
name = "rented"
cpus = 8
memory = "8Gi"
accelerators = [{ kind = "nvidia.com/gpu", count = 1, memory = "16Gi" }]
"""
WATCH = """
window.longTasks = [];
new PerformanceObserver(list => list.getEntries().forEach(one => longTasks.push(one.duration)))
  .observe({ type: "longtask", buffered: true });
"""
UNTIL = """selector => new Promise(done => {
  const look = () => document.querySelector(selector) ? done(performance.now()) : requestAnimationFrame(look);
  look();
})"""
UNFOLD = """() => new Promise(done => {
  const began = performance.now();
  [...document.querySelectorAll("button")].find(one => one.textContent === "Unfold").click();
  const look = () => document.querySelector(".graph svg")?.clientHeight > 10000
    ? done(performance.now() - began) : requestAnimationFrame(look);
  look();
})"""


def measure(folder: Path) -> Iterator[Measure]:
    """Milliseconds until each page shows its content, and the longest task of its script until it rests."""
    browser_path = shutil.which("chromium")
    if browser_path is None:
        return
    from playwright.sync_api import sync_playwright

    with serving(folder / "dashboard", CLUSTER) as server, sync_playwright() as playwright:
        run = server.client.post("/api/v1/runs", {"spec": wide_pipeline()})["run"]["id"]
        chromium = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        pages = {
            f"graph of {TASKS} tasks": (f"runs/{run}", "[data-box]"),
            f"list of {TASKS} tasks": (f"runs/{run}/tasks", ".list-row"),
            f"list of {RUNS} runs": ("runs", ".list-row"),
            "overview": ("", ".tile"),
        }
        for name, (address, selector) in pages.items():
            page = chromium.new_page(viewport={"width": 1300, "height": 850})
            page.add_init_script(WATCH)
            page.route("**/api/v1/runs?limit=500*", lambda route: route.fulfill(body=many_runs()))
            devtools = page.context.new_cdp_session(page)
            devtools.send("Performance.enable")
            page.goto(f"{server.url}/ui/#/{address}")
            yield Measure(f"{name}, until it is there", page.evaluate(UNTIL, selector), "ms", most=MOST_MS)
            if name.startswith("graph"):
                yield Measure(f"{name}, unfolded", page.evaluate(UNFOLD), "ms", most=MOST_MS)
            page.wait_for_timeout(SETTLE_MS)
            longest = max(page.evaluate("longTasks"), default=0)
            yield Measure(f"{name}, longest task of its script", longest, "ms", most=LONGEST_TASK_MS)
            figures = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
            yield Measure(f"{name}, CPU time of the page's thread in all", figures["ThreadTime"] * 1000, "ms")
            page.close()
        chromium.close()


def wide_pipeline() -> dict[str, Any]:
    """Many tasks in nested parts, behind one that waits for a node that is not there."""
    wanted = {"accelerator": {"accelerator": "nvidia.com/gpu", "count": 1}}
    tasks: dict[str, Any] = {"first": {"component": "nap", "resources": wanted}}
    scopes: dict[str, Any] = {}
    for number in range(TASKS - 1):
        part = f"part-{number // 20}"
        scopes[part] = {"kind": "pipeline", "pipeline": "part"}
        tasks[f"{part}/step-{number}"] = {"component": "nap", "after": ["first"], "scope": part}
    code = {"kind": "function", "source": "def nap():\n    pass\n", "entrypoint": "nap"}
    base = {"kind": "mlopx.PipelineSpec", "version": "1.0", "name": "wide", "scopes": scopes, "tasks": tasks}
    return {**base, "components": {"nap": {"name": "nap", "code": code}}}


def many_runs() -> str:
    """An answer with many runs."""
    at = "2026-01-31T12:00:00+00:00"
    row = {"name": "many", "state": "succeeded", "project": "default", "priority": 0, "error": "", "retry_of": None}
    times = {"submitted_at": at, "started_at": at, "finished_at": at}
    spans = {"waiting_seconds": 1.0, "execution_seconds": 8.0, "turnaround_seconds": 9.0}
    return json.dumps(
        {"runs": [{"id": f"many-{number}", **row, **times, **spans} for number in range(RUNS)], "next": None}
    )
