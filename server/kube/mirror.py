"""A live copy of one kind of object: listed once, then kept by watching. Costs nothing while nothing happens.

When the API says that our place in its history is gone (410) or that it took too long (504), everything is listed
again; a connection that broke is taken up where it was. Tries in a row that bring nothing come ever more slowly. What a
reader needs of an object is taken out as it arrives, so that twenty thousand pods stay small.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from server.domain.errors import MlopxError
from server.kube.client import KubeClient, Object
from server.kube.errors import KubeExpiredError, KubeMissingError
from server.kube.resources import Kind

T = TypeVar("T")
Name = tuple[str, str]
"""Namespace (empty for nodes) and name."""

FIRST_PAUSE_SECONDS = 0.5
AGAIN_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 30.0
VAIN_TRIES_AT_MOST = 8
SHORT_WATCH = timedelta(seconds=1)
"""A watch that ends sooner, and brought nothing, is none: something between us and the API lets no stream through."""

log = logging.getLogger(__name__)


class Mirror(Generic[T]):
    """Objects of one kind, kept up to date by `run_forever`.

    Args:
        reduce: what to keep of an object; None leaves it out.
        now: the clock.
        sleep: waits between tries.
    """

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        *,
        reduce: Callable[[Object], T | None],
        now: Callable[[], datetime],
        namespace: str | None = None,
        labels: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self._kind, self._reduce, self._now, self._sleep = client, kind, reduce, now, sleep
        self._namespace, self._labels = namespace, labels
        self._objects: dict[Name, T] = {}
        self._version = ""
        self._listeners: list[Callable[[Name, T | None], None]] = []
        self._vain_tries = 0
        self.is_synced = False
        self.seen_at: datetime | None = None
        self.problem: MlopxError | None = None
        self.lists = 0

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> T | None:
        """What is kept of one object."""
        return self._objects.get((namespace, name))

    def listen(self, listener: Callable[[Name, T | None], None]) -> None:
        """Call back with every object that is new, changed, or (None) gone."""
        self._listeners.append(listener)

    async def sync(self) -> None:
        """List everything now."""
        listing = await self._client.list(self._kind, namespace=self._namespace, labels=self._labels)
        fresh: dict[Name, T] = {}
        for item in listing.items:
            kept = self._reduce(item)
            if kept is not None:
                fresh[name_of(item)] = kept
        before, self._objects, self._version = self._objects, fresh, listing.version
        self.lists += 1
        self._well()
        for name in before.keys() - fresh.keys():
            self._tell(name, None)
        for name, kept in fresh.items():
            if before.get(name) != kept:
                self._tell(name, kept)

    async def run_forever(self) -> None:
        """List, then watch, until cancelled. Troubles are remembered in `problem` and tried again."""
        while True:
            try:
                if not self._version:
                    await self.sync()
                await self._watch()
            except KubeExpiredError as error:
                self._version = ""
                if self._vain_tries:
                    self._troubled(error)
            except MlopxError as error:
                self._troubled(error)
                if isinstance(error, KubeMissingError) or getattr(error, "status_code", None) == 403:
                    self._version, self.is_synced, self._vain_tries = "", False, VAIN_TRIES_AT_MOST
            await self._sleep(self._pause())

    def _pause(self) -> float:
        """Seconds until the next try: at once after something was seen, then ever longer."""
        vain = self._vain_tries
        self._vain_tries = min(vain + 1, VAIN_TRIES_AT_MOST)
        return min(FIRST_PAUSE_SECONDS * 2 ** (vain - 1), LONGEST_PAUSE_SECONDS) if vain else AGAIN_PAUSE_SECONDS

    async def _watch(self) -> None:
        began_at = self._now()
        happenings = self._client.watch(self._kind, self._version, namespace=self._namespace, labels=self._labels)
        async for happening in happenings:
            about = happening.object.get("metadata") or {}
            self._version = str(about.get("resourceVersion") or self._version)
            if happening.type != "BOOKMARK":
                self._take(happening.type, happening.object)
            self._vain_tries = 0
            self._well()
        if self._now() - began_at >= SHORT_WATCH:
            self._vain_tries = 0

    def _take(self, type_: str, item: Object) -> None:
        name = name_of(item)
        kept = self._reduce(item) if type_ != "DELETED" else None
        if kept is None:
            if self._objects.pop(name, None) is not None:
                self._tell(name, None)
            return
        if self._objects.get(name) != kept:
            self._objects[name] = kept
            self._tell(name, kept)

    def _tell(self, name: Name, kept: T | None) -> None:
        for listener in self._listeners:
            listener(name, kept)

    def _well(self) -> None:
        self.is_synced, self.problem, self.seen_at = True, None, self._now()

    def _troubled(self, error: MlopxError) -> None:
        if self.problem is None:
            log.warning("%s: %s", self._kind.plural, error.message)
        self.problem = error


def name_of(item: Object) -> Name:
    """Namespace and name of an object."""
    about: dict[str, Any] = item.get("metadata") or {}
    return (str(about.get("namespace") or ""), str(about.get("name") or ""))


def readable(read: Callable[[Object], T | None]) -> Callable[[Object], T | None]:
    """A `reduce` that leaves out what cannot be read."""

    def reduce(item: Object) -> T | None:
        try:
            return read(item)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    return reduce


__all__ = ["Mirror", "Name", "name_of", "readable"]
