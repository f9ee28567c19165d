"""What each address answers, by example: one run of two tasks, `greet` and `train`, seen from all sides.

The examples stand in the OpenAPI document; a test holds each to what the running server answers.
"""

from __future__ import annotations

from typing import Any

from mlopx.spec import SPEC_VERSION
from server import __version__

RUN_ID = "churn-vpud6est2e"
SUBMITTED, PLACED, STARTED, FINISHED = (
    f"2026-01-31T12:00:0{seconds}+00:00" for seconds in ("0.000000", "0.012000", "0.041000", "4.380000")
)
SOURCE = "def greet(name: str) -> str:\n    return f'hello {name}'\n"
COMPONENT: dict[str, Any] = {
    "name": "greet",
    "code": {"kind": "function", "source": SOURCE, "entrypoint": "greet"},
    "inputs": {"name": {"kind": "parameter", "type": "str"}},
    "outputs": {"output": {"kind": "parameter", "type": "str"}},
}
SPEC: dict[str, Any] = {
    "kind": "mlopx.PipelineSpec",
    "version": SPEC_VERSION,
    "name": "hello",
    "components": {"greet": COMPONENT},
    "parameters": {"name": {"type": "str", "optional": True, "default": "world"}},
    "tasks": {"greet": {"component": "greet", "arguments": {"name": {"kind": "param", "name": "name"}}}},
}
LISTED: dict[str, Any] = {
    "id": RUN_ID,
    "name": "churn",
    "state": "succeeded",
    "project": "default",
    "priority": 0,
    "submitted_at": SUBMITTED,
    "started_at": STARTED,
    "finished_at": FINISHED,
    "waiting_seconds": 0.041,
    "execution_seconds": 4.339,
    "turnaround_seconds": 4.38,
    "error": "",
    "retry_of": None,
}
SUMMARY: dict[str, Any] = {**LISTED, "dispatched_at": PLACED}
NEW: dict[str, Any] = {
    **SUMMARY,
    "state": "waiting",
    **dict.fromkeys(
        (
            "dispatched_at",
            "started_at",
            "finished_at",
            "waiting_seconds",
            "execution_seconds",
            "turnaround_seconds",
        )
    ),
}
ARTIFACT: dict[str, Any] = {
    "type": "Model",
    "uri": f"file:///srv/mlopx/artifacts/runs/{RUN_ID}/train/1/model",
    "size_bytes": 11,
    "digest": "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
    "metadata": {"accuracy": 0.9},
}
ATTEMPT: dict[str, Any] = {
    "number": 1,
    "state": "succeeded",
    "node": "quick",
    "actual_node": "quick",
    "option": "default",
    "alternatives": [],
    "decision_id": "4gro7a2y2rfpa",
    "ready_at": SUBMITTED,
    "placed_at": PLACED,
    "queued_at": PLACED,
    "scheduled_at": None,
    "started_at": STARTED,
    "inputs_at": None,
    "finished_at": FINISHED,
    "queue_seconds": None,
    "pull_seconds": None,
    "transfer_seconds": None,
    "run_seconds": 4.339,
    "planned_start_at": PLACED,
    "planned_finish_at": FINISHED,
    "peak_memory_bytes": 1_572_864,
    "error": None,
}
RESOURCES: dict[str, Any] = {"cpu_millicores": 2000, "memory_bytes": 2**30, "accelerators": {}, "pods": 110}
NODES: dict[str, Any] = {
    "taken_at": SUBMITTED,
    "nodes": [
        {
            "name": "quick",
            "is_ready": True,
            "is_schedulable": True,
            "is_virtual": False,
            "speed": 1.0,
            "profile": {},
            "labels": {
                "kubernetes.io/hostname": "quick",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
            },
            "taints": [],
            "allocatable": RESOURCES,
            "accelerator_models": {},
            "allocated": {**RESOURCES, "cpu_millicores": 0, "memory_bytes": 0, "pods": 0},
            "available": RESOURCES,
            "load": None,
            "running": [],
            "assignments": 2,
            "source": "local",
            "price_per_hour": None,
        }
    ],
    "problems": {},
}
QUALITY: dict[str, Any] = {
    "component": "train",
    "node_class": "quick/amd64",
    "runs": 14,
    "coverage": 0.7857,
    "median_error": 0.0621,
    "p90_error": 0.2107,
    "bias": -0.0112,
}
CALIBRATION: dict[str, Any] = {
    "runs": 14,
    "widening": 1.05,
    "overall": {**QUALITY, "component": "", "node_class": ""},
    "components": [QUALITY],
    "starts": [
        {"node_class": "quick/amd64", "runs": 14, "p10_seconds": 0.021, "p50_seconds": 0.029, "p90_seconds": 0.071}
    ],
    "queue": {"p50": 3.0, "p10": 1.0, "p90": 9.0, "source": "from 14 tasks"},
    "pulls": [{"image": "team/train:1", "pulls": 2, "p50_seconds": 41.0}],
    "forecasts": [
        {"kind": "run-ends", "strategy": "fifo_greedy", "asked": 50, "inside": 41, "coverage": 0.82},
        {"kind": "task-starts", "strategy": "fifo_greedy", "asked": 96, "inside": 76, "coverage": 0.7917},
    ],
}
EVENT: dict[str, Any] = {
    "id": 1,
    "run_id": RUN_ID,
    "kind": "run-submitted",
    "at": "2026-01-31T12:00:00.000000Z",
    "task": None,
    "attempt": None,
    "data": {"name": "churn", "retry_of": None},
}


