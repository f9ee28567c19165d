"""The tables of the SQL store. Instants are kept as seconds since the epoch, documents as JSON text."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeEngine

metadata = MetaData()

Serial: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")
"""Growing ids: SQLite gives them only to plain INTEGER keys."""

specs = Table("specs", metadata, Column("digest", String(80), primary_key=True), Column("text", Text, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("spec_digest", String(80), nullable=False),
    Column("state", String(16), nullable=False),
    Column("project", String(80), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("submitted_at", Float(53), nullable=False),
    Column("started_at", Float(53)),
    Column("finished_at", Float(53)),
    Column("error", Text, nullable=False, default=""),
    Column("retry_of", String(80)),
    Column("version", Integer, nullable=False),
    Column("header", Text, nullable=False),
    Index("runs_by_time", "submitted_at", "id"),
    Index("runs_by_state", "state", "submitted_at", "id"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("run_id", String(80), primary_key=True),
    Column("key", String(500), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("document", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("run_id", String(80), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("document", Text, nullable=False),
    Index("events_by_run", "run_id", "id"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("run_id", String(80), nullable=False),
    Column("task", String(500), nullable=False),
    Column("document", Text, nullable=False),
    Index("decisions_by_run", "run_id", "task", "id"),
)

finished = Table(
    "finished_attempts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("document", Text, nullable=False),
    sqlite_autoincrement=True,
)

notes = Table(
    "notes",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("at", Float(53), nullable=False),
    Column("document", Text, nullable=False),
    Index("notes_by_kind", "kind", "subject", "id"),
    sqlite_autoincrement=True,
)

cache = Table(
    "cache",
    metadata,
    Column("key", String(80), primary_key=True),
    Column("run_id", String(80), nullable=False),
    Column("task", String(500), nullable=False),
    Column("outputs", Text, nullable=False),
    Column("stored_at", Float(53), nullable=False),
)

idempotency = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("run_id", String(80), nullable=False),
    Column("request_digest", String(80), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("token", Integer, nullable=False),
    Column("until", Float(53), nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("uid", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("file", String(255), nullable=False, default=""),
)
