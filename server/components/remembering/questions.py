"""What strategies were asked: the requests of the latest cycles that decided something, to be asked again.

Kept beside the live path: made small and written in a thread, at most a few at a time; what is too large or too much
is dropped, and counted.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import logging
import pickle
import zlib
from typing import Any

from server.components.decision_unit import Outcome
from server.components.placer_workers.pickling import pickled
from server.domain.errors import MlopxError
from server.domain.placement import Decision, PlacementRequest
from server.stores.interface import Note, RunStoreInterface

log = logging.getLogger(__name__)

KIND = "question"
MOST_KEPT = 1000
LARGEST_BYTES = 200_000
MOST_UNWRITTEN = 16
FORMAT = 1
_OUR_ROOMS = ("server.domain.", "mlopx.spec.")
_PLAIN = {("datetime", "datetime"), ("datetime", "timezone"), ("datetime", "timedelta")}


class Questions:
    """Keeps requests."""

    def __init__(self, store: RunStoreInterface) -> None:
        self._store = store
        self._writing: set[asyncio.Task[None]] = set()
        self.kept = self.dropped = 0

    def notice(self, request: PlacementRequest, outcome: Outcome) -> None:
        """Keep the request of a cycle that decided something; never waits."""
        if not outcome.decisions:
            return
        if len(self._writing) >= MOST_UNWRITTEN:
            self.dropped += 1
            return
        task = asyncio.create_task(self._keep(request, outcome))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def aclose(self) -> None:
        """Write what is on its way."""
        await asyncio.gather(*self._writing)

    async def _keep(self, request: PlacementRequest, outcome: Outcome) -> None:
        try:
            if not await asyncio.to_thread(self._write, request, outcome):
                self.dropped += 1
                return
            self.kept += 1
        except MlopxError as error:
            self.dropped += 1
            log.warning("the question of cycle %d could not be kept: %s", request.cycle, error.message)

    def _write(self, request: PlacementRequest, outcome: Outcome) -> bool:
        data = zlib.compress(pickled((FORMAT, request)), 6)
        if len(data) > LARGEST_BYTES:
            return False
        document = {
            "cycle": request.cycle,
            "strategy": outcome.strategy,
            "decisions": [one.id for one in outcome.decisions],
            "data": base64.b64encode(data).decode(),
        }
        self._store.add_notes([Note(KIND, "", request.now, document)], keep=MOST_KEPT)
        return True


def find_question(store: RunStoreInterface, decision: Decision) -> PlacementRequest | None:
    """The request that a decision answered, where it was kept and can still be read."""
    for note in store.notes(KIND, since=decision.at, limit=MOST_KEPT):
        if decision.id in note.document["decisions"]:
            return read_question(note)
    return None


def read_question(note: Note) -> PlacementRequest | None:
    """The request in a note; None where another version of the server wrote it."""
    try:
        form, request = _Reader(io.BytesIO(zlib.decompress(base64.b64decode(note.document["data"])))).load()
    except (pickle.UnpicklingError, zlib.error, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return None
    return request if form == FORMAT and isinstance(request, PlacementRequest) else None


class _Reader(pickle.Unpickler):
    """Makes nothing but our own values: what lies in a database is not to be trusted with more."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) in _PLAIN:
            return super().find_class(module_name, global_name)
        if module_name.startswith(_OUR_ROOMS) and "." not in global_name:
            found = getattr(importlib.import_module(module_name), global_name)
            if getattr(found, "__module__", "").startswith(_OUR_ROOMS):
                return found
        raise pickle.UnpicklingError(f"a kept question holds a {module_name}.{global_name}")


__all__ = ["Questions", "find_question", "read_question"]
