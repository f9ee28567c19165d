"""The server's side of an agent: starts it or finds it again, speaks with it, and notices when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.domain.errors import ConfigurationError, PlatformError
from server.platforms.local.sockets import check_owner, socket_path

log = logging.getLogger(__name__)

START_SECONDS = 30.0
ANSWER_SECONDS = 20.0
STOP_SECONDS = 10.0
USAGE = "usage"
"""The event that tells what a node's tasks use, and the key under which it is waited for."""
USAGE_SECONDS = 1.0
LINE_LIMIT = 64 << 20
KEPT_VARIABLES = {
    *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "CUDA_VISIBLE_DEVICES"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
}
"""What agents and tasks get of the server's environment: never its settings, which may hold passwords."""
Listener = Callable[["AgentLink", dict[str, Any]], None]


class UnansweredError(PlatformError):
    """The agent got an order and has not answered it: it may have carried it out, or do so yet."""


class AgentLink:
    """A connection to one node's agent that mends itself. `listener` gets every message, and `{"event": "lost"}` when
    the agent's process is gone with all it ran."""

    def __init__(self, node: str, folder: Path, config: dict[str, Any], listener: Listener) -> None:
        self.node, self.folder = node, folder / "agents" / node
        text = json.dumps(config, sort_keys=True)
        self._config = {**config, "digest": hashlib.sha256(text.encode()).hexdigest()[:16]}
        self._listener = listener
        self._socket = socket_path(folder, node)
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._last_pid: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False
        self.hello: dict[str, Any] = {}

    async def start(self) -> None:
        """Connect for the first time. Raises ConfigurationError if no agent can be had."""
        check_owner(self._socket)
        self._task = asyncio.create_task(self._keep_connected(), name=f"agent {self.node}")
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready.wait()
        except TimeoutError as error:
            await self.aclose(stop=True)
            raise ConfigurationError(
                f"the agent of node {self.node} does not start", hint=f"its log is {self.folder / 'agent.log'}"
            ) from error

    async def aclose(self, *, stop: bool) -> None:
        """Let go of the agent; `stop` also ends it with all it runs."""
        self._is_closing = True
        if self._task is None:
            return
        if stop and self._writer is not None:
            with contextlib.suppress(PlatformError):
                await self.send({"op": "stop"})
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)  # the agent closes the connection last
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.sleep(0)  # lets the closed connection go
        if self._process is None:
            return
        if stop:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, STOP_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        elif self._process.poll() is None:
            self._process.returncode = 0  # it runs on without us, on purpose: nobody shall wait for it

    async def send(self, order: dict[str, Any]) -> None:
        """Give an order. Raises PlatformError (retryable) while the agent cannot be reached."""
        if self._writer is None or self._writer.is_closing():
            raise PlatformError(f"the agent of node {self.node} cannot be reached right now", is_retryable=True)
        self._writer.write(json.dumps(order).encode() + b"\n")
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise UnansweredError(f"the agent of node {self.node} went away", is_retryable=True) from error

    async def usage(self) -> dict[str, Any] | None:
        """What the node's tasks use now; None if the agent does not say, or is of a version that cannot."""
        if not self.hello.get("tells_usage", False):
            return None
        try:
            return await self.ask({"op": "usage"}, USAGE, USAGE_SECONDS)
        except PlatformError as error:
            log.debug("no usage of node %s: %s", self.node, error.message)
            return None

    async def insist(self, order: dict[str, Any], key: str) -> dict[str, Any]:
        """Give an order, and again until the agent that has it answers: it may be carrying it out.

        Raises PlatformError (retryable) where it is certain that no agent carries it out: none could be reached, or
        the one that had it is gone.
        """
        holder: int | None = None
        while True:
            pid = self.hello.get("pid")
            try:
                return await self.ask(order, key)
            except PlatformError as error:
                if isinstance(error, UnansweredError):
                    holder = pid
                elif holder is None:
                    raise
                log.warning("%s; whether it runs %s is asked again", error.message, key)
            await self._ready.wait()
            if self.hello["pid"] != holder and key not in self.hello["ended"]:
                raise PlatformError(f"the agent of node {self.node} died before it answered", is_retryable=True)

    async def ask(self, order: dict[str, Any], key: str, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Give an order and wait for the answer about `key`. Raises PlatformError (retryable) if no agent can be
        reached, and UnansweredError if one was and did not answer."""
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            await self.send(order)
            async with asyncio.timeout(seconds):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise UnansweredError(f"the agent of node {self.node} does not answer", is_retryable=True) from error
        finally:
            self._answers.pop(key, None)

    async def _keep_connected(self) -> None:
        pause = 0.05
        while not self._is_closing:
            try:
                reader, writer = await self._connect()
            except (OSError, ConfigurationError) as error:
                log.warning("agent of node %s: %s", self.node, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            pause = 0.05
            try:
                async for line in reader:
                    self._hear(json.loads(line), writer)
            except (ConnectionError, ValueError) as error:
                log.warning("the connection to the agent of node %s broke: %s", self.node, error)
            finally:
                self._writer = None
                writer.close()
            self._ready.clear()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(UnansweredError(f"the agent of node {self.node} went away", is_retryable=True))
            self._answers.clear()

    def _hear(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        kind = message["event"]
        if kind == "hello":
            if self._must_renew(message):
                log.info("the agent of node %s is replaced: its settings have changed", self.node)
                writer.write(json.dumps({"op": "stop"}).encode() + b"\n")
                return
            is_new = self._last_pid is not None and message["pid"] != self._last_pid
            self._last_pid, self.hello = message["pid"], message
            if is_new:
                self._listener(self, {"event": "lost"})
            self._writer = writer  # orders only now: what an agent was given before its hello would count as lost
            self._ready.set()
        elif kind in ("accepted", "refused", USAGE):
            answer = self._answers.get(message.get("id", USAGE))
            if answer is not None and not answer.done():
                answer.set_result(message)
        self._listener(self, message)

    def _must_renew(self, hello: dict[str, Any]) -> bool:
        """An agent that was found again may have been started with other settings. An idle one is replaced at once."""
        if hello["digest"] == self._config["digest"]:
            return False
        if hello["running"] or hello["ended"]:
            log.warning("the agent of node %s still has tasks from before its settings changed", self.node)
            return False
        return True

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        with contextlib.suppress(OSError):
            return await self._open()
        await asyncio.to_thread(self._spawn)
        for _ in range(int(START_SECONDS / 0.05)):
            await asyncio.sleep(0.05)
            with contextlib.suppress(OSError):
                return await self._open()
            if self._process is not None and self._process.poll() is not None:
                raise ConnectionError(f"it ended with status {self._process.returncode}; see {self.folder}/agent.log")
        raise ConnectionError("it does not listen")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        check_owner(self._socket)
        return await asyncio.open_unix_connection(self._socket, limit=LINE_LIMIT)

    def _spawn(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "config.json"
        config = {**self._config, "node": self.node, "folder": str(self.folder), "socket": self._socket}
        file.write_text(json.dumps(config))
        with open(self.folder / "agent.log", "ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server.platforms.local.agent", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if is_kept(name)},
                cwd=Path(__file__).resolve().parents[3],
            )


def is_kept(variable: str) -> bool:
    """Whether agents and tasks see this variable of the server's environment."""
    return variable in KEPT_VARIABLES or variable.startswith("LC_")
