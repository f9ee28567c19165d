"""A task's log, bounded: the first part and the last part of what it printed, and a line on what was left out."""

from __future__ import annotations

import os
from pathlib import Path

HEAD_BYTES = 4 << 20
TAIL_BYTES = 1 << 20


class LogFile:
    """Takes what a task prints. The head goes to the file as it comes; of the rest, the end is kept in memory."""

    def __init__(self, path: Path, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by close()
        self._room, self._tail_size = head, tail
        self._tail = bytearray()
        self._left_out = 0

    def write(self, data: bytes) -> None:
        """Take some output. A full disk costs the rest of the log, not the task."""
        now, later = data[: self._room], data[self._room :]
        if now:
            self._room -= len(now)
            self._put(now)
        if later:
            self._tail += later
            if len(self._tail) > 2 * self._tail_size:
                self._trim()

    def close(self) -> None:
        """Write the end of a long log, and close."""
        self._trim()
        if self._left_out:
            self._put(f"\n… {self._left_out} bytes of output were left out here …\n".encode())
        self._put(bytes(self._tail))
        self._file.close()

    def _trim(self) -> None:
        extra = len(self._tail) - self._tail_size
        if extra > 0:
            del self._tail[:extra]
            self._left_out += extra

    def _put(self, data: bytes) -> None:
        """Write all of it; what the disk does not take counts as left out."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._file.fileno(), view) :]
            except OSError:
                self._room = 0
                self._left_out += len(view)
                return
