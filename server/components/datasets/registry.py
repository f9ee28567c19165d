"""The data sets that were registered, and which nodes hold copies: kept in the store, known to every decision.

Each is one note (`kind` is `dataset`), the newest of its name; a removed one leaves a note that says so. Tasks are told
of what they read by `confining`, which stands before the platform's own defaults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlopx.spec import Task
from server.components.clock import Clock
from server.domain.datasets import Dataset, DatasetCopy, uses_of
from server.domain.errors import InvalidRequestError, NotFoundError
from server.domain.events import TaskSucceeded
from server.domain.lifecycle import Change
from server.domain.placement import WaitingTask
from server.domain.request import Confining, Defaults, version_of
from server.stores.interface import Note, RunStoreInterface

KIND = "dataset"
MOST_DATASETS, MOST_COPIES = 1_000, 1_000
READ_THERE = "a task that read it"


class DatasetRegistry:
    """What is registered now. Changes are written before they count; copies that tasks leave, soon after."""

    def __init__(self, store: RunStoreInterface, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._known: dict[str, Dataset] = {}
        self._version = 0
        self._unwritten: asyncio.Queue[str] = asyncio.Queue()

    @property
    def version(self) -> int:
        """Changes with every change of what is known."""
        return self._version

    def all(self) -> list[Dataset]:
        """By name."""
        return [self._known[name] for name in sorted(self._known)]

    def get(self, name: str) -> Dataset:
        """One of them. Raises NotFoundError."""
        if name not in self._known:
            there = ", ".join(sorted(self._known)[:10]) or "none"
            raise NotFoundError(f"no data set {name!r} is registered", hint=f"there are: {there}")
        return self._known[name]

    async def load(self) -> None:
        """Read what is registered, at start and now and then: another server may have changed it."""
        version = self._version
        notes = await asyncio.to_thread(self._store.notes, KIND, limit=2 * MOST_DATASETS)
        if self._version != version or not self._unwritten.empty():
            return  # what changed here meanwhile is newer than what was read: the next look takes the rest
        found = {one.subject: _dataset(one) for one in notes if not one.document.get("is_removed")}
        if found != self._known:
            self._known = found
            self._version += 1

    async def register(self, wanted: Dataset) -> Dataset:
        """Register a data set, or change one; its copies stay as long as its digest and size do.

        Raises InvalidRequestError when there are too many.
        """
        old = self._known.get(wanted.name)
        if old is None and len(self._known) >= MOST_DATASETS:
            raise InvalidRequestError(f"{MOST_DATASETS} data sets are registered already", hint="remove some first")
        is_same = old is not None and (old.digest, old.size_bytes) == (wanted.digest, wanted.size_bytes)
        copies = old.copies if old is not None and is_same else ()
        return await self._keep(replace(wanted, copies=copies, registered_at=self._clock.now()))

    async def forget(self, name: str) -> None:
        """Forget a data set; its files stay. Raises NotFoundError."""
        self.get(name)
        await self._write(Note(KIND, name, self._clock.now(), {"is_removed": True}))
        self._known.pop(name, None)
        self._version += 1

    async def set_copy(self, name: str, node: str, *, is_there: bool) -> Dataset:
        """State that a node holds a copy, or holds none any more. Raises NotFoundError."""
        return await self._keep(_with_copy(self.get(name), node, self._clock.now(), "stated" if is_there else None))

    def confining(self, defaults: Defaults) -> Confining:
        """The platform's defaults, which also tell tasks of the data sets that they read."""

        def confine(task: WaitingTask, definition: Task, project: str = "") -> WaitingTask:
            found = defaults.confine(task, definition, project) if isinstance(defaults, Confining) else task
            uses = uses_of(definition, task.parameters, self._known.values()) if self._known else ()
            if not uses:
                return found
            read = sum(one.size_bytes for one in uses)
            return replace(found, datasets=uses, input_bytes=found.input_bytes + read)

        def version() -> int:
            return version_of(defaults) + self._version

        if isinstance(defaults, Confining):
            return Confining(defaults.fill, confine, version, defaults.foresee)
        return Confining(lambda asked, project: defaults(asked), confine, version)

    def notice(self, change: Change) -> None:
        """A node on which a task read a data set keeps a copy, where the data set is of that kind."""
        for event in change.events:
            if not isinstance(event, TaskSucceeded) or event.from_cache:
                continue
            task = change.run.tasks[event.key]
            node = task.current.actual_node
            kept = [one for one in self._known.values() if one.is_kept_where_read]
            if not kept or not node:
                continue
            for use in uses_of(change.run.graph.task(event.key.path), {}, kept):
                self._known[use.name] = _with_copy(self._known[use.name], node, event.at, READ_THERE)
                self._version += node not in use.nodes
                self._unwritten.put_nowait(use.name)

    async def keep_forever(self, every_seconds: float) -> None:
        """Write the copies that tasks left, and look for what other servers changed, until cancelled."""
        while True:
            try:
                names = {await asyncio.wait_for(self._unwritten.get(), every_seconds)}
            except TimeoutError:
                await self.load()
                continue
            while not self._unwritten.empty():
                names.add(self._unwritten.get_nowait())
            for name in names & set(self._known):
                await self._write(_note(self._known[name], self._clock.now()))

    async def _keep(self, dataset: Dataset) -> Dataset:
        await self._write(_note(dataset, self._clock.now()))
        self._known[dataset.name] = dataset
        self._version += 1
        return dataset

    async def _write(self, note: Note) -> None:
        await asyncio.to_thread(self._store.add_notes, [note], keep=1)


def _with_copy(dataset: Dataset, node: str, at: datetime, source: str | None) -> Dataset:
    """With a copy on a node (from a source), or without one; the copies unseen for longest go first."""
    others = [one for one in dataset.copies if one.node != node]
    if source is not None:
        others.append(DatasetCopy(node, at, source))
    return replace(dataset, copies=tuple(others[-MOST_COPIES:]))


def _note(dataset: Dataset, at: datetime) -> Note:
    document: Mapping[str, Any] = {
        "place": dataset.place,
        "size_bytes": dataset.size_bytes,
        "digest": dataset.digest,
        "registered_at": dataset.registered_at.isoformat(),
        "bytes_per_second": dataset.bytes_per_second,
        "is_kept_where_read": dataset.is_kept_where_read,
        "copies": [[one.node, one.seen_at.isoformat(), one.source] for one in dataset.copies],
    }
    return Note(KIND, dataset.name, at, document)


def _dataset(note: Note) -> Dataset:
    document = note.document
    copies = tuple(DatasetCopy(node, datetime.fromisoformat(at), source) for node, at, source in document["copies"])
    return Dataset(
        name=note.subject,
        place=document["place"],
        size_bytes=document["size_bytes"],
        digest=document["digest"],
        registered_at=datetime.fromisoformat(document["registered_at"]),
        bytes_per_second=document["bytes_per_second"],
        is_kept_where_read=document["is_kept_where_read"],
        copies=copies,
    )


__all__ = ["DatasetRegistry"]
