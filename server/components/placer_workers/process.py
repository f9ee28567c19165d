"""The server's end of the placer's worker process: starts it warm, asks it, kills it at the deadline, starts it anew.

Every failure is a `PlacerError` with a `kind` to count by; what to do about it is the decision unit's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from server.components.collecting import uncollected
from server.components.placer_workers.parcels import Packer
from server.components.placer_workers.worker import HEADER, LARGEST_FRAME_BYTES, loads_plain, unflatten
from server.domain.errors import PlacerError
from server.domain.placement import PlacementPlan, PlacementRequest

logger = logging.getLogger(__name__)

FailureKind = Literal["raised", "late", "died", "unusable", "cold", "invalid"]

TOLD_SHARE = 0.8
"""The share of the time limit that the strategy is told; the rest is for sending request and plan."""

START_PATIENCE_SECONDS = 10.0
"""How long the start of the server waits for a strategy that is loaded to be warm as well."""

COLD_PATIENCE_SECONDS = 0.1
"""How long a question waits for a worker that is getting warm (compiling, say): runs should not wait for that."""

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 60.0
_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "DATABASE_URL")
MANY_RUNS = 50
"""A request with more runs is pickled in a thread, so that the event loop stays responsive."""


class PlacerFailure(PlacerError):  # noqa: N818 - it is one of the tree's errors with a kind added
    """How a strategy failed: it raised, was late, died, is unusable, is not warm yet, or its plan is wrong."""

    def __init__(self, kind: FailureKind, message: str, *, hint: str | None = None, trace: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.trace = trace


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of its strategy."""

    name: str
    summary: str
    source: str
    version: str


