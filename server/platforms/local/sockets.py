"""Where agents listen: at short paths below the system's temporary folder, in a folder that is the server's user's own.

The agents of one state folder share that folder. Each makes it when it starts, and the last that ends removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.domain.errors import ConfigurationError

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


def socket_path(folder: Path, node: str) -> str:
    """Where the agent of a node listens: short, private, and different for every state folder."""
    tag = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    home = Path(tempfile.gettempdir()) / f"mlopx-{os.getuid()}-{tag}"
    return str(home / f"{hashlib.sha256(node.encode()).hexdigest()[:16]}.sock")


def check_owner(path: str) -> None:
    """Whoever may connect to a socket hears secrets: its folder must be ours. Raises ConfigurationError."""
    home = Path(path).parent
    with contextlib.suppress(FileNotFoundError):
        if home.lstat().st_uid != os.getuid():
            raise ConfigurationError(f"{home} belongs to somebody else", hint="remove it, or set TMPDIR")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one agent listens; `file` is its socket's, as the file system knows it."""

    path: str
    server: asyncio.Server
    file: tuple[int, int]

    def leave(self) -> None:
        """Be found no more, and leave nothing but what is another agent's: a newer one at this path, say."""
        with contextlib.suppress(OSError):
            if _file_of(self.path) == self.file:
                os.unlink(self.path)
            Path(self.path).parent.rmdir()


async def listen(path: str, connected: Connected, limit: int) -> Place:
    """Listen at a path for this user only. Raises ConfigurationError if its folder is somebody else's."""
    home = Path(path).parent
    while True:
        home.mkdir(mode=0o700, exist_ok=True)
        check_owner(path)
        with contextlib.suppress(FileNotFoundError):  # an agent beside this one ended, and took the folder with it
            home.chmod(0o700)
            Path(path).unlink(missing_ok=True)
            server = await asyncio.start_unix_server(connected, path, limit=limit)
            os.chmod(path, 0o600)
            return Place(path, server, _file_of(path))


def _file_of(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
