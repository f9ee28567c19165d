"""The only writer of run state: load, apply the lifecycle, save with the expected version, tell who listens.

Callers hand in events; one writer takes whatever waits, applies it in order, and commits it all in one transaction, so
that a burst costs one flush to disk. When `apply` returns, what it returns is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from server.components.bus import Bus
from server.domain.commands import outstanding
from server.domain.errors import MlopxError, VersionConflictError
from server.domain.events import Event
from server.domain.lifecycle import Change, apply
from server.domain.run import Run
from server.stores.interface import RunStoreInterface, Save

log = logging.getLogger(__name__)

Listener = Callable[[Change], None]
MAX_BATCH = 500
CONFLICT_TRIES = 5


@dataclass(slots=True)
class _Request:
    run_id: str
    events: tuple[Event, ...]
    answer: asyncio.Future[Change]


@dataclass(slots=True)
class _Batch:
    """Changes of several requests on their way into one transaction."""

    runs: dict[str, Run] = field(default_factory=dict)
    before: dict[str, Run] = field(default_factory=dict)
    events: dict[str, list[Event]] = field(default_factory=dict)
    answers: list[tuple[_Request, Change]] = field(default_factory=list)


class Journal:
    """Writes run state and keeps all live runs at hand. Listeners are called after each commit, in commit order."""

    def __init__(self, store: RunStoreInterface, bus: Bus) -> None:
        self._store, self._bus = store, bus
        self._live: dict[str, Run] = {}
        self._listeners: list[Listener] = []
        self._requests: asyncio.Queue[_Request] = asyncio.Queue()

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every change from now on."""
        self._listeners.append(listener)

    async def load(self) -> list[Run]:
        """Read all live runs, at start. Returns them in submission order."""
        self._live = {run.id: run for run in await asyncio.to_thread(self._store.live_runs)}
        return self.live()

    def live(self) -> list[Run]:
        """All runs that have not ended, in submission order."""
        return list(self._live.values())

    async def run(self, run_id: str) -> Run:
        """Any run. Raises NotFoundError."""
        found = self._live.get(run_id)
        return found if found is not None else await asyncio.to_thread(self._store.load_run, run_id)

    async def create(self, change: Change, *, idempotency_key: str | None = None) -> Run:
        """Store a new run durably; with a key that was used before, the run of that time comes back."""
        run, _ = await asyncio.to_thread(
            self._store.create_run, change.run, change.events, idempotency_key=idempotency_key
        )
        if run.id == change.run.id:
            if not run.state.is_end:
                self._live[run.id] = run
            self._tell(change)
        return run

    async def apply(self, run_id: str, *events: Event) -> Change:
        """Apply events of one run, in order, and commit. Raises what `lifecycle.apply` and the store raise."""
        answer: asyncio.Future[Change] = asyncio.get_running_loop().create_future()
        self._requests.put_nowait(_Request(run_id, events, answer))
        return await answer

    async def write_forever(self) -> None:
        """The writer. Runs until cancelled; what waits then is refused."""
        try:
            while True:
                batch = [await self._requests.get()]
                while len(batch) < MAX_BATCH and not self._requests.empty():
                    batch.append(self._requests.get_nowait())
                await self._write(batch)
        finally:
            while not self._requests.empty():
                self._requests.get_nowait().answer.cancel()

    async def _write(self, requests: Sequence[_Request]) -> None:
        for _ in range(CONFLICT_TRIES):
            batch = await self._prepare(requests)
            saves = [self._save_of(batch, run_id) for run_id in batch.events]
            with self._bus.unsettled():
                try:
                    if saves:
                        await asyncio.to_thread(self._store.save, saves)
                except VersionConflictError:
                    await self._reload(batch)
                    continue
                except MlopxError as error:
                    self._refuse(requests, error)
                    return
                except Exception as error:
                    log.exception("the store failed to save %d runs", len(saves))
                    self._refuse(requests, error)
                    return
                self._publish(batch)
                return
        self._refuse(requests, VersionConflictError("somebody else keeps changing the same runs", hint="try again"))

    async def _prepare(self, requests: Sequence[_Request]) -> _Batch:
        batch = _Batch()
        for request in requests:
            if request.answer.done():
                continue
            try:
                run = batch.runs.get(request.run_id) or await self.run(request.run_id)
                batch.before.setdefault(run.id, run)
                change = _apply_all(run, request.events)
            except MlopxError as error:
                request.answer.set_exception(error)
                continue
            batch.runs[run.id] = change.run
            batch.events.setdefault(run.id, []).extend(change.events)
            batch.answers.append((request, change))
        for run_id in [run_id for run_id, events in batch.events.items() if not events]:
            del batch.events[run_id]
        return batch

    @staticmethod
    def _save_of(batch: _Batch, run_id: str) -> Save:
        before, after = batch.before[run_id], batch.runs[run_id]
        changed = tuple(key for key, task in after.tasks.items() if before.tasks.get(key) is not task)
        return Save(after, before.version, changed, tuple(batch.events[run_id]))

    async def _reload(self, batch: _Batch) -> None:
        """Take over what somebody else wrote, such as the last write of a server that lost its lease.

        Nobody here heard of it, so listeners are told what is outstanding: a task that was placed must still be bound.
        """
        for run_id in batch.events:
            run = await asyncio.to_thread(self._store.load_run, run_id)
            if run.state.is_end:
                self._live.pop(run_id, None)
            else:
                self._live[run_id] = run
            self._tell(Change(run, (), outstanding(run)))

    @staticmethod
    def _refuse(requests: Sequence[_Request], error: Exception) -> None:
        for request in requests:
            if not request.answer.done():
                request.answer.set_exception(error)

    def _publish(self, batch: _Batch) -> None:
        for run_id, run in batch.runs.items():
            if run.state.is_end:
                self._live.pop(run_id, None)
            else:
                self._live[run_id] = run
        for request, change in batch.answers:
            if not request.answer.done():
                request.answer.set_result(change)
            if change.events:
                self._tell(change)

    def _tell(self, change: Change) -> None:
        self._bus.wake()
        for listener in self._listeners:
            try:
                listener(change)
            except Exception:
                log.exception("a listener failed on a change of run %s", change.run.id)


def _apply_all(run: Run, events: Sequence[Event]) -> Change:
    change = Change(run, (), ())
    gathered: list[Event] = []
    for event in events:
        change = apply(change.run, event)
        gathered.extend(change.events)
    return Change(change.run, tuple(gathered), change.commands)
