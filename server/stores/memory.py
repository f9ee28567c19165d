"""The in-memory run store: a fake that keeps every promise of the port but durability. For tests and simulations."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from server.domain.errors import ConflictError, NotFoundError, VersionConflictError
from server.domain.events import Event, StoredEvent
from server.domain.placement import Decision
from server.domain.run import Run, TaskKey
from server.domain.states import RunState
from server.stores.codec import request_digest
from server.stores.interface import (
    CacheEntry,
    FinishedAttempt,
    Note,
    RunFilter,
    RunPage,
    RunStoreInterface,
    RunSummary,
    Save,
)
from server.stores.memory_schedules import MemorySchedules


@dataclass(slots=True)
class _Lease:
    owner: str
    token: int
    until: datetime


class MemoryRunStore(RunStoreInterface):
    """Everything in dicts and lists, behind one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.schedules = MemorySchedules()
        self._runs: dict[str, Run] = {}
        self._events: list[StoredEvent] = []
        self._decisions: list[Decision] = []
        self._finished: list[FinishedAttempt] = []
        self._cache: dict[str, CacheEntry] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self._leases: dict[str, _Lease] = {}
        self._notes: list[Note] = []
        self._note_ids = itertools.count(1)

    def create_run(self, run: Run, events: Sequence[Event], *, idempotency_key: str | None = None) -> tuple[Run, int]:
        asked = request_digest(run)
        with self._lock:
            if idempotency_key is not None:
                earlier = self._keys.setdefault(idempotency_key, (run.id, asked))
                if earlier[1] != asked:
                    raise ConflictError(f"the idempotency key {idempotency_key!r} was used for something else before")
                if earlier[0] != run.id:
                    return self._runs[earlier[0]], len(self._events)
            self._runs[run.id] = run
            self._append(run.id, events)
            return run, len(self._events)

    def save(self, saves: Sequence[Save]) -> list[StoredEvent]:
        with self._lock:
            for one in saves:
                if one.run.id not in self._runs or self._runs[one.run.id].version != one.expected_version:
                    raise VersionConflictError(f"run {one.run.id} was changed by somebody else")
            stored: list[StoredEvent] = []
            for one in saves:
                self._runs[one.run.id] = one.run
                stored.extend(self._append(one.run.id, one.events))
            return stored

    def load_run(self, run_id: str) -> Run:
        with self._lock:
            if run_id not in self._runs:
                raise NotFoundError(f"there is no run {run_id!r}", hint="`mlopx runs` lists them")
            return self._runs[run_id]

    def live_runs(self) -> list[Run]:
        with self._lock:
            return sorted((run for run in self._runs.values() if not run.state.is_end), key=_age)

    def list_runs(self, wanted: RunFilter) -> RunPage:
        with self._lock:
            runs = sorted(self._runs.values(), key=_age, reverse=True)
            if wanted.after is not None:
                if wanted.after not in self._runs:
                    raise NotFoundError(f"the cursor {wanted.after!r} is not one of this list")
                last = _age(self._runs[wanted.after])
                runs = [run for run in runs if _age(run) < last]
        found = [run for run in runs if _is_wanted(run, wanted)]
        page = tuple(summary_of(run) for run in found[: wanted.limit])
        return RunPage(page, page[-1].id if len(found) > wanted.limit else None)

    def count_by_state(self) -> dict[RunState, int]:
        with self._lock:
            counts: dict[RunState, int] = {}
            for run in self._runs.values():
                counts[run.state] = counts.get(run.state, 0) + 1
            return counts

    def events(self, *, after: int = 0, run_id: str | None = None, limit: int = 1000) -> list[StoredEvent]:
        with self._lock:
            found = (one for one in self._events[after:] if run_id is None or one.run_id == run_id)
            return [one for _, one in zip(range(limit), found, strict=False)]

    def last_event_id(self) -> int:
        with self._lock:
            return len(self._events)

    def add_decisions(self, decisions: Sequence[Decision]) -> None:
        with self._lock:
            self._decisions.extend(decisions)

    def decisions(self, run_id: str, *, task: TaskKey | None = None) -> list[Decision]:
        with self._lock:
            return [one for one in self._decisions if one.run_id == run_id and (task is None or one.key == task)]

    def add_finished(self, attempts: Sequence[FinishedAttempt]) -> None:
        with self._lock:
            for attempt in attempts:
                self._finished.append(replace(attempt, id=len(self._finished) + 1))

    def finished(self, *, after: int = 0, limit: int = 10_000) -> list[FinishedAttempt]:
        with self._lock:
            return self._finished[after : after + limit]

    def last_finished_id(self) -> int:
        with self._lock:
            return self._finished[-1].id if self._finished else 0

    def add_notes(self, notes: Sequence[Note], *, keep: int | None = None) -> None:
        with self._lock:
            for note in notes:
                self._notes.append(replace(note, id=next(self._note_ids)))
                if keep is not None:
                    same = [one for one in self._notes if (one.kind, one.subject) == (note.kind, note.subject)]
                    gone = {one.id for one in same[: max(len(same) - keep, 0)]}
                    self._notes = [one for one in self._notes if one.id not in gone]

    def notes(
        self, kind: str, *, subject: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[Note]:
        with self._lock:
            found = [
                one
                for one in self._notes
                if one.kind == kind
                and (subject is None or one.subject == subject)
                and (since is None or one.at >= since)
            ]
        return found[max(len(found) - limit, 0) :]

    def put_cache(self, entries: Sequence[CacheEntry]) -> None:
        with self._lock:
            self._cache.update({entry.key: entry for entry in entries})

    def get_cache(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        with self._lock:
            return {key: self._cache[key] for key in keys if key in self._cache}

    def take_lease(self, name: str, owner: str, *, now: datetime, seconds: float) -> int | None:
        with self._lock:
            held = self._leases.get(name)
            if held is not None and held.owner != owner and held.until > now:
                return None
            token = 1 if held is None else held.token + (held.owner != owner)
            self._leases[name] = _Lease(owner, token, now + timedelta(seconds=seconds))
            return token

    def release_lease(self, name: str, owner: str) -> None:
        with self._lock:
            held = self._leases.get(name)
            if held is not None and held.owner == owner:
                held.until = held.until.min.replace(tzinfo=held.until.tzinfo)

    def ping(self) -> None:
        """Always there."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _append(self, run_id: str, events: Sequence[Event]) -> list[StoredEvent]:
        first = len(self._events) + 1
        stored = [StoredEvent(first + index, run_id, event) for index, event in enumerate(events)]
        self._events.extend(stored)
        return stored


def summary_of(run: Run) -> RunSummary:
    """What lists show of a run."""
    return RunSummary(
        id=run.id,
        name=run.name,
        state=run.state,
        project=run.options.project,
        priority=run.options.priority,
        submitted_at=run.submitted_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        error=run.error,
        retry_of=run.retry_of,
    )


def _age(run: Run) -> tuple[datetime, str]:
    return (run.submitted_at, run.id)


def _is_wanted(run: Run, wanted: RunFilter) -> bool:
    return (
        (not wanted.states or run.state in wanted.states)
        and (wanted.name is None or run.name == wanted.name)
        and (wanted.project is None or run.options.project == wanted.project)
        and (wanted.submitted_since is None or run.submitted_at >= wanted.submitted_since)
    )
