"""Examples of what looks back: shadows, and what was saved."""

from __future__ import annotations

from typing import Any

from server.api import examples

SHADOW: dict[str, Any] = {
    "name": "heft",
    "comparisons": 48,
    "tasks": 212,
    "agreement": 0.7925,
    "predicted_difference": 0.0612,
    "cycles_compared": 48,
    "cycles_dropped": 31,
    "cycles_failed": 0,
    "problem": "",
}
COMPARISON: dict[str, Any] = {
    "at": examples.FINISHED,
    "cycle": 17,
    "live": "online",
    "seconds": 0.0121,
    "tasks": 6,
    "same": 5,
    "ready": 2,
    "same_ready": 1,
    "runs": 3,
    "live_turnaround_seconds": 41.2,
    "shadow_turnaround_seconds": 43.7,
    "differences": [{"run_id": examples.RUN_ID, "task": "greet", "live_node": "quick", "shadow_node": "slow"}],
}
ANSWERS: dict[str, Any] = {
    "GET /api/v1/strategies/shadows": {"live": "online", "shadows": [SHADOW]},
    "GET /api/v1/strategies/shadows/{name}": {"live": "online", **SHADOW, "newest": [COMPARISON]},
}
BODIES: dict[str, Any] = {}
