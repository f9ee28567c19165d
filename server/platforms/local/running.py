"""One task inside an agent: what was ordered, how it stands, and what to say of its end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server.platforms.local.child import FAILED_TO_START, RESULT_UNWRITTEN
from server.platforms.local.log_file import LogFile
from server.platforms.local.processes import proportional_bytes, resident_bytes

MIB = 1 << 20


@dataclass(slots=True)
class Running:
    """A task that an agent has started or is starting. Times are seconds since the epoch.

    `base_bytes` is what it shares with the zygote; `ending` is why the agent ends it: cancel, timeout, oom or stop.
    """

    id: str
    tag: str
    order: dict[str, Any]
    log: LogFile
    work_folder: str
    started_at: float | None = None
    pid: int | None = None
    base_bytes: int = 0
    used_bytes: int = 0
    peak_bytes: int = 0
    ending: str | None = None
    grace_seconds: float = 0.0
    looks_again_at: float = 0.0
    handles: list[Callable[[], object]] = field(default_factory=list)

    @property
    def memory_bytes(self) -> int | None:
        """Its memory limit, if it has one."""
        limit = self.order.get("memory_bytes")
        return int(limit) if limit else None

    def measure(self, pids: list[int]) -> None:
        """Note what the task's processes use, and the most so far."""
        self.used_bytes = self.memory_of(pids)
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)

    def memory_of(self, pids: list[int]) -> int:
        """What these processes of the task use. The dear, exact way is taken only where the cheap one may mislead."""
        used = sum(resident_bytes(pid) for pid in pids) - self.base_bytes
        limit = self.memory_bytes
        if len(pids) > 1 or (limit is not None and used > limit):
            used = min(used, sum(proportional_bytes(pid) for pid in pids))
        return max(used, 0)


def describe_end(task: Running, status: int, ended_at: float, result: dict[str, Any] | None) -> dict[str, Any]:
    """What is told of a task that ended with `status` (negative: by that signal)."""
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
    if result is not None and (task.ending is None or status == 0):
        return {**message, "outcome": result["state"], "outputs": result["outputs"], "error": result["error"]}
    if task.ending == "stop":
        return {**message, "outcome": "lost", "message": "its node's agent was told to stop"}
    return {**message, "outcome": "failed", "error": _error(task, status)}


def _error(task: Running, status: int) -> dict[str, Any]:
    code = status if status >= 0 else 128 - status
    if task.ending == "oom":
        used, limit = task.peak_bytes / MIB, (task.memory_bytes or 0) / MIB
        return {
            "kind": "oom",
            "message": f"OOMKilled: it used {used:.0f} MiB, and may use {limit:.0f} MiB",
            "hint": "request more memory for the task, or use a node that has more",
            "exit_code": 137,
        }
    if task.ending == "timeout":
        return {
            "kind": "timeout",
            "message": f"it ran longer than its timeout of {task.order['timeout_seconds']:g} s",
            "hint": "raise the timeout, or give the task a faster node",
            "exit_code": code,
        }
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        text = f"the process was killed by {name} (exit code {code})"
        hint = "if nobody did that, the machine may have run out of memory" if status == -signal.SIGKILL else ""
    elif status == FAILED_TO_START:
        text, hint = "the task's process could not be set up", "its log says what failed"
    elif status == RESULT_UNWRITTEN:
        text, hint = "the task ran, but its result could not be written", "free some space on the disk, and retry"
    else:
        text, hint = f"the process ended with exit code {code} before the task was done", ""
    return {"kind": "exit-code", "message": text, "hint": hint or "its log may say why", "exit_code": code}
