"""What the API shows of a schedule."""

from __future__ import annotations

from typing import Any

from server.api.views import instant
from server.components.recurring.calendar import read_calendar
from server.domain.recurring import Firing, Schedule


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """ScheduleView."""
    following = None
    if not schedule.is_paused:
        following = read_calendar(schedule.cron, schedule.zone).after(schedule.handled_until)
    return {
        "name": schedule.name,
        "pipeline": schedule.pipeline_name,
        "cron": schedule.cron,
        "zone": schedule.zone,
        "overlap": schedule.overlap.value,
        "missed": schedule.missed.value,
        "most_missed": schedule.most_missed,
        "is_paused": schedule.is_paused,
        "next_at": instant(following),
        "created_at": instant(schedule.created_at),
        "parameters": dict(schedule.parameters),
        "priority": schedule.priority,
        "project": schedule.project,
        "deadline_seconds": schedule.deadline_seconds,
        "is_caching": schedule.is_caching,
        "labels": dict(schedule.labels),
        "webhook": schedule.webhook,
        "late_seconds": schedule.late_seconds,
        "last_run_id": schedule.last_run_id,
        "firings": [firing_view(firing) for firing in reversed(schedule.firings)],
    }


def firing_view(firing: Firing) -> dict[str, Any]:
    """FiringView."""
    return {
        "due_at": instant(firing.due_at),
        "outcome": firing.outcome.value,
        "run_id": firing.run_id,
        "reason": firing.reason,
        "told": list(firing.told),
    }


__all__ = ["firing_view", "schedule_view"]
