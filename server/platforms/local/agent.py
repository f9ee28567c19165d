"""A node's agent: a process of its own that runs the node's tasks, bounds them, and tells how they ended.

It outlives the server: it listens on a unix socket, serves the newest connection, keeps every end on disk until that is
acknowledged, and leaves when nobody came back for the grace time. JSON lines both ways; `links` is the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from server.domain.steady import SteadySeconds
from server.platforms.local import cgroups
from server.platforms.local.ends import Ends
from server.platforms.local.forks import LINE_LIMIT, Forks
from server.platforms.local.log_file import LogFile
from server.platforms.local.privileges import UNPRIVILEGED
from server.platforms.local.processes import CpuTimes, adopt_orphans, resident_bytes, send, tree
from server.platforms.local.results import BadResultError, give_to, read_result, take_back
from server.platforms.local.running import Running, describe_end
from server.platforms.local.sockets import Place, listen
from server.platforms.local.throttle import TICK_SECONDS, Limits
from server.platforms.local.usage import CpuAccount

log = logging.getLogger("mlopx.agent")
SLOW_TICK_SECONDS = 0.2
"""How often tasks are measured that nothing has to be enforced on."""
KILL_AFTER_SECONDS = 5.0
LEAVE_SECONDS = 3.0
FIRST_VISIT_SECONDS = 30.0
"""So long an agent waits for who started it, however short the grace time: on a busy machine that takes its time."""


class Agent:
    """Runs tasks for one node."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self._clock, self._began_at = SteadySeconds(time.time, time.monotonic), time.monotonic()
        folder = Path(config["folder"])
        self.ends = Ends(folder / "ended")
        self.throttle = cgroups.choose(config["throttle"], f"{config['node']}-{os.getpid()}")
        self.uid = UNPRIVILEGED if os.getuid() == 0 else None
        self.forks = Forks(str(folder))
        self.warm: dict[str, Any] | None = None
        self.tasks: dict[str, Running] = {}
        self.spent = CpuAccount()
        self.never: set[str] = set()
        self.writer: asyncio.StreamWriter | None = None
        self.left_at: float | None = None
        self.stopping = asyncio.Event()
        self._busy = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until told to stop, or left alone for too long."""
        adopt_orphans()
        names = ("preload", "readable", "runtime")
        await self.forks.start({"uid": self.uid, **{name: self.config[name] for name in names}})
        place = await listen(self.config["socket"], self._connected, LINE_LIMIT)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        forever = (self._watch(), self._leave_when_alone(), self._follow_zygote(place))
        parts = [loop.create_task(part) for part in forever]
        await self.stopping.wait()
        place.leave()
        for task in list(self.tasks.values()):
            self._end(task, "stop", 0.5)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while self.tasks:
                    await asyncio.sleep(0.02)
        for part in parts:
            part.cancel()
        place.server.close()
        await self.forks.aclose()
        self.throttle.close()
        if self.writer is not None:
            self.writer.close()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _follow_zygote(self, place: Place) -> None:
        """Hear what the zygote says. Without it no task can run: the agent ends and a new one is made."""
        async for said in self.forks.said():
            if "warm" in said:
                self.warm = said["warm"]
                self.tell({"event": "warm", **said["warm"]})
            elif "started" in said:
                self._started(self.tasks[said["started"]], said)
            elif "ended" in said:
                closing = asyncio.create_task(self._close(self.tasks[said["ended"]], said))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
        if not self.stopping.is_set():
            log.error("the zygote of node %s is gone, and all tasks with it", self.config["node"])
            place.leave()
            os._exit(3)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(serving)
        serving.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.writer is not None:
            self.writer.close()
        self.writer = writer
        self.tell(
            {
                "event": "hello",
                "node": self.config["node"],
                "pid": os.getpid(),
                "digest": self.config["digest"],
                "throttle": self.throttle.name,
                "tells_usage": True,
                "running": sorted(self.tasks),
                "ended": sorted(message["id"] for message in self.ends),
            }
        )
        if self.warm is not None:
            self.tell({"event": "warm", **self.warm})
        for task in self.tasks.values():
            self._tell_start(task)
        for message in self.ends:
            self.tell(message)
        try:
            async for line in reader:
                self._order(json.loads(line))
        except (ConnectionError, ValueError) as error:
            log.warning("the connection broke: %s", error)
        finally:
            if self.writer is writer:
                self.writer, self.left_at = None, time.monotonic()
            writer.close()

    def _order(self, order: dict[str, Any]) -> None:
        kind = order["op"]
        if kind == "start":
            self._start(order)
        elif kind == "cancel":
            self._cancel(order["id"], float(order.get("grace_seconds", KILL_AFTER_SECONDS)))
        elif kind == "ack":
            self.ends.forget(order["id"])
        elif kind == "usage":
            report = self.spent.report(self.tasks.values(), time.monotonic() - self._began_at)
            self.tell({**report, "pressure_seconds": self.throttle.pressure_seconds()})
        elif kind == "stop":
            self.stopping.set()

    def _start(self, order: dict[str, Any]) -> None:
        name = order["id"]
        if name not in self.tasks and name not in self.ends and name not in self.never:
            try:
                self._launch(order)
            except OSError as error:
                self.tell({"event": "refused", "id": name, "message": f"the task could not be set up: {error}"})
                return
        self.tell({"event": "accepted", "id": name})

    def _launch(self, order: dict[str, Any]) -> None:
        name = order["id"]
        tag = hashlib.sha256(name.encode()).hexdigest()[:16]
        work = Path(order["work_folder"])
        for folder in (work, Path(order["output_folder"])):
            give_to(self.uid, folder)
        pipe, manifest = work / "log.pipe", work / "manifest.json"
        manifest.write_text(json.dumps(order["manifest"]))
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        Path(order["log_file"]).parent.mkdir(parents=True, exist_ok=True)
        files = self.throttle.prepare(tag, Limits(order["cores"], order["memory_bytes"]))
        task = Running(name, tag, order, LogFile(Path(order["log_file"])), str(work))
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(reading, self._read_log, task, reading)
        task.handles.append(partial(self._stop_reading, task, reading))
        self.tasks[name] = task
        self._busy.set()
        launch = {
            "cgroup_files": files,
            "log_pipe": str(pipe),
            "work_folder": str(work),
            "environment": order["environment"],
            "uid": self.uid,
            "python": order["python"],
            "runtime": order["runtime"],
            "manifest": str(manifest),
            "threads": order["threads"],
        }
        self.forks.order(name, launch)

    def _started(self, task: Running, said: dict[str, Any]) -> None:
        if said["pid"] is None:
            self._release(task)
            self._keep({"event": "ended", "id": task.id, "outcome": "lost", "ended_at": self._clock.now(), **said})
            return
        task.pid, task.started_at = said["pid"], self._clock.at(said["at"])
        task.base_bytes = resident_bytes(self.forks.pid) if task.order["python"] is None else 0
        seconds = task.order["timeout_seconds"]
        if seconds:
            timer = asyncio.get_running_loop().call_later(seconds, self._end, task, "timeout", KILL_AFTER_SECONDS)
            task.handles.append(timer.cancel)
        self._tell_start(task)
        if task.ending is not None:
            self._end(task, task.ending, task.grace_seconds)

    def _tell_start(self, task: Running) -> None:
        if task.started_at is not None:
            self.tell({"event": "started", "id": task.id, "at": task.started_at})

    def _read_log(self, task: Running, reading: int) -> None:
        try:
            data = os.read(reading, 1 << 16)
        except BlockingIOError:
            return
        if data:
            task.log.write(data)
        elif task.pid is not None:
            asyncio.get_running_loop().remove_reader(reading)

    def _stop_reading(self, task: Running, reading: int) -> None:
        """Take what is left in the pipe, and close it."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(reading, 1 << 16):
                task.log.write(data)
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)

    def _cancel(self, name: str, grace_seconds: float) -> None:
        task = self.tasks.get(name)
        if task is not None:
            self._end(task, "cancel", grace_seconds)
        elif name not in self.ends:
            self.never.add(name)
            never: dict[str, Any] = {
                "started_at": None,
                "ended_at": self._clock.now(),
                "peak_memory_bytes": 0,
                "outputs": {},
                "error": None,
            }
            self._keep({"event": "ended", "id": name, "outcome": "cancelled", **never})

    def _end(self, task: Running, why: str, grace_seconds: float) -> None:
        """Ask a task to end, and kill its whole tree after the grace time."""
        task.ending, task.grace_seconds = task.ending or why, grace_seconds
        if task.pid is None:
            return
        self._signal(task, signal.SIGTERM if why != "oom" else signal.SIGKILL)
        timer = asyncio.get_running_loop().call_later(grace_seconds, self._signal, task, signal.SIGKILL)
        task.handles.append(timer.cancel)

    def _signal(self, task: Running, number: int) -> None:
        """Tell the task's first process, or kill all of them."""
        if task.pid is None:
            return
        pids = list(dict.fromkeys((*tree(task.pid), *self.throttle.members(task.tag))))
        for pid in pids if number == signal.SIGKILL else (task.pid,):
            send(pid, number)
        self.throttle.resume(pids)

    def _release(self, task: Running) -> None:
        """Let go of all that was held for a task whose processes are gone."""
        for handle in task.handles:
            handle()
        task.log.close()
        self.throttle.release(task.tag)
        del self.tasks[task.id]
        if not self.tasks:
            self._busy.clear()

    async def _close(self, task: Running, said: dict[str, Any]) -> None:
        """A task's processes are gone: look at what it left, and tell its end."""
        ended_at, status = self._clock.at(said["at"]), said["status"]
        self.spent.close(task.id, CpuTimes(said["user_seconds"], said["system_seconds"]))
        task.pid = None
        seen = self.throttle.seen(task.tag)
        task.peak_bytes = max(task.peak_bytes, seen.peak_bytes, said["peak_bytes"] - task.base_bytes)
        if seen.kills and task.ending is None and status == -signal.SIGKILL:
            task.ending = "oom"
        message = await asyncio.to_thread(self._look_at_result, task, status, ended_at)
        self._release(task)
        self._keep(message)

    def _look_at_result(self, task: Running, status: int, ended_at: float) -> dict[str, Any]:
        folder = Path(task.order["output_folder"])
        shared = [folder, *map(Path, self.config["shared"])]
        try:
            result = read_result(task.order["manifest"], [one.resolve() for one in shared])
        except BadResultError as error:
            kind = {"kind": "output", "message": str(error), "hint": error.hint}
            result = {"state": "failed", "outputs": {}, "error": kind}
        if self.uid is not None:
            take_back(folder)
        return describe_end(task, status, ended_at, result)

    def _keep(self, message: dict[str, Any]) -> None:
        """Put an end on disk, then tell it; it stays until acknowledged."""
        try:
            self.ends.keep(message)
        except OSError as error:
            log.warning("the end of %s could not be put on disk: %s", message["id"], error)
        self.tell(message)

    async def _watch(self) -> None:
        """While tasks run: keep them to their share and their memory."""
        last = time.monotonic()
        while True:
            await self._busy.wait()
            watches_memory = not self.throttle.limits_memory and any(one.memory_bytes for one in self.tasks.values())
            is_fast = self.throttle.needs_ticks or watches_memory
            await asyncio.sleep(TICK_SECONDS if is_fast else SLOW_TICK_SECONDS)
            now = time.monotonic()
            for task in list(self.tasks.values()):
                if task.pid is not None:
                    self._look_after(task, task.pid, now, now - last)
            last = now

    def _look_after(self, task: Running, pid: int, now: float, elapsed_seconds: float) -> None:
        if self.throttle.needs_ticks:
            self.throttle.tick(task.tag, pid, elapsed_seconds)
        if self.throttle.limits_memory or (task.memory_bytes is None and now < task.looks_again_at):
            return
        task.looks_again_at = now + SLOW_TICK_SECONDS
        task.measure(tree(pid))
        if task.memory_bytes is not None and task.used_bytes > task.memory_bytes and task.ending is None:
            self._end(task, "oom", 0.0)

    async def _leave_when_alone(self) -> None:
        grace = float(self.config["grace_seconds"])
        begun = time.monotonic()
        while True:
            await asyncio.sleep(min(1.0, max(grace / 4, 0.1)))
            if self.left_at is None:
                since, patience = begun, max(grace, FIRST_VISIT_SECONDS)
            else:
                since, patience = self.left_at, grace
            if self.writer is None and time.monotonic() - since > patience:
                log.warning("nobody came within %g s: leaving", patience)
                self.stopping.set()

    def tell(self, message: dict[str, Any]) -> None:
        """One line to the server, if it is there."""
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")


def main() -> None:
    """`python -m server.platforms.local.agent CONFIG.json`."""
    config = json.loads(Path(sys.argv[1]).read_text())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s agent %(message)s")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(Agent(config).run())


if __name__ == "__main__":
    main()
