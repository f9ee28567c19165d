"""How tasks ended, kept on disk until the server has said that it knows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Ends:
    """A box of messages, one file each. What it holds survives the agent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._messages: dict[str, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob("*.json"):
            with contextlib.suppress(ValueError, KeyError):  # half a file was never acknowledged: the task is lost
                message = json.loads(file.read_text())
                self._messages[message["id"]] = message

    def __contains__(self, attempt_id: str) -> bool:
        return attempt_id in self._messages

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._messages.values()))

    def keep(self, message: dict[str, Any]) -> None:
        """Put a message on disk; when this returns it is safe. Where the disk is full it lives in memory only."""
        self._messages[message["id"]] = message
        file = self._file(message["id"])
        temporary = file.with_suffix(".tmp")
        with open(temporary, "w") as handle:
            json.dump(message, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, file)

    def forget(self, attempt_id: str) -> None:
        """The server knows it."""
        self._messages.pop(attempt_id, None)
        self._file(attempt_id).unlink(missing_ok=True)

    def _file(self, attempt_id: str) -> Path:
        return self._folder / (hashlib.sha256(attempt_id.encode()).hexdigest()[:32] + ".json")