def _task(name: str, outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": name,
        "path": name,
        "iteration": [],
        "component": name,
        "state": "succeeded",
        "reason": "",
        "hold": "",
        "from_cache": False,
        "node": "quick",
        "option": "default",
        "attempt": 1,
        "attempts": [ATTEMPT],
        "outputs": outputs,
    }


DETAIL: dict[str, Any] = {
    **SUMMARY,
    "version": 8,
    "description": "",
    "parameters": {"name": "world"},
    "labels": {},
    "deadline_at": None,
    "binding": "when_ready",
    "is_holdout": False,
    "platform_run_id": None,
    "problems": [],
    "exit_task": None,
    "late_events": 0,
    "offer": None,
    "replaced_by": "",
    "tasks": [_task("greet", {"output": {"value": "hello world"}}), _task("train", {"model": {"artifact": ARTIFACT}})],
    "graph": {
        "tasks": {
            "greet": {"component": "greet", "code": "function", "waits_for": [], "scope": None},
            "train": {"component": "train", "code": "function", "waits_for": ["greet"], "scope": None},
        },
        "scopes": {},
    },
}
DECISION: dict[str, Any] = {
    "id": "4gro7a2y2rfpa",
    "cycle": 1,
    "at": "2026-01-31T12:00:00.012000Z",
    "run_id": RUN_ID,
    "key": "greet",
    "attempt": 1,
    "node": "quick",
    "option": "default",
    "strategy": "fifo_greedy",
    "reason": "fewest tasks (0), then most cores and memory",
    "snapshot_at": "2026-01-31T12:00:00.000000Z",
    "candidates": [
        {
            "node": node,
            "option": "default",
            "seconds_p10": low,
            "seconds_p50": middle,
            "seconds_p90": high,
            "score": score,
            "is_free": True,
            "start_seconds": 0.0,
            "finish_seconds": middle,
        }
        for node, low, middle, high, score in (("quick", 7.4, 31.0, 140.6, 0.0), ("slow", 13.9, 61.0, 280.3, 61.0))
    ],
    "rejected": {},
    "runner_up": "slow",
    "estimate": {
        "p50": 31.0,
        "p10": 7.4,
        "p90": 140.6,
        "source": "a guess",
        "peak_memory_bytes": None,
        "peak_memory_p90_bytes": None,
    },
    "planned_start_at": "2026-01-31T12:00:00.012000Z",
    "planned_finish_at": "2026-01-31T12:00:31.012000Z",
    "fallback_from": None,
    "filtered": {},
    "strategy_version": "1",
    "task": "greet",
}
WAITING: dict[str, Any] = {
    "position": 1,
    "run_id": "segments-a6use3jjke",
    "run_name": "segments",
    "task": "train",
    "state": "ready",
    "hold": "waits for a new node of group rented",
    "waiting_seconds": 2.5,
    "priority": 0,
    "project": "default",
    "submitted_at": SUBMITTED,
    "starts": None,
    "ends": None,
    "planned_node": "rented",
    "waiting": {
        "kind": "growth",
        "text": "waits for a new node: it needs 1 CPU; a node that group rented could add, in about 60 s",
        "tasks": [],
        "nodes": ["rented"],
    },
}
PLACER: dict[str, Any] = {
    "name": "fifo_greedy",
    "summary": "Takes tasks in submission order and gives each the node with the fewest tasks.",
    "source": "baseline of Rodrigues et al., Electronics 2025, 14(13), 2555",
    "version": "1",
    "is_default": False,
    "is_current": True,
}
LINK = f"/api/v1/runs/{RUN_ID}"
ACCEPTED: dict[str, Any] = {"run": NEW, "link": LINK}
PARTS = (
    "journal",
    "nodes",
    "tracker",
    "historian",
    "data sets",
    "scheduler",
    "leadership",
    "node history",
    "schedules",
    "forecasts",
    "database",
)
CHECKS: dict[str, Any] = {name: {"ok": True, "detail": ""} for name in PARTS}
BROKEN = {**CHECKS, "database": {"ok": False, "detail": "the database does not answer"}}
STREAM = (
    ": connected\n\nid: 1\nevent: run-submitted\n"
    f'data: {{"id": 1, "run_id": "{RUN_ID}", "kind": "run-submitted", "at": "2026-01-31T12:00:00.000000Z", '
    '"task": null, "attempt": null, "data": {"name": "churn", "retry_of": null}}\n\n'
)
FIGURES = '# HELP mlopx_runs Runs by state\n# TYPE mlopx_runs gauge\nmlopx_runs{state="succeeded"} 1.0\n'

