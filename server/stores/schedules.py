"""Schedules in the SQL store: a small document each, with the pipeline beside it, which is read only when it is due."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from server.domain.errors import ConflictError, NotFoundError, VersionConflictError
from server.domain.recurring import Schedule, ScheduledPipeline
from server.stores.interface import ScheduleStoreInterface
from server.stores.tables import schedules as table
from server.stores.writer import Writer

_SCHEDULE = TypeAdapter(Schedule)


class SqlSchedules(ScheduleStoreInterface):
    """Stands on the connections of a SQL store."""

    def __init__(self, reading: Callable[[], AbstractContextManager[Connection]], writer: Writer) -> None:
        self._reading, self._writer = reading, writer

    def all(self) -> list[Schedule]:
        with self._reading() as connection:
            rows = connection.execute(select(table.c.document).order_by(table.c.name))
            return [_SCHEDULE.validate_json(document) for (document,) in rows]

    def get(self, name: str) -> Schedule:
        with self._reading() as connection:
            document = connection.execute(select(table.c.document).where(table.c.name == name)).scalar()
        if document is None:
            raise missing(name)
        return _SCHEDULE.validate_json(document)

    def pipeline(self, name: str) -> ScheduledPipeline:
        with self._reading() as connection:
            row = connection.execute(select(table.c.pipeline, table.c.file).where(table.c.name == name)).one_or_none()
        if row is None:
            raise missing(name)
        return ScheduledPipeline(row.pipeline, row.file)

    def add(self, schedule: Schedule, pipeline: ScheduledPipeline) -> None:
        row = {**_row(schedule), "name": schedule.name, "pipeline": pipeline.text, "file": pipeline.file}

        def write(connection: Connection) -> None:
            try:
                connection.execute(insert(table), row)
            except IntegrityError as error:
                raise taken(schedule.name) from error

        self._writer.write(write)

    def save(self, schedule: Schedule) -> Schedule:
        saved = replace(schedule, version=schedule.version + 1)
        is_mine = (table.c.name == schedule.name) & (table.c.uid == schedule.uid)

        def write(connection: Connection) -> None:
            changed = connection.execute(
                update(table).where(is_mine & (table.c.version == schedule.version)).values(_row(saved))
            )
            if changed.rowcount == 0:
                if connection.execute(select(table.c.name).where(is_mine)).scalar() is None:
                    raise missing(schedule.name)
                raise changed_meanwhile(schedule.name)

        self._writer.write(write)
        return saved

    def delete(self, name: str) -> None:
        def write(connection: Connection) -> None:
            if connection.execute(delete(table).where(table.c.name == name)).rowcount == 0:
                raise missing(name)

        self._writer.write(write)


def missing(name: str) -> NotFoundError:
    """There is no such schedule."""
    return NotFoundError(f"there is no schedule {name!r}", hint="`mlopx schedules` lists them")


def taken(name: str) -> ConflictError:
    """There is one of this name."""
    return ConflictError(f"there is a schedule {name!r} already", hint="delete it first, or give this one another name")


def changed_meanwhile(name: str) -> VersionConflictError:
    """Somebody else was quicker."""
    return VersionConflictError(f"schedule {name!r} was changed by somebody else meanwhile")


def _row(schedule: Schedule) -> dict[str, object]:
    document = _SCHEDULE.dump_json(schedule).decode()
    return {"uid": schedule.uid, "version": schedule.version, "document": document}


__all__ = ["SqlSchedules", "changed_meanwhile", "missing", "taken"]
