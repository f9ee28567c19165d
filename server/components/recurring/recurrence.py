"""Submits pipelines at their due times, each once, and watches how that ends.

A due time is written down as taken up before its run is submitted, and the submission carries a key of schedule and due
time: a server that dies in between, or two that both think it is theirs, make one run. Everything else goes the way of
any submission, so each run is placed afresh.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlopx.errors import SpecError
from mlopx.spec import PipelineSpec, parse_spec
from server.components.clock import Clock
from server.components.journal import Journal
from server.components.pipeline_manager import PipelineManager, Submission
from server.components.recurring.calendar import due_now, read_calendar
from server.components.recurring.webhooks import News, Webhooks
from server.domain.errors import (
    ConflictError,
    MlopxError,
    NotFoundError,
    StorageFullError,
    UnavailableError,
    VersionConflictError,
)
from server.domain.lifecycle import Change
from server.domain.recurring import DUE_LABEL, SCHEDULE_LABEL, Firing, Outcome, Overlap, Schedule, ScheduledPipeline
from server.domain.run import Run
from server.domain.states import RunState
from server.platforms.interface import ForeignFile
from server.stores.interface import RunStoreInterface

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 5.0
"""Other servers may change schedules in the same database; they are read again at least this often."""

FAILED, LATE = "failed", "late"


class Recurrence:
    """Turns due times into runs. One server does this at a time."""

    def __init__(
        self,
        *,
        store: RunStoreInterface,
        journal: Journal,
        pipeline_manager: PipelineManager,
        webhooks: Webhooks,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._schedules, self._journal, self._manager = store.schedules, journal, pipeline_manager
        self._webhooks, self._clock = webhooks, clock
        self._sleep = sleep or clock.sleep
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Schedules changed: look now."""
        self._wake.set()

    def notice(self, change: Change) -> None:
        """A run that we submitted has ended: look now, since somebody may want to hear of it."""
        if change.run.state.is_end and SCHEDULE_LABEL in change.run.options.labels:
            self._wake.set()

    async def run_forever(self) -> None:
        """A turn whenever something is due, until cancelled."""
        while True:
            self._wake.clear()
            await self._pause(await self.turn())

    async def turn(self) -> datetime | None:
        """Do what is due now; returns when something is due next, None if never."""
        upcoming: list[datetime] = []
        for schedule in await asyncio.to_thread(self._schedules.all):
            try:
                current = await self._fire(schedule)
                await self._look_after(current)
                following = None if current.is_paused else self._next(current)
                if following is not None:
                    upcoming.append(following)
            except VersionConflictError:
                self._wake.set()
            except (UnavailableError, StorageFullError) as error:
                log.warning("schedule %s: %s; it is tried again", schedule.name, error.message)
            except NotFoundError:
                continue
            except Exception:  # whatever is wrong with one, the others come due
                log.exception("schedule %s: its turn failed; it is tried again", schedule.name)
        return min(upcoming, default=None)

    async def _pause(self, until: datetime | None) -> None:
        seconds = LONGEST_SLEEP_SECONDS
        if until is not None:
            seconds = min(max((until - self._clock.now()).total_seconds(), 0.0), seconds)
        waiter = asyncio.create_task(self._wake.wait())
        sleeper = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({waiter, sleeper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            sleeper.cancel()
            await asyncio.gather(waiter, sleeper, return_exceptions=True)

    def _next(self, schedule: Schedule) -> datetime | None:
        return read_calendar(schedule.cron, schedule.zone).after(schedule.handled_until)

    async def _fire(self, schedule: Schedule) -> Schedule:
        """Submit what is due. Raises ConflictError if somebody changed the schedule meanwhile."""
        if schedule.pending_at is not None:
            schedule = await self._submit(schedule, schedule.pending_at)
        if schedule.is_paused:
            return schedule
        due = due_now(schedule, self._clock.now())
        if due.let_go:
            schedule = await self._save(schedule.noted(*due.let_go))
        for due_at in due.submit:
            schedule = await self._take_up(schedule, due_at)
        return schedule

    async def _take_up(self, schedule: Schedule, due_at: datetime) -> Schedule:
        before = await self._live(schedule.last_run_id)
        if before is not None and schedule.overlap is Overlap.FORBID:
            reason = f"run {before.id} of the time before is not over, and overlap is Forbid"
            return await self._save(schedule.noted(Firing(due_at, Outcome.SKIPPED, reason=reason)))
        schedule = await self._save(schedule.taken_up(due_at))
        return await self._submit(schedule, due_at)

    async def _submit(self, schedule: Schedule, due_at: datetime) -> Schedule:
        pipeline = await asyncio.to_thread(self._schedules.pipeline, schedule.name)
        before = await self._live(schedule.last_run_id)
        if before is not None and schedule.overlap is Overlap.REPLACE:
            await self._replace(before, schedule)
        try:
            run = await self._manager.submit(
                submission_of(schedule, pipeline, due_at), idempotency_key=schedule.key(due_at)
            )
        except (UnavailableError, StorageFullError):
            raise
        except (MlopxError, SpecError) as error:
            log.warning("schedule %s: the run of %s was refused: %s", schedule.name, due_at, error.message)
            reason = "; ".join([error.message, *getattr(error, "details", ())])[:500]
            return await self._save(schedule.settled(Firing(due_at, Outcome.REFUSED, reason=reason)))
        log.info("schedule %s: run %s for %s", schedule.name, run.id, due_at)
        return await self._save(schedule.settled(Firing(due_at, Outcome.SUBMITTED, run.id)))

    async def _replace(self, run: Run, schedule: Schedule) -> None:
        try:
            await self._manager.cancel(run.id, f"replaced by the next run of schedule {schedule.name}")
        except ConflictError as error:
            log.info("schedule %s: %s", schedule.name, error.message)

    async def _live(self, run_id: str | None) -> Run | None:
        run = await self._run(run_id)
        return run if run is not None and not run.state.is_end else None

    async def _run(self, run_id: str | None) -> Run | None:
        if run_id is None:
            return None
        try:
            return await self._journal.run(run_id)
        except NotFoundError:
            return None

    async def _save(self, schedule: Schedule) -> Schedule:
        return await asyncio.to_thread(self._schedules.save, schedule)

    async def _look_after(self, schedule: Schedule) -> None:
        """Tell the webhook what went wrong and was not told yet."""
        if schedule.webhook is None:
            return
        for firing in schedule.firings:
            for news in await self._news(schedule, firing):
                self._webhooks.send(news, on_done=self._heard(schedule.name, firing.due_at, news.kind))

    async def _news(self, schedule: Schedule, firing: Firing) -> list[News]:
        if FAILED in firing.told or firing.outcome not in (Outcome.SUBMITTED, Outcome.REFUSED):
            return []
        run = await self._run(firing.run_id)
        about: dict[str, Any] = {"schedule": schedule, "firing": firing, "run": run}
        found = []
        if firing.outcome is Outcome.REFUSED or (run is not None and run.state is RunState.FAILED):
            found.append(news_of(FAILED, **about))
        elif run is not None and LATE not in firing.told and is_late(schedule, firing, run, self._clock.now()):
            found.append(news_of(LATE, **about))
        return found

    def _heard(self, name: str, due_at: datetime, kind: str) -> Callable[[], Awaitable[None]]:
        async def heard() -> None:
            for _ in range(5):
                try:
                    current = await asyncio.to_thread(self._schedules.get, name)
                    await self._save(current.heard(due_at, kind))
                except NotFoundError:
                    return
                except VersionConflictError:
                    continue
                else:
                    return

        return heard


def is_late(schedule: Schedule, firing: Firing, run: Run, now: datetime) -> bool:
    """Whether a run was not over in time; one that was cancelled is not."""
    if schedule.late_seconds is None or run.state is RunState.CANCELLED:
        return False
    return ((run.finished_at or now) - firing.due_at).total_seconds() > schedule.late_seconds


def news_of(kind: str, *, schedule: Schedule, firing: Firing, run: Run | None) -> News:
    """What the webhook is told."""
    body: Mapping[str, Any] = {
        "kind": kind,
        "schedule": schedule.name,
        "pipeline": schedule.pipeline_name,
        "due_at": firing.due_at.isoformat(),
        "outcome": firing.outcome.value,
        "run_id": firing.run_id,
        "state": run.state.value if run else None,
        "reason": (run.error if run else "") or firing.reason,
        "late_seconds": schedule.late_seconds if kind == LATE else None,
    }
    return News(key=f"{schedule.key(firing.due_at)}/{kind}", kind=kind, url=schedule.webhook or "", body=body)


def submission_of(schedule: Schedule, pipeline: ScheduledPipeline, due_at: datetime) -> Submission:
    """What is submitted for a due time."""
    spec: PipelineSpec | ForeignFile = (
        ForeignFile(pipeline.file, pipeline.text.encode()) if pipeline.file else parse_spec(pipeline.text)
    )
    due = due_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Submission(
        spec=spec,
        parameters=schedule.parameters,
        priority=schedule.priority,
        project=schedule.project,
        deadline_seconds=schedule.deadline_seconds,
        is_caching=schedule.is_caching,
        labels={**schedule.labels, SCHEDULE_LABEL: schedule.name, DUE_LABEL: due},
    )


def paused(schedule: Schedule, now: datetime, *, is_paused: bool) -> Schedule:
    """The schedule paused, or going on: times of the pause are not made up for."""
    handled_until = schedule.handled_until if is_paused else max(schedule.handled_until, now)
    return replace(schedule, is_paused=is_paused, handled_until=handled_until)


__all__ = ["Recurrence", "is_late", "news_of", "paused", "submission_of"]