ANSWERS: dict[str, Any] = {
    "GET /": {
        "status": "running",
        "name": "MLOpX",
        "version": __version__,
        "placer": "fifo_greedy",
        "preparing": "",
        "platform": "local",
        "runs": {"succeeded": 1},
        "pipelines": ["churn"],
        "ui": "/ui/",
    },
    "POST /submit/": {
        "status": "accepted",
        "message": f"pipeline churn is accepted as run {RUN_ID}",
        "pipeline_id": RUN_ID,
        "run_id": RUN_ID,
        "link": LINK,
        "notes": [],
    },
    "GET /pipelines/{pipeline_id}": DETAIL,
    "GET /nodes/": NODES,
    "GET /api/v1/runs": {"runs": [{**LISTED, "ends": None}], "next": None},
    "POST /api/v1/runs": {**ACCEPTED, "notes": []},
    "GET /api/v1/runs/{run_id}": DETAIL,
    "POST /api/v1/runs/{run_id}/cancel": {**NEW, "state": "cancelling"},
    "POST /api/v1/runs/{run_id}/retry": {**ACCEPTED, "run": {**NEW, "retry_of": "churn-a6use3jjke"}, "notes": []},
    "POST /api/v1/runs/{run_id}/replace": {**ACCEPTED, "run": {**NEW, "retry_of": "churn-a6use3jjke"}},
    "GET /api/v1/runs/{run_id}/spec": SPEC,
    "GET /api/v1/runs/{run_id}/decisions": {"decisions": [DECISION]},
    "GET /api/v1/runs/{run_id}/events": {"events": [EVENT], "next": None},
    "GET /api/v1/runs/{run_id}/logs": {
        "text": "greeting world\n",
        "next_offset": 15,
        "is_end": True,
        "attempt": 1,
        "node": "quick",
    },
    "GET /api/v1/runs/{run_id}/artifacts": {
        "artifacts": [
            {
                "task": "train",
                "port": "model",
                **ARTIFACT,
                "download": f"{LINK}/artifacts/content?task=train&port=model",
            }
        ]
    },
    "GET /api/v1/runs/{run_id}/artifacts/content": "hello world",
    "POST /api/v1/runs/{run_id}/archive": {**SUMMARY, "state": "succeeded"},
    "GET /api/v1/runs/{run_id}/document": "pipelineInfo:\n  name: churn\nschemaVersion: 2.1.0\n...",
    "GET /api/v1/runs/{run_id}/launch": {
        "task": "greet",
        "attempt": 1,
        "node": "quick",
        "option": "default",
        "component": COMPONENT,
        "environment": {},
        "arguments": {"name": {"kind": "parameter", "value": "world"}},
    },
    "GET /api/v1/queue": {"tasks": [WAITING], "preparing": ""},
    "GET /api/v1/nodes": NODES,
    "GET /api/v1/placers": {"current": "fifo_greedy", "placers": [PLACER]},
    "GET /api/v1/estimates/calibration": CALIBRATION,
    "GET /api/v1/events": STREAM,
    "GET /healthz": {"status": "ok"},
    "GET /readyz": {"status": "ready", "checks": CHECKS},
    "GET /version": {"version": __version__, "python": "3.11.7", "api": "v1", "spec_versions": [SPEC_VERSION]},
    "GET /metrics": FIGURES,
}
"""The answer to each operation when all goes well."""

SUBMISSION: dict[str, Any] = {
    "spec": SPEC,
    "parameters": {"name": "world"},
    "options": {"priority": 0, "project": "default"},
}
FORM = {
    "spec": "(the file spec.json)",
    "components": ["(the file greet.py)"],
    "metadata": "(the file metadata.json)",
    "parameters": '{"name": "world"}',
    "options": '{"priority": 0, "project": "default"}',
}
BODIES: dict[str, Any] = {
    "POST /submit/": FORM,
    "POST /api/v1/runs": SUBMISSION,
    "POST /api/v1/runs/{run_id}/cancel": {"reason": "wrong data set"},
    "POST /api/v1/runs/{run_id}/retry": {"from_task": "train"},
}
"""What is sent to each operation that takes a body."""
