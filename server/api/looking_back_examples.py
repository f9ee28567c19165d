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
_SIDES: dict[str, Any] = {"placed": 41.3, "left_out": 58.9, "difference": -17.6, "low": -24.9, "high": -10.2}
_CHANGE: dict[str, Any] = {"change": -0.2988, "change_low": -0.3921, "change_high": -0.1871}
DIFFERENCE: dict[str, Any] = {**_SIDES, **_CHANGE}
_UNCHANGED: dict[str, Any] = {
    **dict.fromkeys(_SIDES, 0.0),
    "change": None,
    "change_low": None,
    "change_high": None,
}
REPORT: dict[str, Any] = {
    "since": "2025-12-12T10:00:05+00:00",
    "until": "2026-01-11T10:00:05+00:00",
    "kind": "measured",
    "status": "ready",
    "sentence": "measured: mean turnaround 18 s less than when left to the platform (-30 %; 95 % interval -39 % to "
    "-19 %); 180 placed and 21 left out, 9 placed slower",
    "strategy": "online",
    "baseline": "fifo_greedy",
    "holdout": 0.1,
    "currency": "EUR",
    "totals": {"runs": 203, "node_hours": 2.41, "gpu_hours": 0.0, "money": 1.93, "others": {"not over": 4}},
    "measured": {
        "placed_runs": 180,
        "left_out_runs": 21,
        "unmatched_runs": 2,
        "turnaround_seconds": DIFFERENCE,
        "node_hours": {**DIFFERENCE, **dict.fromkeys(_SIDES, 0.01)},
        "gpu_hours": _UNCHANGED,
        "money": {**DIFFERENCE, **dict.fromkeys(_SIDES, 0.01)},
        "saved": {"turnaround_seconds": 3168.0, "node_hours": 0.11, "gpu_hours": 0.0, "money": 0.08},
        "pipelines": [{"pipeline": "churn", "placed_runs": 180, "left_out_runs": 21, "turnaround_seconds": DIFFERENCE}],
        "slower_runs": 9,
        "slower": [{"run_id": examples.RUN_ID, "pipeline": "churn", "factor": 1.41}],
    },
    "simulated": None,
    "problem": "",
}
ANSWERS: dict[str, Any] = {
    "GET /api/v1/report": REPORT,
    "POST /api/v1/runs/{run_id}/accept": {
        "run_id": examples.RUN_ID,
        "task": "train",
        "node": "quick",
        "option": "cpu",
        "sentence": "train goes to quick with option cpu; 41 s are predicted.",
    },
    "GET /api/v1/strategies/shadows": {"live": "online", "shadows": [SHADOW]},
    "GET /api/v1/strategies/shadows/{name}": {"live": "online", **SHADOW, "newest": [COMPARISON]},
}
BODIES: dict[str, Any] = {
    "POST /api/v1/runs/{run_id}/accept": {"task": "train", "option": "cpu"},
}
