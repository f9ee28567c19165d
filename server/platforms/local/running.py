"""One task inside an agent: what was ordered, how it stands, and what to say of its end."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.platforms.local.log_file import LogFile


@dataclass(slots=True)
class Running:
    """A task that an agent has started or is starting. Times are seconds since the epoch."""

    id: str
    tag: str
    order: dict[str, Any]
    log: LogFile
    started_at: float
    pid: int | None = None
    base_bytes: int = 0
    peak_bytes: int = 0
    ending: str | None = None
    handles: list[Any] = field(default_factory=list)

    @property
    def memory_bytes(self) -> int | None:
        """Its memory limit, if it has one."""
        limit = self.order.get("memory_bytes")
        return int(limit) if limit else None


def describe_end(task: Running, status: int, ended_at: float) -> dict[str, Any]:
    """What is told of a task that ended with `status` (negative: by that signal)."""
    result = _read_result(Path(task.order["manifest"]["result_path"]))
    message: dict[str, Any] = {
        "event": "ended",
        "id": task.id,
        "started_at": task.started_at,
        "ended_at": ended_at,
        "peak_memory_bytes": task.peak_bytes,
        "outputs": {},
        "error": None,
    }
    if task.ending == "cancel":
        return {**message, "outcome": "cancelled"}
    if task.ending is None and result is not None:
        return {**message, "outcome": result["state"], "outputs": result["outputs"], "error": result["error"]}
    return {**message, "outcome": "failed", "error": _error(task, status)}


def _error(task: Running, status: int) -> dict[str, Any]:
    code = status if status >= 0 else 128 - status
    if task.ending == "oom":
        used, limit = task.peak_bytes / 2**20, (task.memory_bytes or 0) / 2**20
        return {
            "kind": "oom",
            "message": f"OOMKilled: it used {used:.0f} MiB of the {limit:.0f} MiB it asked for",
            "hint": "ask for more: .request(memory=...)",
            "exit_code": code,
        }
    if task.ending == "timeout":
        limit_seconds = task.order.get("timeout_seconds")
        return {
            "kind": "timeout",
            "message": f"it ran longer than its timeout of {limit_seconds:g} s",
            "hint": "raise .timeout(...), or give it a faster node",
            "exit_code": code,
        }
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        text = f"the process was killed by {name} (exit code {code})"
    else:
        text = f"the process ended with exit code {code} before the task was done"
    return {"kind": "exit-code", "message": text, "hint": "its log may say why", "exit_code": code}


def _read_result(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "state" in found else None


def give_folder(path: Path, uid: int | None) -> None:
    """Make a folder that the task's user may write."""
    path.mkdir(parents=True, exist_ok=True)
    if uid is not None:
        os.chown(path, uid, uid)


def take_back(folder: Path) -> None:
    """Make what a task wrote belong to this process again, so that later tasks cannot change it."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(root, name), os.getuid(), os.getgid(), follow_symlinks=False)
    os.chown(folder, os.getuid(), os.getgid())
