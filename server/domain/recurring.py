"""A pipeline that is submitted again and again: when, and what happens to missed times and to runs that overlap.

Values only. The policies have the names that Kubernetes gives those of a CronJob.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

MOST_FIRINGS = 50
"""How many firings are remembered of each schedule."""

SCHEDULE_LABEL = "mlopx.dev/schedule"
DUE_LABEL = "mlopx.dev/due"


class Overlap(StrEnum):
    """What happens when a time comes while the run of the time before is not over."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class Missed(StrEnum):
    """What happens to times at which no server was there."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class Outcome(StrEnum):
    """What became of a due time."""

    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    MISSED = "missed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Firing:
    """One due time. `told` names the news of it that the webhook has heard, or that were given up."""

    due_at: datetime
    outcome: Outcome
    run_id: str | None = None
    reason: str = ""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a pipeline is submitted, and how.

    Attributes:
        name: unique; `uid` tells it from an earlier schedule of the same name.
        cron, zone: five fields, read in an IANA time zone.
        most_missed: with `Missed.ALL`, how many missed times are made up for at the most: the latest.
        late_seconds: a run that is not over so long after its due time is late.
        handled_until: due times up to this one are dealt with.
        pending_at: a due time that was taken up, and whose run may or may not be submitted yet.
    """

    name: str
    uid: str
    cron: str
    zone: str
    pipeline_name: str
    created_at: datetime
    handled_until: datetime
    overlap: Overlap = Overlap.FORBID
    missed: Missed = Missed.LAST
    most_missed: int = 10
    is_paused: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    project: str | None = None
    deadline_seconds: float | None = None
    is_caching: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    webhook: str | None = None
    late_seconds: float | None = None
    pending_at: datetime | None = None
    last_run_id: str | None = None
    firings: tuple[Firing, ...] = ()
    version: int = 1

    def key(self, due_at: datetime) -> str:
        """What makes the run of a due time the only one, whoever submits it and how often."""
        return f"schedule/{self.uid}/{due_at.isoformat()}"

    def taken_up(self, due_at: datetime) -> Schedule:
        """The schedule when a due time is about to be submitted."""
        return replace(self, handled_until=max(due_at, self.handled_until), pending_at=due_at)

    def noted(self, *firings: Firing) -> Schedule:
        """The schedule with what became of due times."""
        last = max([self.handled_until, *(firing.due_at for firing in firings)])
        return replace(self, handled_until=last, firings=(*self.firings, *firings)[-MOST_FIRINGS:])

    def settled(self, firing: Firing) -> Schedule:
        """The schedule when the due time that was taken up is dealt with."""
        run_id = firing.run_id or self.last_run_id
        return replace(self.noted(firing), pending_at=None, last_run_id=run_id)

    def heard(self, due_at: datetime, news: str) -> Schedule:
        """The schedule after the webhook was told something of a due time."""
        firings = tuple(
            replace(firing, told=(*firing.told, news))
            if firing.due_at == due_at and news not in firing.told
            else firing
            for firing in self.firings
        )
        return replace(self, firings=firings)


@dataclass(frozen=True, slots=True)
class ScheduledPipeline:
    """What a schedule submits: the text of a spec, or of a document of the platform's own format (`file` names it)."""

    text: str
    file: str = ""


__all__ = [
    "DUE_LABEL",
    "MOST_FIRINGS",
    "SCHEDULE_LABEL",
    "Firing",
    "Missed",
    "Outcome",
    "Overlap",
    "Schedule",
    "ScheduledPipeline",
]
