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


async def listen(path: str, connected: Connected, limit: int) -> asyncio.Server:
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
            return server


def leave(path: str) -> None:
    """Be found no more, and leave nothing; the folder stays while another agent listens there."""
    Path(path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(path).parent.rmdir()
