"""`mlopx watch`: a run live in the terminal, with its tasks and what ran where; plain lines where there is none."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from mlopx.cli.finding import find_run
from mlopx.cli.following import follow
from mlopx.cli.gantt import gantt_text
from mlopx.cli.output import console, span, state, table
from mlopx.remote import Client, RunHandle
from mlopx.remote.runs import ENDS

REFRESH_SECONDS = 0.5
MOST_ROWS = 25


def watch(client: Client, text: str) -> None:
    """Follow a run to its end. Raises RunFailedError if it fails."""
    handle = RunHandle(find_run(client, text), client)
    if not sys.stdout.isatty():
        follow(handle)
        return
    out = console()
    with Live(console=out, refresh_per_second=4, transient=False) as live:
        while True:
            detail = handle.detail()
            live.update(picture(detail, client.get("/api/v1/nodes")["nodes"], out.width))
            if detail["state"] in ENDS:
                break
            time.sleep(REFRESH_SECONDS)
    handle.wait()


def picture(detail: dict[str, Any], nodes: list[dict[str, Any]], width: int) -> Group:
    """One frame: the run's state, its tasks, and a Gantt chart of what ran so far."""
    order = {"running": 0, "queued": 1, "placed": 1, "ready": 2, "failed": 0}
    tasks = sorted(detail["tasks"], key=lambda task: order.get(task["state"], 3))[:MOST_ROWS]
    rows = [(task["key"], state(task["state"]), task["node"] or "-", task["hold"][:60]) for task in tasks]
    done = sum(task["state"] in ("succeeded", "skipped") for task in detail["tasks"])
    head = Text.assemble(
        f"run {detail['id']}  ", state(detail["state"]), f"  {done} of {len(detail['tasks'])} tasks done  "
    )
    head.append(span(detail["turnaround_seconds"] or _since(detail["submitted_at"])))
    parts: list[Any] = [head, Text(), table(("task", "state", "node", "waits for"), rows), Text()]
    parts.append(Text(gantt_text([so_far(detail)], nodes, min(width, 100))))
    return Group(*parts)


def so_far(detail: dict[str, Any]) -> dict[str, Any]:
    """The run with its running attempts ending now, for drawing."""
    now = datetime.now(UTC).isoformat()  # noqa: TID251 - a live view of the present
    tasks = []
    for task in detail["tasks"]:
        attempts = []
        for attempt in task["attempts"]:
            is_running = attempt["started_at"] and not attempt["finished_at"]
            is_fine = {"state": "succeeded", "finished_at": now} if is_running else {}
            attempts.append({**attempt, **is_fine})
        tasks.append({**task, "attempts": attempts})
    return {**detail, "tasks": tasks}


def _since(text: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()  # noqa: TID251 - a live view
