"""The zygote: a single-threaded process that has imported what tasks need, and forks a fresh child for each.

It speaks JSON lines with its agent over its standard input and output. It is the parent of all tasks, so it waits for
them; children that a task leaves behind become its own and are killed.

    in:  {"start": ID, "launch": {...}}
    out: {"ready": true} · {"started": ID, "pid": n} · {"ended": ID, "status": n, "peak_bytes": n}
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
from typing import Any

from mlopx.runtime.task import main as run_task
from server.platforms.local.processes import adopt_orphans, die_with_parent, drop_to

FAILED_TO_START = 111
"""Exit status of a child that could not even begin."""


class Zygote:
    """Forks tasks and waits for them."""

    def __init__(self, preload: list[str]) -> None:
        self._preload = preload
        self._tasks: dict[int, str] = {}
        self._buffer = b""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)

    def run(self) -> None:
        """Serve until the agent closes the pipe; then kill what runs."""
        die_with_parent()
        adopt_orphans()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write)
        for name in self._preload:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()
        say({"ready": True})
        try:
            while self._serve_once():
                pass
        finally:
            for pid in self._tasks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _serve_once(self) -> bool:
        readable, _, _ = select.select([0, self._wake_read], [], [])
        if self._wake_read in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            self._reap()
        if 0 in readable:
            data = os.read(0, 1 << 16)
            if not data:
                return False
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                self._start(order["start"], order["launch"])
        return True

    def _start(self, name: str, launch: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                become_task(launch, (self._wake_read, self._wake_write))
            finally:
                os._exit(FAILED_TO_START)
        self._tasks[pid] = name
        say({"started": name, "pid": pid})

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._tasks.pop(pid, None)
            if name is not None:
                self._kill_orphans()
                say({"ended": name, "status": os.waitstatus_to_exitcode(status), "peak_bytes": usage.ru_maxrss * 1024})

    def _kill_orphans(self) -> None:
        """Every child that is no task was left behind by one that ended: live tasks keep their own."""
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                children = [int(text) for text in file.read().split()]
        except OSError:
            return
        for pid in children:
            if pid not in self._tasks:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def say(document: dict[str, Any]) -> None:
    """One line to the agent."""
    os.write(1, json.dumps(document).encode() + b"\n")


def become_task(launch: dict[str, Any], close: tuple[int, ...]) -> None:
    """In the child: set everything up, then run the task; never returns."""
    os.setsid()
    die_with_parent()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for file in launch["cgroup_files"]:
        with open(file, "w") as handle:
            handle.write(str(os.getpid()))
    log = os.open(launch["log_pipe"], os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for handle_number in (log, nothing, *close):
        if handle_number > 2:
            os.close(handle_number)
    os.chdir(launch["work_folder"])
    os.environ.update(launch["environment"])
    if launch["uid"] is not None:
        drop_to(launch["uid"], keep_reading=launch["keep_reading"])
        die_with_parent()
    adopt_orphans()
    if launch["python"] is not None:
        os.execv(launch["python"], [launch["python"], "-u", launch["runtime"], launch["manifest"]])
    if launch["threads"] > 1:
        limit_threads(launch["threads"])
    sys.argv = [launch["manifest"]]
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    status = run_task([launch["runtime"], launch["manifest"]])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def limit_threads(count: int) -> None:
    """Let numeric libraries that are loaded already use no more threads than the task has CPUs."""
    if "threadpoolctl" in sys.modules:
        sys.modules["threadpoolctl"].threadpool_limits(count)


if __name__ == "__main__":
    Zygote(json.loads(sys.argv[1])).run()
