"""The zygote: a single-threaded process that has imported what tasks need, and forks a fresh child for each.

It speaks JSON lines with its agent over its standard input and output. It is the parent of all tasks, so it waits for
them; what a task leaves behind becomes its own child and is killed. When the agent dies it kills every task and ends.

    in:  {"start": ID, "launch": {...}}
    out: {"warm": {"user": WAY, "reason": "...", "threads": n, "failed": [...]}} first, and when the way changes, then
         {"started": ID, "pid": n, "at": t} ·
         {"ended": ID, "status": n, "at": t, "peak_bytes": n, "user_seconds": s, "system_seconds": s}

`at` is when the process began and was gone, by the machine's monotonic clock: the agent may hear of it late.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from server.platforms.local import privileges
from server.platforms.local.child import FAILED_TO_START, Main, become_task
from server.platforms.local.processes import adopt_orphans, children_of, send

LONGEST_WAIT_SECONDS = 2.0
"""How long the end of a task waits for what it left behind to be gone, and a dead agent's tasks to be killed."""


class Zygote:
    """Forks tasks and waits for them."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._tasks: dict[int, str] = {}
        self._ends: list[tuple[float, dict[str, Any]]] = []
        self._buffer = b""
        self._user = "same"
        self._python = privileges.python_folders()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)

    def run(self) -> None:
        """Serve until the agent is gone; then kill what runs."""
        adopt_orphans()
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._warm = self._warm_up()
        say({"warm": self._warm})
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            while self._serve_once():
                pass
        except BrokenPipeError:
            pass
        finally:
            self._kill_all()

    def _warm_up(self) -> dict[str, Any]:
        reason = self._choose_user()
        self._main = _load(self._config["runtime"])
        failed = []
        for name in self._config["preload"]:
            try:
                importlib.import_module(name)
            except Exception as error:  # whatever a stranger's module raises, the others can still be loaded
                failed.append(f"{name}: {type(error).__name__}: {error}")
        root = os.getcwd()
        sys.path[:] = [entry for entry in sys.path if entry not in ("", root)]
        gc.collect()
        gc.freeze()
        threads = len(os.listdir("/proc/self/task"))
        return {"user": self._user, "reason": reason, "threads": threads, "failed": failed}

    def _choose_user(self) -> str:
        """Find out how tasks can run; returns why not in a better way."""
        if self._config["uid"] is None:
            return ""
        needed = [*self._python, *(Path(path) for path in self._config["readable"])]
        self._user, reason = privileges.choose([path for path in needed if path.exists()], self._config["uid"])
        return reason

    def _keep_open(self, folder: Path) -> None:
        """Somebody may have closed a folder on the way to a task's since the way was chosen: then choose again."""
        if self._user not in ("plain", "secluded"):
            return
        try:
            closed = privileges.first_closed(folder, self._config["uid"])
        except OSError:  # the task itself tells what is wrong with its folder
            return
        if closed is not None:
            self._warm = {**self._warm, "reason": self._choose_user(), "user": self._user}
            say({"warm": self._warm})

    def _serve_once(self) -> bool:
        pause = 0.05 if self._ends else None
        readable, _, _ = select.select([0, self._wake_read], [], [], pause)
        if self._wake_read in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
        if self._wake_read in readable or self._ends:
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
        self._keep_open(Path(launch["work_folder"]))
        parent, begun = os.getpid(), time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            say({"started": name, "pid": None, "message": f"no process could be made: {error.strerror}"})
            return
        if pid == 0:
            status = FAILED_TO_START
            try:
                status = become_task(launch, self._user, parent, (self._wake_read, self._wake_write), self._main)
            except BaseException:
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(status)
        self._tasks[pid] = name
        say({"started": name, "pid": pid, "at": begun})

    def _reap(self) -> None:
        """Wait for all that ended. An end is told once nothing that the task left behind is still there."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    break
                name = self._tasks.pop(pid, None)
                if name is not None:
                    end = {
                        "ended": name,
                        "status": os.waitstatus_to_exitcode(status),
                        "at": time.monotonic(),
                        "peak_bytes": usage.ru_maxrss * 1024,
                        "user_seconds": usage.ru_utime,
                        "system_seconds": usage.ru_stime,
                    }
                    self._ends.append((time.monotonic() + LONGEST_WAIT_SECONDS, end))
        are_orphans_left = self._kill_orphans()
        waiting = [one for one in self._ends if are_orphans_left and one[0] > time.monotonic()]
        for one in self._ends:
            if one not in waiting:
                say(one[1])
        self._ends = waiting

    def _kill_orphans(self) -> bool:
        """Kill every child that is no task: live tasks keep their own, so these were left behind by one that ended."""
        orphans = [pid for pid in children_of(os.getpid()) if pid not in self._tasks]
        for pid in orphans:
            send(pid, signal.SIGKILL)
        return bool(orphans)

    def _kill_all(self) -> None:
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while time.monotonic() < until:
            for pid in children_of(os.getpid()):
                send(pid, signal.SIGKILL)
            try:
                if os.wait4(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.005)
            except ChildProcessError:
                return


def _load(path: str) -> Main:
    """The main function of the task runtime, loaded as the single file that it is."""
    spec = importlib.util.spec_from_file_location("mlopx_task_runtime", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    runtime = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runtime)
    main: Main = runtime.main
    return main


def say(document: dict[str, Any]) -> None:
    """One line to the agent."""
    os.write(1, json.dumps(document).encode() + b"\n")


if __name__ == "__main__":
    Zygote(json.loads(sys.argv[1])).run()
