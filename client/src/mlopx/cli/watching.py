"""`mlopx watch`: a run live in the terminal, with its tasks and what ran where; plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from mlopx.cli.explaining import comes, short
from mlopx.cli.finding import find_run
from mlopx.cli.following import follow
from mlopx.cli.gantt import Bar, gantt_text, origin_of
from mlopx.cli.output import console, span, state, table
from mlopx.remote import Client, RunHandle
from mlopx.remote.runs import ENDS

REFRESH_SECONDS = 0.5
MOST_ROWS = 25


def watch(client: Client, text: str, *, as_json: bool = False) -> None:
    """Follow a run to its end. Raises RunFailedError if it fails."""
    handle = RunHandle(find_run(client, text), client)
    if as_json or not sys.stdout.isatty():
        follow(handle, as_json=as_json)
        return
    out = console()
    with Live(console=out, refresh_per_second=4, transient=False) as live:
        while True:
            detail = handle.detail()
            explained = client.get(f"/api/v1/runs/{handle.id}/explain")
            live.update(picture(detail, client.get("/api/v1/nodes")["nodes"], out.width, explained))
            if detail["state"] in ENDS:
                break
            time.sleep(REFRESH_SECONDS)
    handle.wait()


def picture(
    detail: dict[str, Any], nodes: list[dict[str, Any]], width: int, explained: Mapping[str, Any] | None = None
) -> Group:
    """One frame: the run in a sentence, its tasks with what they wait for, and what ran, runs and is to come."""
    said = {line["task"]: line for line in explained["tasks"]} if explained else {}
    order = {"running": 0, "queued": 1, "placed": 1, "ready": 2, "failed": 0}
    everything = sorted(detail["tasks"], key=lambda task: order.get(task["state"], 3))
    tasks = everything[:MOST_ROWS]
    names = min(max((len(task["key"]) for task in tasks), default=4), width // 3)
    nodes_wide = min(max((len(task["node"] or "") for task in tasks), default=4), 20)
    room = max(width - names - nodes_wide - 16, 20)
    rows = [
        (_cut(task["key"], names), state(task["state"]), _cut(task["node"] or "-", 20), _cut(_note(task, said), room))
        for task in tasks
    ]
    if len(everything) > len(tasks):
        rows.append((f"and {len(everything) - len(tasks)} more", Text(), "", ""))
    done = sum(task["state"] in ("succeeded", "skipped") for task in detail["tasks"])
    head = Text.assemble(
        f"run {detail['id']}  ", state(detail["state"]), f"  {done} of {len(detail['tasks'])} tasks done  "
    )
    head.append(span(detail["turnaround_seconds"] or _since(detail["submitted_at"])))
    if explained and explained["ends"]:
        head.append(f"  done {comes(explained['ends'])}")
    parts: list[Any] = [head, Text(), table(("task", "state", "node", "why"), rows), Text()]
    now = datetime.now(UTC)  # noqa: TID251 - a live view of the present
    coming = _coming(detail, said, nodes, now)
    parts.append(Text(gantt_text([so_far(detail, now)], nodes, min(width, 100), coming)))
    if coming:
        parts.append(Text(". = expected"))
    return Group(*parts)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _note(task: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    line = said.get(task["key"])
    if line is None or task["state"] in ("succeeded", "skipped"):
        return str(task["hold"])
    if line["state"] == "running" and line["ends"]:
        return f"done {comes(line['ends'])}, {line['why']}" if line["why"] else f"done {comes(line['ends'])}"
    return short(line).partition(", which is running")[0]


def _coming(
    detail: Mapping[str, Any], said: Mapping[str, Any], nodes: list[dict[str, Any]], now: datetime
) -> list[Bar]:
    """What is expected: the rest of running tasks, and tasks that have a place in the plan."""
    origin, names = origin_of([detail]), {node["name"] for node in nodes}
    present = (now - origin).total_seconds()
    found = []
    for line in said.values():
        node = line["planned_node"] or (line["node"] if line["state"] == "running" else None)
        if node is None or node not in names or not line["ends"]:
            continue
        begins = datetime.fromisoformat(line["starts"]["p50"]) if line["starts"] else None
        start = max((begins - origin).total_seconds() if begins else present, present)
        end = (datetime.fromisoformat(line["ends"]["p50"]) - origin).total_seconds()
        if end > start:
            found.append(Bar(detail["id"], line["task"], node, start, end, 1.0, is_failed=False, is_coming=True))
    return sorted(found, key=lambda bar: bar.start)


def so_far(detail: dict[str, Any], at: datetime | None = None) -> dict[str, Any]:
    """The run with its running attempts ending now, or then, for drawing."""
    now = (at or datetime.now(UTC)).isoformat()  # noqa: TID251 - a live view of the present
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
