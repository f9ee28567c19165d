"""Examples of schedules: the pipeline of `server.api.examples`, every working day."""

from __future__ import annotations

from typing import Any

from server.api import examples

SCHEDULE: dict[str, Any] = {
    "name": "nightly",
    "pipeline": "hello",
    "cron": "30 6 * * 1-5",
    "zone": "Europe/Berlin",
    "overlap": "Forbid",
    "missed": "last",
    "most_missed": 10,
    "is_paused": False,
    "next_at": "2026-05-04T04:30:00+00:00",
    "created_at": "2026-05-01T12:00:00+00:00",
    "parameters": {"name": "world"},
    "priority": None,
    "project": None,
    "deadline_seconds": None,
    "is_caching": None,
    "labels": {},
    "webhook": None,
    "late_seconds": None,
    "last_run_id": None,
    "firings": [],
}
PAUSED = {**SCHEDULE, "is_paused": True, "next_at": None}
BASE = "/api/v1/schedules"
ANSWERS: dict[str, Any] = {
    f"POST {BASE}": SCHEDULE,
    f"GET {BASE}": {"schedules": [SCHEDULE]},
    f"GET {BASE}/{{name}}": SCHEDULE,
    f"POST {BASE}/{{name}}/pause": PAUSED,
    f"POST {BASE}/{{name}}/resume": SCHEDULE,
    f"DELETE {BASE}/{{name}}": SCHEDULE,
}
BODIES: dict[str, Any] = {
    f"POST {BASE}": {
        **{key: examples.SUBMISSION[key] for key in ("spec", "parameters")},
        "name": "nightly",
        "cron": "30 6 * * 1-5",
        "zone": "Europe/Berlin",
    }
}

__all__ = ["ANSWERS", "BODIES", "SCHEDULE"]
