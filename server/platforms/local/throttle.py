"""Giving a task its share of the CPU, whatever it does: by cgroup where one can be made, else by a governor.

A throttle is chosen once per agent, in this order: delegated cgroup v2, writable cgroup v1, the governor, which every
10 ms compares the CPU time of all processes of a task with its credit and stops or continues them.
"""

from __future__ import annotations

import contextlib
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

PERIOD_SECONDS = 0.1
TICK_SECONDS = 0.01
NANO = 1_000_000_000


class Throttle(ABC):
    """Bounds the CPU of tasks. `needs_ticks`: `tick` must be called every `TICK_SECONDS` while a task runs."""

    name: str
    needs_ticks = False

    @abstractmethod
    def prepare(self, task: str, cores: float) -> list[str]:
        """Make room for a task; files into which its first process writes its pid before it does anything."""

    @abstractmethod
    def release(self, task: str) -> None:
        """The task is over and none of its processes is left."""

    def tick(self, task: str, pids: Sequence[int], elapsed_seconds: float) -> None:  # noqa: B027 - most need none
        """Look after one task (governor only)."""

    def resume(self, pids: Iterable[int]) -> None:
        """Let every process go on, before it is ended or when the agent leaves."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGCONT)


class NoThrottle(Throttle):
    """Lets tasks use what they get."""

    name = "none"

    def prepare(self, task: str, cores: float) -> list[str]:
        return []

    def release(self, task: str) -> None:
        """Nothing was made."""


class CgroupV1(Throttle):
    """One cgroup per task below the agent's own, in the v1 cpu hierarchy."""

    name = "cgroup-v1"

    def __init__(self, parent: Path) -> None:
        self._parent = parent

    @classmethod
    def probe(cls, root: Path, own: str, tag: str) -> CgroupV1 | None:
        """A usable one, or None. `own` is the text of /proc/self/cgroup."""
        for line in own.splitlines():
            _, controllers, path = line.split(":", 2)
            if "cpu" in controllers.split(","):
                for name in (controllers, "cpu"):
                    parent = root / name / path.lstrip("/") / f"mlopx-{tag}"
                    if _can_make(parent, "cpu.cfs_quota_us"):
                        return cls(parent)
        return None

    def prepare(self, task: str, cores: float) -> list[str]:
        group = self._parent / task
        group.mkdir(exist_ok=True)
        period = int(PERIOD_SECONDS * 1_000_000)
        (group / "cpu.cfs_period_us").write_text(str(period))
        (group / "cpu.cfs_quota_us").write_text(str(max(1000, int(cores * period))))
        return [str(group / "cgroup.procs")]

    def release(self, task: str) -> None:
        with contextlib.suppress(OSError):
            (self._parent / task).rmdir()

    def close(self) -> None:
        """Remove what is left."""
        with contextlib.suppress(OSError):
            for group in self._parent.iterdir():
                if group.is_dir():
                    group.rmdir()
            self._parent.rmdir()


class CgroupV2(CgroupV1):
    """One cgroup per task below the agent's own, in a delegated v2 tree."""

    name = "cgroup-v2"

    @classmethod
    def probe(cls, root: Path, own: str, tag: str) -> CgroupV2 | None:
        path = next((line[3:] for line in own.splitlines() if line.startswith("0::")), None)
        if path is None or not (root / "cgroup.controllers").exists():
            return None
        parent = root / path.lstrip("/") / f"mlopx-{tag}"
        if not _can_make(parent, "cgroup.procs"):
            return None
        try:
            (parent / "cgroup.subtree_control").write_text("+cpu")
        except OSError:
            parent.rmdir()
            return None
        return cls(parent)

    def prepare(self, task: str, cores: float) -> list[str]:
        group = self._parent / task
        group.mkdir(exist_ok=True)
        period = int(PERIOD_SECONDS * 1_000_000)
        (group / "cpu.max").write_text(f"{max(1000, int(cores * period))} {period}")
        return [str(group / "cgroup.procs")]


class Governor(Throttle):
    """A token bucket in user space. Credit grows with time x share, at most one period's worth; processes of a task
    that spent it are stopped until it is positive again."""

    name = "governor"
    needs_ticks = True

    def __init__(self, cpu_nanoseconds: Callable[[int], int], send: Callable[[int, int], None] = os.kill) -> None:
        self._cpu, self._send = cpu_nanoseconds, send
        self._cores: dict[str, float] = {}
        self._credit: dict[str, float] = {}
        self._seen: dict[str, dict[int, int]] = {}
        self._stopped: set[str] = set()

    def prepare(self, task: str, cores: float) -> list[str]:
        self._cores[task], self._credit[task], self._seen[task] = cores, cores * PERIOD_SECONDS, {}
        return []

    def release(self, task: str) -> None:
        for table in (self._cores, self._credit, self._seen):
            table.pop(task, None)
        self._stopped.discard(task)

    def tick(self, task: str, pids: Sequence[int], elapsed_seconds: float) -> None:
        cores, seen = self._cores[task], self._seen[task]
        spent = 0
        for pid in pids:
            now = self._cpu(pid)
            spent += max(now - seen.get(pid, 0), 0)
            seen[pid] = max(now, seen.get(pid, 0))
        credit = self._credit[task] + elapsed_seconds * cores - spent / NANO
        self._credit[task] = credit = min(credit, cores * PERIOD_SECONDS)
        if credit < 0:
            self._stopped.add(task)
            self._signal(pids, signal.SIGSTOP)
        elif task in self._stopped:
            self._stopped.discard(task)
            self._signal(pids, signal.SIGCONT)

    def _signal(self, pids: Sequence[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                self._send(pid, number)


def choose(wanted: str, tag: str, cpu_nanoseconds: Callable[[int], int]) -> Throttle:
    """The best throttle this machine allows, or the one wanted. Raises RuntimeError if the wanted one cannot be."""
    root = Path("/sys/fs/cgroup")
    try:
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        own = ""
    if wanted == "none":
        return NoThrottle()
    if wanted in ("auto", "cgroup-v2"):
        found: Throttle | None = CgroupV2.probe(root, own, tag)
        if found is not None:
            return found
    if wanted in ("auto", "cgroup-v1"):
        found = CgroupV1.probe(root, own, tag)
        if found is not None:
            return found
    if wanted in ("auto", "governor"):
        return Governor(cpu_nanoseconds)
    raise RuntimeError(f"this machine allows no {wanted} to this user")


def _can_make(group: Path, file: str) -> bool:
    """Whether the cgroup can be made and has this control file."""
    try:
        group.mkdir(exist_ok=True)
    except OSError:
        return False
    if (group / file).exists() and os.access(group / file, os.W_OK):
        return True
    with contextlib.suppress(OSError):
        group.rmdir()
    return False
