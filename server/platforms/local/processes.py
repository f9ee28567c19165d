"""Looking at processes through /proc: a task's whole tree, its CPU time and its memory."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

PROC = Path("/proc")
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_CHILD_SUBREAPER = 36
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAP_DAC_READ_SEARCH = 2
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """A process and all its descendants. Orphans count where the process is their sub-reaper."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        try:
            threads = os.listdir(proc / str(one) / "task")
        except OSError:
            continue
        for thread in threads:
            try:
                text = (proc / str(one) / "task" / thread / "children").read_text()
            except OSError:
                continue
            waiting.extend(map(int, text.split()))
    return found


def cpu_nanoseconds(pid: int, proc: Path = PROC) -> int:
    """CPU time of all threads of a process; 0 once it is gone."""
    total = 0
    try:
        for thread in os.listdir(proc / str(pid) / "task"):
            text = (proc / str(pid) / "task" / thread / "schedstat").read_text()
            total += int(text.split()[0])
    except (OSError, ValueError, IndexError):
        return total
    return total


def resident_bytes(pid: int, proc: Path = PROC) -> int:
    """Resident memory of a process; 0 once it is gone."""
    try:
        return int((proc / str(pid) / "statm").read_text().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _prctl(option: int, *values: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = (*values, 0, 0, 0, 0)[:4]
    return int(libc.prctl(option, *(ctypes.c_ulong(value) for value in padded)))


def die_with_parent() -> None:
    """Have this process killed when its parent ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def drop_to(uid: int, *, keep_reading: bool) -> None:
    """Become an unprivileged user. `keep_reading` keeps the right to read files, for an interpreter that lies in a
    folder which that user could not enter."""
    if keep_reading:
        _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if keep_reading:
        _keep_capability(CAP_DAC_READ_SEARCH)


def _keep_capability(number: int) -> None:
    """Hold one capability, also across exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    bit = 1 << number
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "the right to read files could not be kept")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)


def can_read_as(uid: int, paths: list[Path]) -> bool:
    """Whether another user could read all these paths; asked by becoming it in a child."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os._exit(0 if all(os.access(path, os.R_OK) for path in paths) else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0
