"""Bounding tasks by the kernel: a cgroup per task, below the one that the agent is in, v2 where delegated or else v1.

A process is never moved out of the cgroup it was started in, only into a group below it. `choose` finds the best way
that this machine allows to this user.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from server.platforms.local.throttle import PERIOD_SECONDS, Governor, Limits, NoThrottle, Seen, Throttle

ROOT = Path("/sys/fs/cgroup")
PERIOD_MICROSECONDS = int(PERIOD_SECONDS * 1_000_000)
LEAST_QUOTA_MICROSECONDS = 1000


class Cgroups(Throttle):
    """What both versions share: a group per task in each parent, and removing them once they are empty."""

    def __init__(self, parents: tuple[Path, ...]) -> None:
        self._parents = parents
        self._left: set[Path] = set()

    def prepare(self, tag: str, limits: Limits) -> list[str]:
        self._remove_left()
        files = []
        for parent in self._parents:
            group = parent / tag
            group.mkdir(exist_ok=True)
            self._left.discard(group)
            files.append(str(group / "cgroup.procs"))
        self._limit(tag, limits)
        return files

    def _limit(self, tag: str, limits: Limits) -> None:
        raise NotImplementedError

    def release(self, tag: str) -> None:
        self._left.update(parent / tag for parent in self._parents)
        self._remove_left()

    def members(self, tag: str) -> list[int]:
        text = _read(self._parents[0] / tag / "cgroup.procs")
        return [int(line) for line in text.split()]

    def close(self) -> None:
        for parent in self._parents:
            self._left.update(group for group in _groups(parent))
        self._remove_left()
        for parent in self._parents:
            with contextlib.suppress(OSError):
                parent.rmdir()

    def _remove_left(self) -> None:
        """A group goes once its last process is gone; until then removing it is tried again."""
        for group in list(self._left):
            try:
                group.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                continue
            self._left.discard(group)


class CgroupV1(Cgroups):
    """The v1 cpu hierarchy, and the memory hierarchy where that is writable too."""

    name = "cgroup-v1"

    def __init__(self, cpu: Path, memory: Path | None) -> None:
        super().__init__((cpu, memory) if memory is not None else (cpu,))
        self._cpu, self._memory = cpu, memory
        self.limits_memory = memory is not None

    @classmethod
    def probe(cls, root: Path, own: str, tag: str) -> CgroupV1 | None:
        """A usable one, or None. `own` is the text of /proc/self/cgroup."""
        cpu = _v1_parent(root, own, "cpu", tag, "cpu.cfs_quota_us")
        return cls(cpu, _v1_parent(root, own, "memory", tag, "memory.limit_in_bytes")) if cpu is not None else None

    def _limit(self, tag: str, limits: Limits) -> None:
        (self._cpu / tag / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (self._cpu / tag / "cpu.cfs_quota_us").write_text(str(quota(limits.cores)))
        if self._memory is not None and limits.memory_bytes is not None:
            (self._memory / tag / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
            with contextlib.suppress(OSError):  # only where swap is counted
                (self._memory / tag / "memory.memsw.limit_in_bytes").write_text(str(limits.memory_bytes))

    def seen(self, tag: str) -> Seen:
        if self._memory is None:
            return Seen()
        peak = _read(self._memory / tag / "memory.max_usage_in_bytes")
        return Seen(int(peak or 0), _entry(_read(self._memory / tag / "memory.oom_control"), "oom_kill"))


class CgroupV2(Cgroups):
    """A delegated part of the v2 tree."""

    name = "cgroup-v2"

    def __init__(self, parent: Path, *, has_memory: bool) -> None:
        super().__init__((parent,))
        self._parent = parent
        self.limits_memory = has_memory

    @classmethod
    def probe(cls, root: Path, own: str, tag: str) -> CgroupV2 | None:
        """A usable one, or None. `own` is the text of /proc/self/cgroup."""
        path = next((line[3:] for line in own.splitlines() if line.startswith("0::")), None)
        if path is None or "cpu" not in _read(root / path.lstrip("/") / "cgroup.controllers").split():
            return None
        base = root / path.lstrip("/")
        parent = base / f"mlopx-{tag}"
        if not _can_make(parent, "cgroup.procs"):
            return None
        has_memory = False
        for folder in (base, parent):
            _enable(folder, "cpu")
            has_memory = _enable(folder, "memory")
        if "cpu" not in _read(parent / "cgroup.subtree_control").split():
            with contextlib.suppress(OSError):
                parent.rmdir()
            return None
        return cls(parent, has_memory=has_memory)

    def _limit(self, tag: str, limits: Limits) -> None:
        (self._parent / tag / "cpu.max").write_text(f"{quota(limits.cores)} {PERIOD_MICROSECONDS}")
        if self.limits_memory and limits.memory_bytes is not None:
            (self._parent / tag / "memory.max").write_text(str(limits.memory_bytes))
            (self._parent / tag / "memory.oom.group").write_text("1")
            with contextlib.suppress(OSError):  # only where there is swap
                (self._parent / tag / "memory.swap.max").write_text("0")

    def seen(self, tag: str) -> Seen:
        if not self.limits_memory:
            return Seen()
        peak = _read(self._parent / tag / "memory.peak")
        return Seen(int(peak or 0), _entry(_read(self._parent / tag / "memory.events"), "oom_kill"))

    def pressure_seconds(self) -> dict[str, float]:
        """From the group above all tasks, in which the kernel counts ended ones too, and waits for a task's share."""
        found = {kind: waited_seconds(_read(self._parent / f"{kind}.pressure")) for kind in ("cpu", "memory", "io")}
        return {kind: seconds for kind, seconds in found.items() if seconds is not None}


