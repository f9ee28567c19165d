"""Makes, pauses and forgets schedules. What a schedule submits is checked when it is made, as any submission is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlopx.spec import PipelineSpec, slug, to_json
from server.components.clock import Clock
from server.components.pipeline_manager import PipelineManager, Submission
from server.components.recurring.calendar import read_calendar
from server.components.recurring.recurrence import Recurrence, paused
from server.domain.errors import InvalidRequestError, UnauthorizedError, VersionConflictError
from server.domain.recurring import Missed, Overlap, Schedule, ScheduledPipeline
from server.platforms.interface import ForeignFile, PlatformInterface
from server.stores.interface import ScheduleStoreInterface

TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A schedule as it is asked for; the fields mean what those of `Schedule` mean."""

    pipeline: PipelineSpec | ForeignFile
    cron: str
    zone: str
    name: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    project: str | None = None
    deadline_seconds: float | None = None
    is_caching: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    overlap: Overlap = Overlap.FORBID
    missed: Missed = Missed.LAST
    most_missed: int = 10
    webhook: str | None = None
    late_seconds: float | None = None


class ScheduleKeeper:
    """The door for schedules."""

    def __init__(
        self,
        *,
        store: ScheduleStoreInterface,
        pipeline_manager: PipelineManager,
        platform: PlatformInterface,
        recurrence: Recurrence,
        clock: Clock,
        new_uid: Callable[[], str],
    ) -> None:
        self._store, self._manager, self._platform = store, pipeline_manager, platform
        self._recurrence, self._clock, self._new_uid = recurrence, clock, new_uid

    async def add(self, wanted: Wanted) -> Schedule:
        """Keep a schedule from now on.

        Raises:
            InvalidRequestError: the times cannot be read, or never come.
            InvalidSubmissionError, UnplaceableError: the pipeline would be refused.
            UnauthorizedError: the platform runs nothing without the credential of somebody who is there.
            ConflictError: the name is taken.
        """
        now = self._clock.now()
        if read_calendar(wanted.cron, wanted.zone).after(now) is None:
            raise InvalidRequestError(f"the cron expression {wanted.cron!r} never comes due")
        draft = await self._manager.draft("draft", Submission(wanted.pipeline, parameters=wanted.parameters))
        self._require_nobody_needed()
        schedule = Schedule(
            name=wanted.name or slug(draft.name),
            uid=self._new_uid(),
            cron=wanted.cron,
            zone=wanted.zone,
            pipeline_name=draft.name,
            created_at=now,
            handled_until=now,
            overlap=wanted.overlap,
            missed=wanted.missed,
            most_missed=wanted.most_missed,
            parameters=wanted.parameters,
            priority=wanted.priority,
            project=wanted.project,
            deadline_seconds=wanted.deadline_seconds,
            is_caching=wanted.is_caching,
            labels=wanted.labels,
            webhook=wanted.webhook,
            late_seconds=wanted.late_seconds,
        )
        await asyncio.to_thread(self._store.add, schedule, _kept(wanted.pipeline))
        self._recurrence.wake()
        return schedule

    async def pause(self, name: str, *, is_paused: bool) -> Schedule:
        """Pause a schedule, or go on. Raises NotFoundError."""
        for left in reversed(range(TRIES)):
            found = await asyncio.to_thread(self._store.get, name)
            if found.is_paused is is_paused:
                return found
            try:
                saved = await asyncio.to_thread(self._store.save, paused(found, self._clock.now(), is_paused=is_paused))
            except VersionConflictError:
                if not left:
                    raise
                continue
            self._recurrence.wake()
            return saved
        raise AssertionError("the last try returns or raises")

    async def delete(self, name: str) -> Schedule:
        """Forget a schedule; its runs stay. Raises NotFoundError."""
        found = await asyncio.to_thread(self._store.get, name)
        await asyncio.to_thread(self._store.delete, name)
        return found

    def _require_nobody_needed(self) -> None:
        """A credential is not kept, so nobody's can be shown when a time comes."""
        try:
            self._platform.admit("", {})
        except UnauthorizedError as error:
            raise UnauthorizedError(
                f"nothing can be scheduled here: {error.message}, and a caller's credential is not kept",
                hint="submit from a CronJob of your own that has a credential",
            ) from error


def _kept(pipeline: PipelineSpec | ForeignFile) -> ScheduledPipeline:
    if isinstance(pipeline, ForeignFile):
        return ScheduledPipeline(pipeline.content.decode("utf-8-sig"), pipeline.name)
    return ScheduledPipeline(to_json(pipeline))


__all__ = ["ScheduleKeeper", "Wanted"]
