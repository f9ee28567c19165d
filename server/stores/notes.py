"""Notes in SQL: appended, thinned out by kind and subject, read newest last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from server.stores import tables
from server.stores.interface import Note


def write_notes(connection: Connection, notes: Sequence[Note], keep: int | None) -> None:
    """Append, and delete what is more than `keep` of a kind and subject."""
    rows = [
        {
            "kind": one.kind,
            "subject": one.subject,
            "at": one.at.timestamp(),
            "document": json.dumps(dict(one.document), ensure_ascii=False, allow_nan=False),
        }
        for one in notes
    ]
    connection.execute(insert(tables.notes), rows)
    if keep is None:
        return
    column = tables.notes.c
    for kind, subject in {(one.kind, one.subject) for one in notes}:
        same = (column.kind == kind) & (column.subject == subject)
        oldest = select(column.id).where(same).order_by(column.id.desc()).offset(keep).limit(1)
        first = connection.execute(oldest).scalar()
        if first is not None:
            connection.execute(delete(tables.notes).where(same & (column.id <= first)))


def notes_query(kind: str, subject: str | None, since: datetime | None, limit: int) -> Select[Any]:
    """The newest notes, newest first."""
    column = tables.notes.c
    query = select(tables.notes).where(column.kind == kind)
    if subject is not None:
        query = query.where(column.subject == subject)
    if since is not None:
        query = query.where(column.at >= since.timestamp())
    return query.order_by(column.id.desc()).limit(limit)


def note_of(row: Any) -> Note:
    """A row as a note."""
    return Note(row.kind, row.subject, datetime.fromtimestamp(row.at, UTC), json.loads(row.document), row.id)


__all__ = ["note_of", "notes_query", "write_notes"]
