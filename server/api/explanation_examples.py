"""Examples of explanations and plans: the run of `server.api.examples`, explained."""

from __future__ import annotations

from typing import Any

from server.api import examples

HINDSIGHT: dict[str, Any] = {
    "predicted_p10": 7.4,
    "predicted_p50": 31.0,
    "predicted_p90": 140.6,
    "actual_seconds": 4.339,
    "is_inside_band": False,
    "best_node": "quick",
    "regret_seconds": 0.0,
}
WARNING = (
    "greet asks for 8.0 GiB of memory and keeps others from it: its runs usually use 310 MiB, nine of ten below 420 "
    "MiB; 512 MiB would do"
)
LINE: dict[str, Any] = {
    "task": "greet",
    "state": "succeeded",
    "sentence": "greet ran on quick for 4.3 s, where it was expected to finish first, 30 s before slow. "
    "It was predicted to take 31 s; it ended below the band of 7.4 s to 2 min 21 s.",
    "why": "",
    "node": "quick",
    "planned_node": None,
    "position": None,
    "waiting": None,
    "starts": None,
    "ends": None,
    "hindsight": HINDSIGHT,
    "warnings": [WARNING],
}
RUN: dict[str, Any] = {
    "run_id": examples.RUN_ID,
    "name": "churn",
    "state": "succeeded",
    "at": examples.FINISHED,
    "sentence": "churn succeeded after 4.4 s.",
    "position": None,
    "ends": None,
    "why_no_eta": "",
    "assumes": "",
    "actions": [],
    "strategy": "fifo_greedy",
    "snapshot_age_seconds": 0.8,
    "counts": {"succeeded": 2},
    "warnings": [WARNING],
    "tasks": [LINE],
    "preparing": "",
}
_CANDIDATES = [
    {
        **{name: value for name, value in one.items() if name != "is_free"},
        "is_free": True,
        "is_chosen": one["node"] == "quick",
        "later_by_seconds": later,
    }
    for one, later in zip(examples.DECISION["candidates"], (0.0, 30.0), strict=True)
]
TASK: dict[str, Any] = {
    **LINE,
    "start": None,
    "actions": [],
    "nodes": [],
    "decision": {
        **examples.DECISION,
        "snapshot_age_seconds": 0.012,
        "margin_seconds": 30.0,
        "candidates": _CANDIDATES,
        "rejected": [],
    },
}

_BAND = {"p10": "2026-01-31T12:00:20+00:00", "p50": "2026-01-31T12:00:31+00:00", "p90": "2026-01-31T12:02:20+00:00"}
_OUTCOME: dict[str, Any] = {
    "ends": _BAND,
    "waiting_seconds": 0.0,
    "turnaround_seconds": 31.0,
    "turnaround_p10_seconds": 20.0,
    "turnaround_p90_seconds": 140.0,
    "makespan_seconds": 31.0,
    "bytes_moved": None,
    "cost": None,
}
PLAN: dict[str, Any] = {
    "sentence": "hello would be done in 31 s (20 s to 2 min 20 s) with fifo_greedy.",
    "at": examples.SUBMITTED,
    "subject": "the-plan",
    "assumptions": ["every task runs: results that could be reused are not looked for"],
    "strategy": "fifo_greedy",
    "objective": "turnaround",
    **_OUTCOME,
    "unchanged": {"strategy": "fifo_greedy", "objective": "turnaround", **_OUTCOME},
    "bottleneck": "the run time of greet on quick: 31 s of 31 s",
    "critical_path": [
        {
            "run_id": "the-plan",
            "task": "greet",
            "node": "quick",
            "start_seconds": 0.0,
            "finish_seconds": 31.0,
            "why": "",
        }
    ],
    "bars": [
        {
            "run_id": "the-plan",
            "name": "hello",
            "task": "greet",
            "node": "quick",
            "option": "default",
            "is_new": True,
            "is_running": False,
            "is_from_history": False,
            "starts": dict.fromkeys(_BAND, examples.SUBMITTED),
            "ends": _BAND,
        }
    ],
    "bars_left_out": 0,
    "unplaced": [],
    "runs": [],
}
QUESTION: dict[str, Any] = {
    "format": "mlopx-problem/1",
    "description": "Cycle 0 at 2026-11-01T09:00:00+00:00.",
    "nodes": [{"name": "rented", "cpus": 2.0, "memory_bytes": 1073741824.0, "pods": 110.0}],
    "tasks": [
        {
            "name": f"{examples.RUN_ID}/greet",
            "run_seconds": {"rented": 31.0},
            "requests": {"cpus": 1.0, "accelerators": {"nvidia.com/gpu": 1.0}},
            "run": examples.RUN_ID,
        }
    ],
    "edges": [],
    "inputs": [],
    "runs": [{"name": examples.RUN_ID, "submitted_seconds": -2.5}],
    "held": [{"node": "rented", "requests": {"cpus": 1.0}, "until_seconds": 12.0}],
}
ANSWERS: dict[str, Any] = {
    "GET /api/v1/queue/problem": QUESTION,
    "GET /api/v1/runs/{run_id}/explain": RUN,
    "GET /api/v1/runs/{run_id}/explain/task": TASK,
    "POST /api/v1/plan": PLAN,
    "GET /api/v1/timeline": {
        "at": examples.FINISHED,
        "stretches": [
            {
                "run_id": examples.RUN_ID,
                "name": "churn",
                "task": "greet",
                "node": "quick",
                "state": "succeeded",
                "started_at": examples.STARTED,
                "ended_at": examples.FINISHED,
                "planned_start_at": examples.PLACED,
                "planned_finish_at": examples.FINISHED,
                "ends": None,
            }
        ],
    },
}
BODIES: dict[str, Any] = {
    "POST /api/v1/plan": {"spec": examples.SPEC, "parameters": {"name": "world"}, "add_nodes": ["quick"]},
}

__all__ = ["ANSWERS", "BODIES"]
