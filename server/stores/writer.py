"""One writing thread per store: callers' transactions that wait together are committed together.

Each caller's part is fenced by a savepoint, so one that fails takes nothing with it; the flush to disk, the slow part
of a durable write, is shared.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from server.domain.errors import MlopxError, StorageFullError, UnavailableError

T = TypeVar("T")
Work = Callable[[Connection], Any]
MAX_BATCH = 200
COMMIT_ORDER_LOCK = 0x6D6C6F7078
"""Advisory lock on PostgreSQL under which event ids are given: ids are then in commit order."""


class Writer:
    """Runs pieces of work on one connection, in order, several to a commit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; returns when it is durable. Raises what it raises, and then nothing is kept."""
        done: Future[T] = Future()
        self._waiting.put((work, done))
        return done.result()

    def close(self) -> None:
        """Finish what waits, and stop."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            try:
                self._commit(batch)
            except Exception as error:
                failure = translate(error)
                for _, done in batch:
                    if not done.done():
                        done.set_exception(failure)

    def _next_batch(self) -> list[tuple[Work, Future[Any]]] | None:
        first = self._waiting.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_BATCH and not self._waiting.empty():
            item = self._waiting.get()
            if item is None:
                self._waiting.put(None)
                break
            batch.append(item)
        return batch

    def _commit(self, batch: list[tuple[Work, Future[Any]]]) -> None:
        answers: list[tuple[Future[Any], Any]] = []
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": COMMIT_ORDER_LOCK})
            for work, done in batch:
                try:
                    with connection.begin_nested():
                        answer = work(connection)
                except MlopxError as error:
                    done.set_exception(error)
                except DBAPIError as error:
                    if is_storage_trouble(error):
                        raise
                    done.set_exception(translate(error))
                else:
                    answers.append((done, answer))
        for done, answer in answers:
            done.set_result(answer)


def is_storage_trouble(error: DBAPIError) -> bool:
    """Whether the whole database is in trouble, not just this piece of work."""
    return error.connection_invalidated or isinstance(translate(error), UnavailableError)


def translate(error: Exception) -> Exception:
    """The driver's error as one of ours, where it says something that a user can act on."""
    words = str(getattr(error, "orig", error)).lower()
    if "disk is full" in words or "no space left" in words or "disk i/o error" in words:
        return StorageFullError(
            "the disk is full: nothing was stored",
            hint="free some space; the server goes on by itself, and what it accepted before is safe",
        )
    if "malformed" in words or "not a database" in words:
        return UnavailableError(
            f"the database is damaged: {getattr(error, 'orig', error)}",
            hint="stop the server, and put a copy of the file back; `sqlite3 FILE .recover` saves what can be read",
        )
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or "locked" in words or "connection" in words or "readonly" in words
    ):
        return UnavailableError(f"the database cannot be used right now: {error.orig}", hint="try again in a moment")
    return error
