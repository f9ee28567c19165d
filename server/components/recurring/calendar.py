"""When a schedule is due: cron expressions in a time zone, over the days on which clocks are set forward and back.

A time that the clock jumps over comes right after the jump, and one that it shows twice comes once; expressions that
run at every hour or in steps come as often as time really passes. As Debian's cron has it, by the library `cronsim`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from server.domain.errors import InvalidRequestError
from server.domain.recurring import Firing, Missed, Outcome, Schedule

ON_TIME = timedelta(seconds=60)
"""A due time this little ago is not missed: a restart takes as long."""

MARGIN = timedelta(seconds=1)
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Calendar:
    """The due times of one expression. Instants are UTC."""

    cron: str
    zone: ZoneInfo

    def after(self, instant: datetime) -> datetime | None:
        """The first due time behind an instant; None if none comes in fifty years."""
        try:
            return _utc(next(CronSim(self.cron, instant.astimezone(self.zone))))
        except (StopIteration, OverflowError):
            return None

    def between(self, after: datetime, until: datetime, most: int) -> list[datetime]:
        """The latest `most` due times behind `after` and not behind `until`, oldest first."""
        found: list[datetime] = []
        try:
            for due in CronSim(self.cron, (until + MARGIN).astimezone(self.zone), reverse=True):
                instant = _utc(due)
                if instant <= after or len(found) >= most:
                    break
                if instant <= until and (not found or instant < found[-1]):
                    found.append(instant)
        except OverflowError:
            pass
        return found[::-1]


def read_calendar(cron: str, zone: str) -> Calendar:
    """The calendar of a cron expression. Raises InvalidRequestError saying which part is wrong."""
    text = ALIASES.get(cron.strip().lower(), " ".join(cron.split()))
    try:
        found = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidRequestError(
            f"there is no time zone {zone!r}", hint="give a name such as Europe/Berlin"
        ) from error
    if len(text.split()) != 5:
        raise InvalidRequestError(
            f"the cron expression {cron!r} needs five fields and has {len(text.split())}",
            hint="minute, hour, day of month, month, day of week: `30 6 * * 1-5`",
        )
    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=found))
    except CronSimError as error:
        raise InvalidRequestError(f"the cron expression {cron!r} cannot be read: {str(error).lower()}") from error
    return Calendar(text, found)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due now: times to submit a run for, oldest first, and times that are let go."""

    submit: tuple[datetime, ...] = ()
    let_go: tuple[Firing, ...] = field(default_factory=tuple)


def due_now(schedule: Schedule, now: datetime) -> Due:
    """What the policy for missed times makes of the due times up to now."""
    calendar = read_calendar(schedule.cron, schedule.zone)
    wanted = schedule.most_missed if schedule.missed is Missed.ALL else 1
    found = calendar.between(schedule.handled_until, now, wanted + 1)
    on_time = [due for due in found if due >= now - ON_TIME]
    missed = [due for due in found if due < now - ON_TIME]
    if schedule.missed is Missed.NONE:
        kept: Sequence[datetime] = ()
    else:
        kept = missed[-wanted:] if schedule.missed is Missed.ALL or not on_time else ()
    reason = f"no server was there; missed times are handled as {schedule.missed.value!r}"
    dropped = [due for due in missed if due not in kept]
    more = " (and perhaps earlier ones)" if len(found) > wanted else ""
    let_go = tuple(Firing(due, Outcome.MISSED, reason=reason + more) for due in dropped[-1:])
    return Due((*kept, *on_time), let_go)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


__all__ = ["ALIASES", "ON_TIME", "Calendar", "Due", "due_now", "read_calendar"]
