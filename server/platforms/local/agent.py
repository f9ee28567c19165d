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

from server.platforms.local.log_file import LogFile
from server.platforms.local.processes import can_read_as, cpu_nanoseconds, resident_bytes, tree
from server.platforms.local.running import Running, describe_end, give_folder, take_back
from server.platforms.local.throttle import TICK_SECONDS, CgroupV1, choose

log = logging.getLogger("mlopx.agent")
UNPRIVILEGED = 65534
IDLE_TICK_SECONDS = 0.2
KILL_AFTER_SECONDS = 5.0
LINE_LIMIT = 64 << 20


class Agent:
    """Runs tasks for one node."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self._began, self._began_at = time.time(), time.monotonic()
        self.folder = Path(config["folder"])
        self.ended_folder = self.folder / "ended"
        self.ended_folder.mkdir(parents=True, exist_ok=True)
        self.throttle = choose(config["throttle"], f"{config['node']}-{os.getpid()}", cpu_nanoseconds)
        self.uid = UNPRIVILEGED if os.getuid() == 0 else None
        readable = [Path(os.__file__), Path(__file__), *map(Path, config["readable"])]
        self.keep_reading = self.uid is not None and not can_read_as(UNPRIVILEGED, readable)
        self.tasks: dict[str, Running] = {}
        self.ended: dict[str, dict[str, Any]] = {}
        self.never: set[str] = set()
        self.writer: asyncio.StreamWriter | None = None
        self.left_at = time.monotonic()
        self.stopping = asyncio.Event()
        self._busy = asyncio.Event()
        for file in self.ended_folder.glob("*.json"):
            with contextlib.suppress(ValueError, OSError, KeyError):
                message = json.loads(file.read_text())
                self.ended[message["id"]] = message

    def now(self) -> float:
        """Seconds since the epoch; goes on steadily when the machine's clock is set back."""
        return self._began + time.monotonic() - self._began_at

    async def run(self) -> None:
        """Serve until told to stop, or left alone for too long."""
        await self._start_zygote()
        path = self.config["socket"]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        server = await asyncio.start_unix_server(self._serve, path, limit=LINE_LIMIT)
        os.chmod(path, 0o600)
        parts = [asyncio.create_task(part) for part in (self._watch(), self._leave_when_alone(), self._read_zygote())]
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        await self.stopping.wait()
        for task in list(self.tasks.values()):
            self._end(task, "cancel", 0.5)
        for _ in range(100):
            if not self.tasks:
                break
            await asyncio.sleep(0.02)
        for part in parts:
            part.cancel()
        server.close()
        with contextlib.suppress(OSError):
            os.unlink(path)
        self._stop_zygote()

    async def _start_zygote(self) -> None:
        """Start it, and wait until it has imported what tasks need."""
        command = [sys.executable, "-m", "server.platforms.local.zygote", json.dumps(self.config["preload"])]
        environment = {**os.environ, **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}}
        self.zygote = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            limit=LINE_LIMIT,
        )
        assert self.zygote.stdout is not None
        if not await self.zygote.stdout.readline():
            raise SystemExit("the zygote could not start")

    def _stop_zygote(self) -> None:
        if isinstance(self.throttle, CgroupV1):
            self.throttle.close()
        with contextlib.suppress(ProcessLookupError):
            self.zygote.kill()

    async def _read_zygote(self) -> None:
        """Follow what the zygote says. Without it no task can run: the agent ends and a new one is made."""
        assert self.zygote.stdout is not None
        async for line in self.zygote.stdout:
            said = json.loads(line)
            if "pid" in said and said["started"] in self.tasks:
                task = self.tasks[said["started"]]
                task.pid, task.base_bytes = said["pid"], resident_bytes(self.zygote.pid)
                if task.ending is not None:
                    self._signal(task, signal.SIGTERM)
            elif "ended" in said and said["ended"] in self.tasks:
                await self._ended(self.tasks[said["ended"]], said["status"], said["peak_bytes"])
        log.error("the zygote of node %s is gone", self.config["node"])
        os._exit(3)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.writer is not None:
            self.writer.close()
        self.writer = writer
        self.tell(
            {
                "event": "hello",
                "node": self.config["node"],
                "pid": os.getpid(),
                "key": self.config["key"],
                "throttle": self.throttle.name,
                "is_dropping": self.uid is not None,
                "is_keeping_reading": self.keep_reading,
                "running": sorted(self.tasks),
                "ended": sorted(self.ended),
            }
        )
        for task in self.tasks.values():
            self.tell({"event": "started", "id": task.id, "at": task.started_at})
        for message in self.ended.values():
            self.tell(message)
        try:
            async for line in reader:
                await self._order(json.loads(line))
        except (ConnectionError, ValueError) as error:
            log.warning("the connection broke: %s", error)
        finally:
            if self.writer is writer:
                self.writer, self.left_at = None, time.monotonic()
            writer.close()

    async def _order(self, order: dict[str, Any]) -> None:
        kind = order["op"]
        if kind == "start":
            await self._start(order)
        elif kind == "cancel":
            self._cancel(order["id"], float(order.get("grace_seconds", KILL_AFTER_SECONDS)))
        elif kind == "ack":
            self.ended.pop(order["id"], None)
            self._ended_file(order["id"]).unlink(missing_ok=True)
        elif kind == "stop":
            self.stopping.set()
        elif kind == "usage":
            self.tell({"event": "usage", **self._usage()})

    async def _start(self, order: dict[str, Any]) -> None:
        name = order["id"]
        if name not in self.tasks and name not in self.ended and name not in self.never:
            try:
                self._launch(order)
            except OSError as error:
                self.tell({"event": "refused", "id": name, "message": f"the task could not be set up: {error}"})
                return
        self.tell({"event": "accepted", "id": name})
        if name in self.tasks:
            self.tell({"event": "started", "id": name, "at": self.tasks[name].started_at})

    def _launch(self, order: dict[str, Any]) -> None:
        name = order["id"]
        tag = hashlib.sha256(name.encode()).hexdigest()[:16]
        work, outputs = Path(order["work_folder"]), Path(order["output_folder"])
        for folder in (work, outputs):
            give_folder(folder, self.uid)
        pipe, manifest = work / "log.pipe", work / "manifest.json"
        manifest.write_text(json.dumps(order["manifest"]))
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        Path(order["log_file"]).parent.mkdir(parents=True, exist_ok=True)
        task = Running(name, tag, order, LogFile(Path(order["log_file"])), self.now())
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, self._read_log, task, reading)
        task.handles.append(partial(self._stop_reading, task, reading))
        if order.get("timeout_seconds"):
            timer = loop.call_later(order["timeout_seconds"], self._end, task, "timeout", KILL_AFTER_SECONDS)
            task.handles.append(timer.cancel)
        launch = {
            "cgroup_files": self.throttle.prepare(tag, order["cores"]),
            "log_pipe": str(pipe),
            "work_folder": str(work),
            "environment": order["environment"],
            "uid": self.uid,
            "keep_reading": self.keep_reading,
            "python": order.get("python"),
            "runtime": order["runtime"],
            "manifest": str(manifest),
            "threads": order["threads"],
        }
        self.tasks[name] = task
        self._busy.set()
        assert self.zygote.stdin is not None
        self.zygote.stdin.write(json.dumps({"start": name, "launch": launch}).encode() + b"\n")

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
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(reading, 1 << 16):
                task.log.write(data)
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)

    def _cancel(self, name: str, grace_seconds: float) -> None:
        task = self.tasks.get(name)
        if task is not None:
            self._end(task, "cancel", grace_seconds)
        elif name not in self.ended:
            self.never.add(name)
            now = self.now()
            self._keep(
                {
                    "event": "ended",
                    "id": name,
                    "outcome": "cancelled",
                    "started_at": None,
                    "ended_at": now,
                    "peak_memory_bytes": 0,
                    "outputs": {},
                    "error": None,
                }
            )

    def _end(self, task: Running, why: str, grace_seconds: float) -> None:
        """Ask a task to end, and kill its whole tree after the grace time."""
        task.ending = task.ending or why
        if task.pid is None:
            return
        self._signal(task, signal.SIGTERM if why != "oom" else signal.SIGKILL)
        timer = asyncio.get_running_loop().call_later(grace_seconds, self._signal, task, signal.SIGKILL)
        task.handles.append(timer.cancel)

    def _signal(self, task: Running, number: int) -> None:
        if task.pid is None or task.id not in self.tasks:
            return
        pids = tree(task.pid)
        self.throttle.resume(pids)
        for pid in pids if number == signal.SIGKILL else pids[:1]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    async def _ended(self, task: Running, status: int, peak_bytes: int) -> None:
        ended_at = self.now()
        task.peak_bytes = max(task.peak_bytes, peak_bytes - task.base_bytes)
        for handle in task.handles:
            handle()
        task.log.close()
        self.throttle.release(task.tag)
        del self.tasks[task.id]
        if not self.tasks:
            self._busy.clear()
        message = describe_end(task, status, ended_at)
        if self.uid is not None:
            take_back(Path(task.order["output_folder"]))
        self._keep(message)

    def _keep(self, message: dict[str, Any]) -> None:
        """Put an end on disk, then tell it; it stays until acknowledged."""
        file = self._ended_file(message["id"])
        temporary = file.with_suffix(".tmp")
        with open(temporary, "w") as handle:
            json.dump(message, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, file)
        self.ended[message["id"]] = message
        self.tell(message)

    def _ended_file(self, name: str) -> Path:
        return self.ended_folder / (hashlib.sha256(name.encode()).hexdigest()[:32] + ".json")

    async def _watch(self) -> None:
        """While tasks run: keep them to their share and their memory."""
        last = time.monotonic()
        while True:
            await self._busy.wait()
            limited = self.throttle.needs_ticks or any(task.memory_bytes for task in self.tasks.values())
            await asyncio.sleep(TICK_SECONDS if limited else IDLE_TICK_SECONDS)
            now = time.monotonic()
            for task in list(self.tasks.values()):
                if task.pid is not None:
                    self._look_after(task, now - last)
            last = now

    def _look_after(self, task: Running, elapsed: float) -> None:
        assert task.pid is not None
        pids = tree(task.pid)
        used = sum(resident_bytes(pid) for pid in pids) - task.base_bytes
        task.peak_bytes = max(task.peak_bytes, used)
        limit = task.memory_bytes
        if limit is not None and used > limit and task.ending is None:
            self._end(task, "oom", 0.0)
        elif self.throttle.needs_ticks:
            self.throttle.tick(task.tag, pids, elapsed)

    async def _leave_when_alone(self) -> None:
        grace = float(self.config["grace_seconds"])
        while True:
            await asyncio.sleep(min(1.0, max(grace / 4, 0.1)))
            if self.writer is None and time.monotonic() - self.left_at > grace:
                log.warning("nobody came back within %g s: leaving", grace)
                self.stopping.set()

    def _usage(self) -> dict[str, Any]:
        pids = {task.id: tree(task.pid) for task in self.tasks.values() if task.pid is not None}
        return {
            "memory_bytes": sum(resident_bytes(pid) for found in pids.values() for pid in found),
            "cpu_nanoseconds": {name: sum(map(cpu_nanoseconds, found)) for name, found in pids.items()},
        }

    def tell(self, message: dict[str, Any]) -> None:
        """One line to the server, if it is there."""
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")


def main() -> None:
    """`python -m server.platforms.local.agent CONFIG.json`."""
    config = json.loads(Path(sys.argv[1]).read_text())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s agent %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(Agent(config).run())


if __name__ == "__main__":
    main()
