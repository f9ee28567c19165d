"""Looking at processes through /proc: a task's whole tree, its CPU time and its memory.

Everything here treats a process that is gone as having nothing, since that can happen between any two lines.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from typing import NamedTuple

PROC = "/proc"
IS_LINUX = sys.platform.startswith("linux")
NANO = 1_000_000_000
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_NANO_PER_TICK = NANO // os.sysconf("SC_CLK_TCK") if IS_LINUX else NANO // 100
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class CpuTimes(NamedTuple):
    """Seconds of real cores, in the program and in the kernel for it."""

    user_seconds: float
    system_seconds: float


def tree(pid: int, proc: str = PROC) -> list[int]:
    """A process and all its descendants, parents first. Orphans count where an ancestor adopts them."""
    found, waiting = [], [pid]
    parents: dict[int, list[int]] | None = None
    while waiting:
        one = waiting.pop()
        found.append(one)
        children = _listed_children(one, proc)
        if children is None:
            parents = parents if parents is not None else _children_by_parent(proc)
            children = parents.get(one, [])
        waiting.extend(child for child in children if child not in found)
    return found


def children_of(pid: int, proc: str = PROC) -> list[int]:
    """The children of a process, ended ones that nobody waited for included."""
    found = _listed_children(pid, proc)
    return _children_by_parent(proc).get(pid, []) if found is None else found


def _listed_children(pid: int, proc: str) -> list[int] | None:
    """Children as the kernel lists them per thread; None where this kernel does not."""
    folder = f"{proc}/{pid}/task"
    try:
        threads = os.listdir(folder)
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            with open(f"{folder}/{thread}/children") as file:
                found.extend(map(int, file.read().split()))
        except FileNotFoundError:
            if os.path.exists(f"{folder}/{thread}/stat"):
                return None
        except OSError:
            continue
    return found


def _children_by_parent(proc: str) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name in os.listdir(proc):
        if name.isdigit():
            fields = _stat_fields(int(name), proc)
            if fields:
                found.setdefault(int(fields[1]), []).append(int(name))
    return found


def _stat_fields(pid: int, proc: str) -> list[str]:
    """The fields of /proc/PID/stat after the command's name, which may hold anything: state, parent, ..."""
    try:
        with open(f"{proc}/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def is_ended(pid: int, proc: str = PROC) -> bool:
    """Whether a process is gone, or a zombie that nobody waited for."""
    fields = _stat_fields(pid, proc)
    return not fields or fields[0] in "ZX"


def spent_nanoseconds(pid: int) -> int:
    """CPU time of a process: all its threads, ended ones too, and all children that were waited for.

    Summed over a tree this grows by exactly what the tree used: a child's time moves to its parent when waited for.
    """
    return own_nanoseconds(pid) + waited_nanoseconds(pid)


def own_nanoseconds(pid: int) -> int:
    """CPU time of the process's own threads, by its CPU-time clock: one system call, and exact."""
    if not _has_process_clocks():
        return _scheduled_nanoseconds(pid)
    try:
        return time.clock_gettime_ns(_clock_of(pid))
    except OSError:
        return 0


def cpu_times(pid: int, proc: str = PROC) -> CpuTimes:
    """CPU time of a process and of all children that it has waited for, to the kernel's tick (mostly 10 ms)."""
    fields = _stat_fields(pid, proc)
    if len(fields) <= 14:
        return CpuTimes(0.0, 0.0)
    user, system, waited_user, waited_system = (int(field) * _NANO_PER_TICK / NANO for field in fields[11:15])
    return CpuTimes(user + waited_user, system + waited_system)


def waited_nanoseconds(pid: int, proc: str = PROC) -> int:
    """CPU time of the children that the process has waited for, and of theirs."""
    fields = _stat_fields(pid, proc)
    return (int(fields[13]) + int(fields[14])) * _NANO_PER_TICK if len(fields) > 14 else 0


def _clock_of(pid: int) -> int:
    """Number of a process's CPU-time clock, as clock_getcpuclockid(3) makes it (CPUCLOCK_SCHED)."""
    return (~pid << 3) | 2


@functools.cache
def _has_process_clocks() -> bool:
    try:
        return IS_LINUX and time.clock_gettime_ns(_clock_of(os.getpid())) > 0
    except (OSError, OverflowError):
        return False


def _scheduled_nanoseconds(pid: int, proc: str = PROC) -> int:
    """CPU time of the threads that live now, for machines without process clocks."""
    total = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for thread in os.listdir(f"{proc}/{pid}/task"):
            with open(f"{proc}/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
    return total


def resident_bytes(pid: int, proc: str = PROC) -> int:
    """Resident memory of a process, shared pages included."""
    try:
        with open(f"{proc}/{pid}/statm") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def proportional_bytes(pid: int, proc: str = PROC) -> int:
    """Memory of a process, its own pages whole and each shared one divided by those who share it.

    Dear (the kernel walks all pages), so asked only when it matters.
    """
    try:
        with open(f"{proc}/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return resident_bytes(pid, proc)


def with_variable(name: str, value: str, proc: str = PROC) -> list[int]:
    """Processes that were started with this environment variable. Those of others cannot be read and are left out."""
    wanted = f"{name}={value}".encode()
    found = []
    for entry in os.listdir(proc) if IS_LINUX else ():
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"{proc}/{entry}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(entry))
    return found


def send(pid: int, number: int) -> None:
    """Signal a process, if it is still there and ours."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *(ctypes.c_ulong(number) for number in (value, 0, 0, 0))) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends; at once if `parent` has ended already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process, also those that started a session of their own."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
