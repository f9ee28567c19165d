"""The agent's side of its zygote: starts it, orders forks from it, and follows what it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from server.platforms.local.child import MARK
from server.platforms.local.processes import send, with_variable

LINE_LIMIT = 64 << 20
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
"""Libraries must start no threads while the zygote loads them: a process with threads cannot be forked safely."""


class Forks:
    """Makes fresh processes for tasks. `mark` tells this agent's processes from others'."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._zygote: asyncio.subprocess.Process | None = None

    async def start(self, config: dict[str, Any]) -> None:
        """Start the zygote, after killing what an agent before this one left. It warms up while tasks may come in."""
        for pid in with_variable(MARK, self._mark):
            send(pid, signal.SIGKILL)
        self._zygote = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.platforms.local.zygote", json.dumps(config)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **ONE_THREAD, MARK: self._mark},
            limit=LINE_LIMIT,
        )

    @property
    def pid(self) -> int:
        """The zygote's process."""
        assert self._zygote is not None
        return self._zygote.pid

    def order(self, attempt_id: str, launch: dict[str, Any]) -> None:
        """Have a task's process made; `said` tells when it is there."""
        assert self._zygote is not None
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps({"start": attempt_id, "launch": launch}).encode() + b"\n")

    async def said(self) -> AsyncIterator[dict[str, Any]]:
        """What the zygote says; ends when it is gone."""
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        async for line in self._zygote.stdout:
            yield json.loads(line)

    async def aclose(self) -> None:
        """End the zygote with all it made."""
        if self._zygote is None:
            return
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._zygote.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._zygote.kill()
