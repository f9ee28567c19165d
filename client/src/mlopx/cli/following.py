"""Following a run in plain lines, until it ends."""

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


def follow(run: RunHandle, *, as_json: bool = False) -> None:
    """Print what happens to a run, as lines or as JSON objects (the last is the run). Raises RunFailedError."""
    import json
    import time

    after = 0
    while True:
        detail = run.detail()
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
        time.sleep(0.4)


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
