"""The SQL run store: SQLite by default, PostgreSQL by URL. Reads run in the caller's thread, writes in the writer's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from server.domain.errors import ConfigurationError, ConflictError, NotFoundError, VersionConflictError
from server.domain.events import Event, StoredEvent
from server.domain.placement import Decision
from server.domain.run import Run, TaskKey
from server.domain.states import RUN_ENDS, RunState
from server.stores import codec, tables
from server.stores.engines import Reading, open_engine
from server.stores.finished import finished_from_json, finished_to_json
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
from server.stores.migrations import upgrade
from server.stores.notes import note_of, notes_query, write_notes
from server.stores.schedules import SqlSchedules
from server.stores.writer import COMMIT_ORDER_LOCK, Writer


class SqlRunStore(RunStoreInterface):
    """A run store in a SQL database. Creating one brings the database to its newest shape."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        try:
            with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": COMMIT_ORDER_LOCK + 1})
                upgrade(connection)
        except (DBAPIError, sqlite3.DatabaseError) as error:
            self._engine.dispose()
            raise ConfigurationError(
                f"the database {make_url(url).render_as_string()} cannot be opened: {getattr(error, 'orig', error)}",
                hint="check DATABASE_URL and the room on its disk; if the file is damaged, put a copy back, or move it"
                " away: the server then begins anew and knows nothing of before",
            ) from error
        self._writer = Writer(self._engine)
        self.schedules = SqlSchedules(self._reading, self._writer)

    def create_run(self, run: Run, events: Sequence[Event], *, idempotency_key: str | None = None) -> tuple[Run, int]:
        digest = codec.request_digest(run)
        rows = [_task_row(run, key, index) for index, key in enumerate(run.tasks)]
        row, spec = _run_row(run), codec.spec_text(run.graph)

        def write(connection: Connection) -> tuple[str, int]:
            if idempotency_key is not None:
                earlier = _use_key(connection, idempotency_key, run.id, digest)
                if earlier is not None:
                    return earlier, 0
            _insert_once(connection, tables.specs, {"digest": run.graph.digest, "text": spec}, "digest")
            connection.execute(insert(tables.runs), row)
            if rows:
                connection.execute(insert(tables.tasks), rows)
            return run.id, _insert_events(connection, run.id, events)[-1]

        stored_id, last = self._writer.write(write)
        return (run, last) if stored_id == run.id else (self.load_run(stored_id), self.last_event_id())

    def save(self, saves: Sequence[Save]) -> list[StoredEvent]:
        def write(connection: Connection) -> list[StoredEvent]:
            stored: list[StoredEvent] = []
            for one in saves:
                stored.extend(_save_one(connection, one))
            return stored

        return self._writer.write(write)

    def load_run(self, run_id: str) -> Run:
        with self._reading() as connection:
            row = connection.execute(_run_query().where(tables.runs.c.id == run_id)).one_or_none()
            if row is None:
                raise NotFoundError(f"there is no run {run_id!r}", hint="`mlopx runs` lists them")
            return _load(connection, [row])[0]

    def live_runs(self) -> list[Run]:
        with self._reading() as connection:
            query = _run_query().where(tables.runs.c.state.not_in(RUN_ENDS))
            rows = connection.execute(query.order_by(tables.runs.c.submitted_at, tables.runs.c.id)).all()
            return _load(connection, rows)

    def list_runs(self, wanted: RunFilter) -> RunPage:
        columns = tables.runs.c
        query = select(
            columns.id,
            columns.name,
            columns.state,
            columns.project,
            columns.priority,
            columns.submitted_at,
            columns.started_at,
            columns.finished_at,
            columns.error,
            columns.retry_of,
        )
        if wanted.states:
            query = query.where(columns.state.in_(wanted.states))
        if wanted.name is not None:
            query = query.where(columns.name == wanted.name)
        if wanted.project is not None:
            query = query.where(columns.project == wanted.project)
        if wanted.submitted_since is not None:
            query = query.where(columns.submitted_at >= wanted.submitted_since.timestamp())
        with self._reading() as connection:
            if wanted.after is not None:
                at = _submitted_at(connection, wanted.after)
                is_later = (columns.submitted_at < at) | ((columns.submitted_at == at) & (columns.id < wanted.after))
                query = query.where(is_later)
            query = query.order_by(columns.submitted_at.desc(), columns.id.desc()).limit(wanted.limit + 1)
            rows = connection.execute(query).all()
        summaries = tuple(_summary(row) for row in rows[: wanted.limit])
        return RunPage(summaries, summaries[-1].id if len(rows) > wanted.limit else None)

    def count_by_state(self) -> dict[RunState, int]:
        query = select(tables.runs.c.state, func.count()).group_by(tables.runs.c.state)
        with self._reading() as connection:
            return {RunState(state): count for state, count in connection.execute(query)}

    def events(self, *, after: int = 0, run_id: str | None = None, limit: int = 1000) -> list[StoredEvent]:
        query = select(tables.events).where(tables.events.c.id > after).order_by(tables.events.c.id).limit(limit)
        if run_id is not None:
            query = query.where(tables.events.c.run_id == run_id)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [StoredEvent(row.id, row.run_id, codec.event_from_json(row.kind, row.document)) for row in rows]

    def last_event_id(self) -> int:
        with self._reading() as connection:
            return connection.execute(select(func.max(tables.events.c.id))).scalar() or 0

    def add_decisions(self, decisions: Sequence[Decision]) -> None:
        rows = [
            {"run_id": one.run_id, "task": str(one.key), "document": codec.decision_to_json(one)} for one in decisions
        ]
        if rows:
            self._writer.write(lambda connection: connection.execute(insert(tables.decisions), rows))

    def decisions(self, run_id: str, *, task: TaskKey | None = None) -> list[Decision]:
        query = select(tables.decisions.c.document).where(tables.decisions.c.run_id == run_id)
        if task is not None:
            query = query.where(tables.decisions.c.task == str(task))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(tables.decisions.c.id)).scalars().all()
        return [codec.decision_from_json(document) for document in rows]

    def add_finished(self, attempts: Sequence[FinishedAttempt]) -> None:
        rows = [{"document": finished_to_json(one)} for one in attempts]
        if rows:
            self._writer.write(lambda connection: connection.execute(insert(tables.finished), rows))

    def finished(self, *, after: int = 0, limit: int = 10_000) -> list[FinishedAttempt]:
        query = select(tables.finished).where(tables.finished.c.id > after).order_by(tables.finished.c.id).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [finished_from_json(row.id, row.document) for row in rows]

    def last_finished_id(self) -> int:
        with self._reading() as connection:
            return int(connection.execute(select(func.max(tables.finished.c.id))).scalar() or 0)

    def add_notes(self, notes: Sequence[Note], *, keep: int | None = None) -> None:
        if notes:
            self._writer.write(lambda connection: write_notes(connection, notes, keep))

    def notes(
        self, kind: str, *, subject: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[Note]:
        with self._reading() as connection:
            rows = connection.execute(notes_query(kind, subject, since, limit)).all()
        return [note_of(row) for row in reversed(rows)]

    def put_cache(self, entries: Sequence[CacheEntry]) -> None:
        newest = {entry.key: entry for entry in entries}
        rows = [
            {
                "key": entry.key,
                "run_id": entry.run_id,
                "task": entry.task,
                "outputs": codec.outputs_to_json(entry.outputs),
                "stored_at": entry.stored_at.timestamp(),
            }
            for entry in newest.values()
        ]

        def write(connection: Connection) -> None:
            connection.execute(delete(tables.cache).where(tables.cache.c.key.in_(list(newest))))
            connection.execute(insert(tables.cache), rows)

        if rows:
            self._writer.write(write)

    def get_cache(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        query = select(tables.cache).where(tables.cache.c.key.in_(list(keys)))
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return {
            row.key: CacheEntry(
                row.key, row.run_id, row.task, codec.outputs_from_json(row.outputs), _instant(row.stored_at)
            )
            for row in rows
        }

    def take_lease(self, name: str, owner: str, *, now: datetime, seconds: float) -> int | None:
        at = now.timestamp()

        def write(connection: Connection) -> int | None:
            query = select(tables.leases).where(tables.leases.c.name == name).with_for_update()
            row = connection.execute(query).one_or_none()
            values = {"owner": owner, "until": at + seconds}
            if row is None:
                connection.execute(insert(tables.leases), {"name": name, "token": 1, **values})
                return 1
            if row.owner != owner and row.until > at:
                return None
            token = int(row.token) + int(row.owner != owner)
            connection.execute(update(tables.leases).where(tables.leases.c.name == name), {**values, "token": token})
            return token

        return self._writer.write(write)

    def release_lease(self, name: str, owner: str) -> None:
        mine = (tables.leases.c.name == name) & (tables.leases.c.owner == owner)
        self._writer.write(lambda connection: connection.execute(update(tables.leases).where(mine), {"until": 0.0}))

    def ping(self) -> None:
        with self._reading() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self._writer.close()
        self._engine.dispose()

    def _reading(self) -> Reading:
        return Reading(self._engine)


def _use_key(connection: Connection, key: str, run_id: str, digest: str) -> str | None:
    """Claim an idempotency key; the run that used it before, or None."""
    row = connection.execute(select(tables.idempotency).where(tables.idempotency.c.key == key)).one_or_none()
    if row is None:
        connection.execute(insert(tables.idempotency), {"key": key, "run_id": run_id, "request_digest": digest})
        return None
    if row.request_digest != digest:
        raise ConflictError(
            f"the idempotency key {key!r} was used before, for another pipeline or other parameters (run {row.run_id})",
            hint="use a new key for a new submission",
        )
    return str(row.run_id)


def _insert_once(connection: Connection, table: Any, row: dict[str, Any], key: str) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(index_elements=[key]), row)


def _insert_events(connection: Connection, run_id: str, events: Sequence[Event]) -> list[int]:
    rows = [{"run_id": run_id, "kind": one.kind, "document": codec.event_to_json(one)} for one in events]
    result = connection.execute(insert(tables.events).returning(tables.events.c.id, sort_by_parameter_order=True), rows)
    return [int(found) for found in result.scalars()]


def _save_one(connection: Connection, one: Save) -> list[StoredEvent]:
    run = one.run
    is_mine = (tables.runs.c.id == run.id) & (tables.runs.c.version == one.expected_version)
    changed = connection.execute(update(tables.runs).where(is_mine), _run_row(run))
    if changed.rowcount != 1:
        raise VersionConflictError(
            f"run {run.id} was changed by somebody else (version {one.expected_version} is not the stored one)"
        )
    if one.changed_tasks:
        position = {key: index for index, key in enumerate(run.tasks)}
        for key in one.changed_tasks:
            row = _task_row(run, key, position[key])
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(tables.tasks).values(row)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["run_id", "key"], set_={"state": row["state"], "document": row["document"]}
                )
            )
    ids = _insert_events(connection, run.id, one.events)
    return [StoredEvent(number, run.id, happened) for number, happened in zip(ids, one.events, strict=True)]