class PlacerProcess:
    """One warm worker with one strategy, named by its import path `package.module:Class`.

    `on_warm` is called whenever a worker has become warm; `cold_patience_seconds` is how long a question waits for that
    while the strategy compiles, say. `monotonic` tells seconds for deadlines. Calls of `place`
    queue up behind each other.
    """

    def __init__(
        self,
        placer: str,
        *,
        start_limit_seconds: float = 120.0,
        start_patience_seconds: float = START_PATIENCE_SECONDS,
        cold_patience_seconds: float = COLD_PATIENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        on_warm: Callable[[], None] = lambda: None,
    ) -> None:
        self.placer = placer
        self.start_limit_seconds = start_limit_seconds
        self.start_patience_seconds = start_patience_seconds
        self.cold_patience_seconds = cold_patience_seconds
        self.starts = 0
        self._monotonic, self._on_warm = monotonic, on_warm
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._warming: asyncio.Task[Hello] | None = None
        self._heating: asyncio.Task[None] | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._serial = 0
        self._packer = Packer()
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the present worker, or None."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def is_warm(self) -> bool:
        """Whether there is a worker that can answer at once: loaded, and done with compiling."""
        return self.pid is not None and not self._is_warming() and not self._is_heating()

    async def start(self) -> Hello:
        """Start the worker and wait until its strategy is loaded, and a while for it to be warm, too.

        Raises PlacerFailure (`unusable`, `late`, `died`).
        """
        hello = await asyncio.shield(self._warm())
        if self._heating is not None:
            await asyncio.wait([self._heating], timeout=self.start_patience_seconds)
        return hello

    async def aclose(self) -> None:
        """End the worker; nothing of it is left."""
        self._is_closed = True
        if self._warming is not None:
            self._warming.cancel()
            with contextlib.suppress(asyncio.CancelledError, PlacerFailure):
                await self._warming
        await self._kill()

    async def place(self, request: PlacementRequest, limit_seconds: float) -> PlacementPlan:
        """Ask the strategy; whatever happens, this returns or raises PlacerFailure within about the limit."""
        async with self._turn:
            patience = min(limit_seconds, self.cold_patience_seconds) if self._is_heating() else limit_seconds
            try:
                async with asyncio.timeout(patience):
                    await self._await_warm()
                async with asyncio.timeout(limit_seconds):
                    return await self._exchange(request, limit_seconds)
            except TimeoutError:
                if self._is_warming() or self._is_heating():
                    raise PlacerFailure("cold", f"its worker was not ready within {patience:g} s") from None
                await self._replace()
                raise PlacerFailure(
                    "late",
                    f"it did not answer within {limit_seconds:g} s and was stopped",
                    hint="a strategy has to answer within request.time_limit_seconds",
                ) from None
            except (OSError, EOFError) as error:
                code = await self._replace()
                raise PlacerFailure("died", f"its worker process ended ({_exit_text(code)})") from error

    async def _exchange(self, request: PlacementRequest, limit_seconds: float) -> PlacementPlan:
        self._serial += 1
        packer, asked = self._packer, replace(request, time_limit_seconds=limit_seconds * TOLD_SHARE)
        order = (self._serial, asked)
        frame = await asyncio.to_thread(packer.frame, *order) if len(request.runs) > MANY_RUNS else packer.frame(*order)
        if packer is not self._packer:
            raise EOFError("the worker was replaced meanwhile")
        writer = self._write(frame.data)
        packer.sent(frame)
        await writer.drain()
        serial, answer = await self._receive()
        while serial != self._serial:  # an earlier answer is left over when its asker was cancelled
            serial, answer = await self._receive()
        if answer[0] == "error":
            raise PlacerFailure("raised", f"it raised {answer[1]}", trace=answer[2])
        with uncollected():
            return unflatten(*answer[1:])

    async def _await_warm(self) -> None:
        """Wait for the worker to be warm, starting one if there is none and its last failure is not too recent."""
        if self.pid is not None and not self._is_warming():
            await self._await_heat()
            return
        if not self._is_warming() and self._monotonic() < self._retry_at:
            raise PlacerFailure("unusable", "its worker could not be started; it is tried again soon")
        await asyncio.shield(self._warm())
        await self._await_heat()

    async def _await_heat(self) -> None:
        if self._heating is not None:
            await asyncio.wait([self._heating])

    def _warm(self) -> asyncio.Task[Hello]:
        if self._warming is None or self._warming.done():
            self._warming = asyncio.create_task(self._spawn(), name="placer-worker-start")
            self._warming.add_done_callback(_retrieve)
        return self._warming

    def _is_warming(self) -> bool:
        return self._warming is not None and not self._warming.done()

    def _is_heating(self) -> bool:
        return self._heating is not None and not self._heating.done()

    async def _spawn(self) -> Hello:
        try:
            async with asyncio.timeout(self.start_limit_seconds):
                hello = await self._start_process()
        except BaseException as error:
            self._failures += 1
            self._retry_at = self._monotonic() + min(FIRST_RETRY_SECONDS * 2**self._failures, LAST_RETRY_SECONDS)
            code = await self._kill()
            if isinstance(error, TimeoutError):
                limit = f"{self.start_limit_seconds:g} s"
                raise PlacerFailure("late", f"loading it took longer than {limit}") from None
            if isinstance(error, OSError | EOFError):
                raise PlacerFailure("died", f"its worker ended while loading it ({_exit_text(code)})") from error
            raise
        self._failures = 0
        return hello

    async def _start_process(self) -> Hello:
        self.starts += 1
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "server.components.placer_workers.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=_environment(),
        )
        self._packer = Packer()
        await self._write(pickle.dumps({"placer": self.placer, "path": list(sys.path)})).drain()
        _, answer = await self._receive()
        if answer[0] != "ready":
            raise PlacerFailure("unusable", f"{self.placer} cannot be loaded: {answer[1]}", trace=answer[2])
        self._heating = asyncio.create_task(self._heat(), name="placer-worker-warm-up")
        self._heating.add_done_callback(_retrieve)
        return Hello(*answer[1:])

    async def _heat(self) -> None:
        """Wait until the strategy is ready to answer quickly: it may have to compile first."""
        process = self._process
        try:
            async with asyncio.timeout(self.start_limit_seconds):
                await self._receive()
        except (OSError, EOFError, TimeoutError):
            if process is self._process:
                await self._kill()
        else:
            asyncio.get_running_loop().call_soon(self._on_warm)

    def _write(self, frame: bytes) -> asyncio.StreamWriter:
        writer = self._living().stdin
        if writer is None:
            raise EOFError("the worker has no input")
        writer.write(HEADER.pack(len(frame)))
        writer.write(frame)
        return writer

    async def _receive(self) -> Any:
        reader = self._living().stdout
        if reader is None:
            raise EOFError("the worker has no output")
        (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
        if length > LARGEST_FRAME_BYTES:
            raise EOFError(f"the worker announced {length} bytes")
        frame = await reader.readexactly(length)
        try:
            return loads_plain(frame)
        except (pickle.UnpicklingError, ValueError, AttributeError, IndexError) as error:
            raise EOFError(f"the worker's answer is not readable: {error}") from error

    def _living(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            raise EOFError("the worker is not running")
        return self._process

    async def _replace(self) -> int | None:
        """Kill the worker and begin to warm the next one; the old one's exit code."""
        code = await self._kill()
        if not self._is_closed:
            self._warm()
        return code

    async def _kill(self) -> int | None:
        process, self._process = self._process, None
        if self._heating is not None and self._heating is not asyncio.current_task():
            self._heating.cancel()
            self._heating = None
        if process is None:
            return None
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        return await process.wait()


def _environment() -> dict[str, str]:
    """Ours without what only the server may know, and with our import path."""
    kept = {name: value for name, value in os.environ.items() if not any(word in name for word in _SECRET_WORDS)}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Mark a failed start as seen: the next request meets it again, so nothing is lost."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("the placer's worker could not be started: %s", error)


def _exit_text(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


__all__ = ["FailureKind", "Hello", "PlacerFailure", "PlacerProcess"]
