"""What every part of the server stands on: settings, state folder, store, clock, and the journal of what happens."""

from __future__ import annotations

import base64
import contextlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from server.components.bus import Bus
from server.components.clock import SteadyClock
from server.components.journal import Journal
from server.settings import Settings
from server.stores.files import FileArtifactStore
from server.stores.interface import RunStoreInterface


@dataclass(frozen=True, slots=True)
class Ground:
    """`stack` ends in reverse what was begun; `is_shared`: other servers may use the same database."""

    settings: Settings
    state: Path
    store: RunStoreInterface
    clock: SteadyClock
    stack: contextlib.AsyncExitStack
    bus: Bus
    journal: Journal
    artifacts: FileArtifactStore
    is_shared: bool


def make_ground(
    settings: Settings, state: Path, store: RunStoreInterface, clock: SteadyClock, stack: contextlib.AsyncExitStack
) -> Ground:
    """Nothing runs yet."""
    is_shared = not settings.database.startswith("sqlite")
    bus = Bus(store, poll_seconds=1.0 if is_shared else None)
    stack.push_async_callback(bus.aclose)
    artifacts = FileArtifactStore(state / "artifacts")
    return Ground(settings, state, store, clock, stack, bus, Journal(store, bus), artifacts, is_shared)


def new_id(size: int = 8) -> str:
    """A random lower-case id of about `size * 1.6` characters."""
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()


__all__ = ["Ground", "make_ground", "new_id"]
