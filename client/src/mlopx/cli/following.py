"""Following a run in plain lines, until it ends: what it waits for, and what its tasks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlopx.remote import RunHandle

WORDS = {
    "task-started": "started",
    "task-succeeded": "succeeded",
    "task-failed": "failed",
    "task-lost": "was lost; it is placed again",
    "task-skipped": "skipped",
    "task-cancelled": "cancelled",
}
POLL_SECONDS = 0.4
WAITS_EVERY = 10
"""A run that has not begun is asked so rarely what it waits for: every so many polls."""


def follow(run: RunHandle, *, as_json: bool = False) -> None:
    """Print what happens to a run, as lines or as JSON objects (the last is the run). Raises RunFailedError."""
    import itertools
    import json
    import time

    after, waited_for = 0, ""
    for poll in itertools.count():
        detail = run.detail()
        if detail["state"] == "waiting" and poll % WAITS_EVERY == 1 and not as_json:
            waited_for = _tell_wait(run, waited_for)
        for event in run.events(after=after):
            after = event["id"]
            line = json.dumps(event, ensure_ascii=False) if as_json else _line(event)
            if line:
                print(line, flush=True)  # noqa: T201 - a command's output
        if detail["state"] in ("succeeded", "failed", "cancelled"):
            if as_json:
                summary = {name: value for name, value in detail.items() if name not in ("tasks", "graph")}
                print(json.dumps({"run": summary}, ensure_ascii=False), flush=True)  # noqa: T201 - likewise
            run.wait()
            if as_json:
                return
            print(f"run {run.id} succeeded in {detail['turnaround_seconds']:.1f} s", flush=True)  # noqa: T201 - likewise
            return
        time.sleep(POLL_SECONDS)


def _tell_wait(run: RunHandle, before: str) -> str:
    """Say what a run waits for, unless that was said before; the answer is what was said, without what changes."""
    found = run.client.get(f"/api/v1/runs/{run.id}/explain")
    waits = [task["waiting"] for task in found["tasks"] if task["waiting"] and task["waiting"]["kind"] != "dependency"]
    said = str([(one["kind"], one["nodes"]) for one in waits]) if waits else ""
    if said not in ("", before):
        print(f"{found['at'][11:19]}  {found['sentence']}", flush=True)  # noqa: T201 - a command's output
    return said


def _line(event: dict[str, object]) -> str | None:
    word = WORDS.get(str(event["kind"]))
    if word is None:
        return None
    at = str(event["at"])[11:19]
    data = event["data"]
    node = data.get("node") if isinstance(data, dict) else None
    reason = data.get("reason") if isinstance(data, dict) else None
    tail = f" on {node}" if node else f" ({reason})" if reason else ""
    return f"{at}  {event['task']} {word}{tail}"
