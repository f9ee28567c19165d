"""The folder that a server keeps its state in: writable, and one process' alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from server.domain.errors import ConfigurationError


def prepare_state(folder: Path) -> Path:
    """Make the state folder. Raises ConfigurationError if it cannot be written."""
    state = folder.absolute()
    try:
        state.mkdir(parents=True, exist_ok=True)
        probe = state / f".probe-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"the state folder {state} cannot be written: {error.strerror}", hint="set STATE_DIR to another folder"
        ) from error
    return state


@contextlib.contextmanager
def sole_user(state: Path) -> Iterator[None]:
    """Hold the state folder for this process alone. Raises ConfigurationError naming who has it."""
    with open(state / "server.lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise ConfigurationError(
                f"another server (process {lock.read().strip() or 'unknown'}) already uses {state}",
                hint="stop it, or give this one a STATE_DIR of its own; several servers share PostgreSQL, not SQLite",
            ) from error
        try:
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        except OSError as error:
            raise ConfigurationError(
                f"nothing can be written into the state folder {state}: {error.strerror}", hint="free some space there"
            ) from error
        yield


__all__ = ["prepare_state", "sole_user"]