def waited_seconds(pressure: str) -> float | None:
    """Seconds in which at least one process waited, by the text of a `*.pressure` file; None where it says nothing."""
    fields = next((line.split() for line in pressure.splitlines() if line.startswith("some ")), [])
    total = next((field.removeprefix("total=") for field in fields if field.startswith("total=")), None)
    return int(total) / 1_000_000 if total is not None else None


def quota(cores: float) -> int:
    """Microseconds of CPU time per period."""
    return max(LEAST_QUOTA_MICROSECONDS, round(cores * PERIOD_MICROSECONDS))


def choose(wanted: str, tag: str, root: Path = ROOT) -> Throttle:
    """The best throttle this machine allows, or the one wanted. Raises RuntimeError if the wanted one cannot be."""
    own = _read(Path("/proc/self/cgroup"))
    if wanted == "none":
        return NoThrottle()
    found: Throttle | None = None
    if wanted in ("auto", "cgroup-v2"):
        found = CgroupV2.probe(root, own, tag)
    if found is None and wanted in ("auto", "cgroup-v1"):
        found = CgroupV1.probe(root, own, tag)
    if found is None and wanted in ("auto", "governor"):
        found = Governor()
    if found is None:
        raise RuntimeError(f"this machine does not let this user limit tasks by {wanted}")
    return found


def _v1_parent(root: Path, own: str, controller: str, tag: str, file: str) -> Path | None:
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            for name in (controllers, controller):
                parent = root / name / path.lstrip("/") / f"mlopx-{tag}"
                if (root / name).is_dir() and _can_make(parent, file):
                    _remove_dead(parent.parent)
                    return parent
    return None


def _remove_dead(folder: Path) -> None:
    """Remove the groups of agents that were killed: the name ends with the agent's pid."""
    for group in _groups(folder):
        pid = group.name.rpartition("-")[2]
        if group.name.startswith("mlopx-") and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            for inner in (*_groups(group), group):
                with contextlib.suppress(OSError):
                    inner.rmdir()


def _groups(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    except OSError:
        return []


def _enable(folder: Path, controller: str) -> bool:
    """Let groups below `folder` use a controller; whether they can."""
    file = folder / "cgroup.subtree_control"
    if controller in _read(file).split():
        return True
    with contextlib.suppress(OSError):
        file.write_text(f"+{controller}")
    return controller in _read(file).replace("+", "").split()


def _can_make(group: Path, file: str) -> bool:
    """Whether the cgroup can be made and has this control file."""
    try:
        group.mkdir(exist_ok=True)
    except OSError:
        return False
    if os.access(group / file, os.W_OK):
        return True
    with contextlib.suppress(OSError):
        group.rmdir()
    return False


def _entry(text: str, name: str) -> int:
    """The number behind a name in a `name number` file."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