def _run_row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "spec_digest": run.graph.digest,
        "state": run.state.value,
        "project": run.options.project,
        "priority": run.options.priority,
        "submitted_at": run.submitted_at.timestamp(),
        "started_at": run.started_at.timestamp() if run.started_at else None,
        "finished_at": run.finished_at.timestamp() if run.finished_at else None,
        "error": run.error,
        "retry_of": run.retry_of,
        "version": run.version,
        "header": codec.header_to_json(run),
    }


def _task_row(run: Run, key: TaskKey, position: int) -> dict[str, Any]:
    task = run.tasks[key]
    document = codec.task_to_json(task)
    return {"run_id": run.id, "key": str(key), "position": position, "state": task.state.value, "document": document}


def _run_query() -> Any:
    return select(tables.runs, tables.specs.c.text).join(
        tables.specs, tables.specs.c.digest == tables.runs.c.spec_digest
    )


def _load(connection: Connection, rows: Sequence[Any]) -> list[Run]:
    found: dict[str, dict[TaskKey, Any]] = {row.id: {} for row in rows}
    names = list(found)
    for start in range(0, len(names), 500):
        query = select(tables.tasks.c.run_id, tables.tasks.c.document)
        query = query.where(tables.tasks.c.run_id.in_(names[start : start + 500]))
        for run_id, document in connection.execute(query.order_by(tables.tasks.c.run_id, tables.tasks.c.position)):
            task = codec.task_from_json(document)
            found[run_id][task.key] = task
    return [
        codec.run_from_json(
            row.id,
            row.header,
            graph=codec.graph_of(row.spec_digest, row.text),
            state=row.state,
            version=row.version,
            tasks=found[row.id],
        )
        for row in rows
    ]


def _submitted_at(connection: Connection, run_id: str) -> float:
    found = connection.execute(select(tables.runs.c.submitted_at).where(tables.runs.c.id == run_id)).scalar()
    if found is None:
        raise NotFoundError(f"the cursor {run_id!r} is not one of this list", hint="start again without a cursor")
    return float(found)


def _summary(row: Any) -> RunSummary:
    return RunSummary(
        id=row.id,
        name=row.name,
        state=RunState(row.state),
        project=row.project,
        priority=row.priority,
        submitted_at=_instant(row.submitted_at),
        started_at=_instant(row.started_at) if row.started_at is not None else None,
        finished_at=_instant(row.finished_at) if row.finished_at is not None else None,
        error=row.error,
        retry_of=row.retry_of,
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
