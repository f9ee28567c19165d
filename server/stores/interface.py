"""The ports that remember: runs with their events and decisions, schedules, and artifacts.

Run stores are synchronous and thread-safe; the async shell calls them in a worker thread. Every method is one
transaction: when it returns, what it wrote survives a power cut; when it raises, nothing was written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from server.domain.events import Event, StoredEvent
from server.domain.placement import Decision
from server.domain.recurring import Schedule, ScheduledPipeline
from server.domain.run import Output, Run, TaskKey
from server.domain.states import RunState


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list: all given conditions must hold. Newest first; `after` is the cursor of the page before."""

    states: tuple[RunState, ...] = ()
    name: str | None = None
    project: str | None = None
    submitted_since: datetime | None = None
    after: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What lists show of a run, readable without loading its tasks."""

    id: str
    name: str
    state: RunState
    project: str
    priority: int
    submitted_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    retry_of: str | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of a list; `next` is the cursor of the following page, or None at the end."""

    runs: tuple[RunSummary, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """Outputs that stand for a task with this cache key."""

    key: str
    run_id: str
    task: str
    outputs: Mapping[str, Output]
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class FinishedAttempt:
    """A finished attempt as the estimators learn from it.

    `node_speeds` and `node_cores` are the node's profile at that time, `parameters` the task's arguments that
    are numbers or words, `given` what of that kind went into the tasks its inputs came from, `start_seconds` the time
    from binding to the first second of the run; `queue_seconds`, `pull_seconds`, `image`, `image_bytes` and
    `had_image` are what that consists of, where a platform tells.
    """

    id: int
    run_id: str
    task: str
    component: str
    component_digest: str
    option: str
    node: str
    node_class: str
    node_speed: float
    cpu_millicores: int
    accelerators: tuple[tuple[str, int], ...]
    input_bytes: float
    run_seconds: float
    state: str
    finished_at: datetime
    peak_memory_bytes: float | None = None
    workload: Mapping[str, Any] = field(default_factory=dict)
    node_speeds: Mapping[str, float] = field(default_factory=dict)
    node_cores: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    start_seconds: float | None = None
    queue_seconds: float | None = None
    pull_seconds: float | None = None
    image: str = ""
    image_bytes: float | None = None
    had_image: bool | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something to look back at: which nodes there were, what another strategy would have done, what was asked.

    `kind` and `subject` are what notes are found by; `document` holds plain JSON values. `id` is given by the store.
    """

    kind: str
    subject: str
    at: datetime
    document: Mapping[str, Any]
    id: int = 0


@dataclass(frozen=True, slots=True)
class Save:
    """One change to write: the run at its new version, which tasks differ, and the events that led there."""

    run: Run
    expected_version: int
    changed_tasks: tuple[TaskKey, ...]
    events: tuple[Event, ...]


class ScheduleStoreInterface(ABC):
    """Remembers schedules, by name. A schedule is small; its pipeline, which may be large, is kept beside it."""

    @abstractmethod
    def all(self) -> list[Schedule]:
        """All schedules, by name."""

    @abstractmethod
    def get(self, name: str) -> Schedule:
        """One schedule. Raises NotFoundError."""

    @abstractmethod
    def pipeline(self, name: str) -> ScheduledPipeline:
        """What a schedule submits. Raises NotFoundError."""

    @abstractmethod
    def add(self, schedule: Schedule, pipeline: ScheduledPipeline) -> None:
        """Keep a new schedule. Raises ConflictError if there is one of this name."""

    @abstractmethod
    def save(self, schedule: Schedule) -> Schedule:
        """Keep a changed schedule; returns it at its new version.

        Raises VersionConflictError if the stored version differs, NotFoundError if it is gone (or of another `uid`).
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Forget a schedule. Raises NotFoundError."""


class RunStoreInterface(ABC):
    """Remembers runs, events, decisions and what was learned; `schedules` remembers what is submitted again."""

    schedules: ScheduleStoreInterface

    @abstractmethod
    def create_run(self, run: Run, events: Sequence[Event], *, idempotency_key: str | None = None) -> tuple[Run, int]:
        """Store a new run; returns it with the id of its last event.

        With an idempotency key that was used before, nothing is written and the run of that time is returned.
        Raises ConflictError if the key was used for another pipeline or parameters, StorageFullError on a full disk.
        """

    @abstractmethod
    def save(self, saves: Sequence[Save]) -> list[StoredEvent]:
        """Write several changes in one transaction; returns their events with ids in commit order.

        Raises VersionConflictError naming the run whose stored version differs; then nothing is written.
        """

    @abstractmethod
    def load_run(self, run_id: str) -> Run:
        """The whole run. Raises NotFoundError."""

    @abstractmethod
    def live_runs(self) -> list[Run]:
        """All runs that have not ended, in submission order."""

    @abstractmethod
    def list_runs(self, wanted: RunFilter) -> RunPage:
        """A page of summaries. Raises NotFoundError for a cursor that is none."""

    @abstractmethod
    def count_by_state(self) -> dict[RunState, int]:
        """How many runs are in which state."""

    @abstractmethod
    def events(self, *, after: int = 0, run_id: str | None = None, limit: int = 1000) -> list[StoredEvent]:
        """Events with ids above `after`, in id order. Ids are in commit order: no smaller one appears later."""

    @abstractmethod
    def last_event_id(self) -> int:
        """Id of the newest event, 0 if there is none."""

    @abstractmethod
    def add_decisions(self, decisions: Sequence[Decision]) -> None:
        """Append decision records."""

    @abstractmethod
    def decisions(self, run_id: str, *, task: TaskKey | None = None) -> list[Decision]:
        """Decision records of a run, oldest first."""

    @abstractmethod
    def add_finished(self, attempts: Sequence[FinishedAttempt]) -> None:
        """Append what the estimators learn from (their `id` is ignored and given here)."""

    @abstractmethod
    def finished(self, *, after: int = 0, limit: int = 10_000) -> list[FinishedAttempt]:
        """Finished attempts with ids above `after`, oldest first."""

    @abstractmethod
    def last_finished_id(self) -> int:
        """Id of the newest finished attempt, 0 if there is none."""

    @abstractmethod
    def add_notes(self, notes: Sequence[Note], *, keep: int | None = None) -> None:
        """Append notes; with `keep`, only so many of the newest of each of their kinds and subjects stay."""

    @abstractmethod
    def notes(
        self, kind: str, *, subject: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[Note]:
        """The newest notes of a kind (and subject), not older than `since`: at most `limit`, oldest first."""

    @abstractmethod
    def put_cache(self, entries: Sequence[CacheEntry]) -> None:
        """Remember outputs by cache key; a newer entry replaces an older one."""

    @abstractmethod
    def get_cache(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        """The entries there are for these keys."""

    @abstractmethod
    def take_lease(self, name: str, owner: str, *, now: datetime, seconds: float) -> int | None:
        """Take or renew the named lease until `now + seconds`; the fencing token, or None while another holds it."""

    @abstractmethod
    def release_lease(self, name: str, owner: str) -> None:
        """Give the lease back, if `owner` holds it."""

    @abstractmethod
    def ping(self) -> None:
        """Raise UnavailableError if the store cannot be used right now."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""


class ArtifactStoreInterface(ABC):
    """Where inputs, outputs and submitted files lie. Blobs are content-addressed and opaque: nothing here runs them."""

    @abstractmethod
    def output_location(self, run_id: str, key: TaskKey, attempt: int, port: str) -> str:
        """The uri at which an attempt shall write an output; its parent exists afterwards."""

    @abstractmethod
    def path_of(self, uri: str) -> Path:
        """Local path of a uri of this store. Raises NotFoundError for foreign ones and anything outside the root."""

    @abstractmethod
    def put_blob(self, content: bytes) -> str:
        """Store bytes durably; returns `sha256:…`. Storing the same bytes again changes nothing."""

    @abstractmethod
    def get_blob(self, digest: str) -> bytes:
        """The bytes of a digest. Raises NotFoundError."""

    @abstractmethod
    def exists(self, uri: str) -> bool:
        """Whether something lies at the uri."""

    @abstractmethod
    def delete_run(self, run_id: str) -> int:
        """Remove all outputs of a run; returns the bytes freed."""
