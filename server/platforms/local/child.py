"""From a fork of the zygote to a task: limits, user, log, environment, and then the user's code. It never comes back.

What the zygote has imported stays, so the user's imports are there at once; everything else is as in a new process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.platforms.local.privileges import drop_to, first_closed
from server.platforms.local.processes import adopt_orphans, die_with_parent

Main = Callable[[list[str]], int]
MARK = "MLOPX_AGENT"
"""Environment variable of a zygote, and so of all that descends from it: which agent it belongs to."""
FAILED_TO_START = 111
"""Exit status of a child that could not even begin."""
RESULT_UNWRITTEN = 112
"""Exit status of a task that ran, and whose result could not be written: on a full disk, say."""
TASKS_DIE_FIRST = "500"
"""oom_score_adj of tasks: when the machine itself runs out of memory, a task goes before the server."""


def become_task(launch: dict[str, Any], user: str, parent: int, close: tuple[int, ...], run: Main) -> int:
    """Set everything up and run the task; returns the exit status. `run` is the runtime's main function."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _redirect(launch["log_pipe"], close)
    for file in launch["cgroup_files"]:
        with open(file, "w") as handle:
            handle.write(str(os.getpid()))
    _limit()
    os.chdir(launch["work_folder"])
    os.environ.pop(MARK, None)
    os.environ.update(launch["environment"])
    if launch["uid"] is not None and user in ("plain", "secluded", "reading"):
        drop_to(launch["uid"], keep_reading=user == "reading")
    die_with_parent(parent)
    adopt_orphans()
    if launch["python"] is not None:
        os.execv(launch["python"], [launch["python"], "-u", launch["runtime"], launch["manifest"]])
    return _run_here(launch, run)


def _redirect(log_pipe: str, close: tuple[int, ...]) -> None:
    log = os.open(log_pipe, os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for number in (log, nothing, *close):
        if number > 2:
            os.close(number)


def _limit() -> None:
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(TASKS_DIE_FIRST)


def _run_here(launch: dict[str, Any], run: Main) -> int:
    """Run the task in this process, with the modules that the zygote has loaded."""
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [launch["runtime"]]
    _renew(launch["threads"])
    if problem := unreadable(Path(launch["manifest"])):
        os.write(2, f"what the task is to do could not be read: {problem}\n".encode())
        return FAILED_TO_START
    try:
        status = run([launch["runtime"], launch["manifest"]])
    except OSError as error:  # what the user's code raises is in the result
        os.write(2, f"the result could not be written: {error}\n".encode())
        status = RESULT_UNWRITTEN
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return status


def unreadable(path: Path) -> str:
    """Why this user cannot read a file; nothing if it can."""
    try:
        path.open("rb").close()
    except OSError as error:
        with contextlib.suppress(OSError):
            if (closed := first_closed(path, os.getuid())) is not None:
                return f"user {os.getuid()} may not enter {closed}"
        return str(error)
    return ""


def _renew(threads: int) -> None:
    """What loaded libraries hold per process: the seed of numpy's global generator, and how many threads they use."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if threads > 1:
        with contextlib.suppress(ImportError):
            importlib.import_module("threadpoolctl").threadpool_limits(threads)
