"""Logs of tasks: read from their pods while these live, and kept in files when they end, since pods go away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from server.domain.errors import NotFoundError
from server.domain.run import TaskKey, attempt_id
from server.kube.client import KubeClient
from server.kube.errors import KubeError, KubeMissingError
from server.kube.resources import PODS
from server.platforms.interface import LogChunk
from server.platforms.kubeflow.sight import MAIN

PIECE = 1 << 20
SIDE_BY_SIDE = 4
PAUSES_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Between tries to read the log of a pod that ended: it stays for a while."""

Pod = tuple[str, str]


class Logs:
    """Logs of this platform's tasks, kept under `folder`."""

    def __init__(
        self, folder: Path, kube: KubeClient | None, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._folder, self._kube, self._sleep = folder, kube, sleep
        self._free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def keep(self, run_id: str, key: TaskKey, attempt: int, pod: Pod) -> bool:
        """Copy an ended pod's log into a file, as soon as Kubernetes answers; whether that worked."""
        path = self._path(run_id, key, attempt)
        if self._kube is None or path.exists():
            return path.exists()
        for pause in (*PAUSES_SECONDS, None):
            async with self._free:
                try:
                    text = await self._read(pod)
                    break
                except KubeError as error:
                    if pause is None or isinstance(error, KubeMissingError):
                        return False
            await self._sleep(pause)
        await asyncio.to_thread(_write, path, text)
        return True

    async def chunk(self, run_id: str, key: TaskKey, attempt: int, pod: Pod | None, offset: int) -> LogChunk:
        """Text from byte `offset` on. Raises NotFoundError where there is none."""
        path = self._path(run_id, key, attempt)
        if path.exists():
            return _piece(await asyncio.to_thread(path.read_bytes), offset, is_whole=True)
        if pod is None or self._kube is None:
            why = "its pod is gone" if self._kube is not None else "there is no Kubernetes access"
            raise NotFoundError(f"there is no log of task {key}, attempt {attempt}: it did not start, or {why}")
        try:
            return _piece(await self._read(pod), offset, is_whole=False)
        except KubeMissingError as error:
            raise NotFoundError(f"the log of task {key} is gone with its pod {pod[1]}") from error

    def _read(self, pod: Pod) -> Awaitable[bytes]:
        assert self._kube is not None
        return self._kube.log(PODS, name=pod[1], namespace=pod[0], container=MAIN)

    def _path(self, run_id: str, key: TaskKey, attempt: int) -> Path:
        return self._folder / (attempt_id(run_id, key, attempt).replace("/", "~").replace(":", ".") + ".log")


def _piece(content: bytes, offset: int, *, is_whole: bool) -> LogChunk:
    """A piece that breaks no character."""
    piece = content[offset : offset + PIECE]
    text = piece.decode(errors="ignore" if offset + len(piece) < len(content) else "replace")
    is_rest = offset + len(piece) >= len(content)
    taken = len(piece) if is_rest else len(text.encode())
    return LogChunk(text, offset + taken, is_end=is_whole and is_rest)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(path)


__all__ = ["Logs"]
