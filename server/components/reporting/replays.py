"""Replays in a process of their own, one at a time: a server that answers calls has no time and memory for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PROGRAM = "from server.cli import main; main()"
LIMIT_SECONDS = 600.0
NICENESS = 15
LARGEST_SENTENCE = 500
FRESH_SECONDS = 600.0
"""An answer serves so long,"""

PROBLEM_FRESH_SECONDS = 30.0
"""but that there is none only so long: what is missing (runs that ended, say) may come soon."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A replay's JSON (`mlopx-server replay --json`), or why there is none."""

    document: Mapping[str, Any] | None
    problem: str = ""


class Replays:
    """Starts replays and keeps the last answer of each question. `environment` is what the command's settings need."""

    def __init__(
        self,
        environment: Mapping[str, str],
        limit_seconds: float = LIMIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment, self._limit_seconds, self._monotonic = environment, limit_seconds, monotonic
        self._done: dict[tuple[str, str], tuple[float, Simulated]] = {}
        self._job: tuple[tuple[str, str], asyncio.Task[Simulated]] | None = None

    def ask(self, *, days: int, placer: str) -> Simulated | None:
        """The answer (a few minutes old at most), or None while it is worked on."""
        question = (f"{days}d", placer)
        if self._job is not None and self._job[1].done():
            asked, job = self._job
            self._done[asked], self._job = (self._monotonic(), job.result()), None
        self._done = {one: kept for one, kept in self._done.items() if self._monotonic() - kept[0] < _fresh(kept[1])}
        if question in self._done:
            return self._done[question][1]
        if self._job is None:
            self._job = question, asyncio.create_task(self._run(*question), name="replay")
        return None

    async def aclose(self) -> None:
        """End what runs."""
        if self._job is not None:
            self._job[1].cancel()
            await asyncio.wait([self._job[1]])

    async def _run(self, since: str, placer: str) -> Simulated:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, "replay", "--since", since, "--placer", placer, "--json",
            stdout=-1, stderr=-1, start_new_session=True, env={**os.environ, **self._environment},
        )  # fmt: skip
        try:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            async with asyncio.timeout(self._limit_seconds):
                out, error = await process.communicate()
        except TimeoutError:
            return Simulated(None, f"the replay was not done within {self._limit_seconds:g} s")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            first = error.decode(errors="replace").strip().partition("\n")[0].removeprefix("error: ")
            return Simulated(None, first[:LARGEST_SENTENCE] or f"the replay ended with code {process.returncode}")
        return Simulated(json.loads(out))


def _fresh(found: Simulated) -> float:
    return FRESH_SECONDS if found.document is not None else PROBLEM_FRESH_SECONDS


__all__ = ["Replays", "Simulated"]
