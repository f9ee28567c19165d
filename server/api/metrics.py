"""Figures of the server itself, for Prometheus. Counters are kept as requests pass; the rest is read when asked."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from server.api.node_metrics import NodeUsages, add_nodes
from server.api.services import Services
from server.components.explaining.values import Waiting, WaitKind
from server.components.scheduler import QueueEntry
from server.domain.node import Snapshot, Usage
from server.domain.placement import TaskRef
from server.domain.states import RunState, TaskState

REASONS: tuple[WaitKind, ...] = get_args(WaitKind)
"""What explanations tell apart (`explaining.values.Waiting`)."""

HANDED_OVER = (TaskState.PLACED, TaskState.QUEUED)


class Meters:
    """What is counted as requests pass."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mlopx_http_requests",
            "Requests by method, route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "mlopx_http_request_seconds", "Seconds per request", ["method", "route"], registry=self.registry
        )


def exposition(
    meters: Meters,
    parts: Services,
    counts: Mapping[RunState, int],
    snapshot: Snapshot,
    waits: Mapping[TaskRef, Waiting],
    usages: Mapping[str, Usage],
) -> tuple[bytes, str]:
    """All figures in the text format, with its media type.

    `waits` is what the tasks in the queue wait for, `usages` what is used of the platform's own nodes.
    """
    registry = CollectorRegistry()
    runs = Gauge("mlopx_runs", "Runs by state", ["state"], registry=registry)
    for state in RunState:
        runs.labels(state.value).set(counts.get(state, 0))
    queue = parts.scheduler.queue()
    waiting = Gauge("mlopx_waiting_tasks", "Tasks that wait for a node, by state", ["state"], registry=registry)
    for task_state in (TaskState.READY, TaskState.PENDING):
        waiting.labels(task_state.value).set(sum(entry.state is task_state for entry in queue))
    for name, text, value in (
        ("mlopx_cycles", "Scheduling cycles since the start", parts.scheduler.cycles),
        ("mlopx_last_decision_seconds", "Seconds of the last decision", parts.scheduler.last_decision_seconds),
        ("mlopx_fallbacks", "Cycles in which the fallback stood in", parts.decision_unit.fallbacks),
        ("mlopx_replay_questions_dropped", "Decided cycles that were not kept for replays", parts.questions.dropped),
    ):
        Gauge(name, text, registry=registry).set(value)
    at_platform = sum(task.state in HANDED_OVER for run in parts.journal.live() for task in run.tasks.values())
    _queue(registry, Counts(reason_of(entry, waits) for entry in queue) + Counts(platform=at_platform))
    add_nodes(registry, snapshot)
    registry.register(NodeUsages(usages))
    _calibration(registry, parts)
    _forecasts(registry, parts)
    return b"".join(map(generate_latest, (meters.registry, parts.work_meters.registry, registry))), CONTENT_TYPE_LATEST


def _queue(registry: CollectorRegistry, counts: Mapping[str, int]) -> None:
    pending = Gauge("mlopx_pending_tasks", "Waiting tasks by what they wait for", ["reason"], registry=registry)
    for reason in REASONS:
        pending.labels(reason).set(counts.get(reason, 0))


def reason_of(entry: QueueEntry, waits: Mapping[TaskRef, Waiting]) -> WaitKind:
    """What a task waits for, as one of `REASONS`: as it is explained, or where the queue is too long for that, by the
    strategy's own words."""
    explained = waits.get((entry.run_id, entry.key))
    if explained is not None:
        return explained.kind
    if entry.state is TaskState.PENDING:
        return "dependency"
    beginnings: tuple[tuple[str, WaitKind], ...] = (
        ("no node can run it", "node"),
        ("waits for a new node", "growth"),
        ("waits", "capacity"),
    )
    return next((reason for text, reason in beginnings if entry.hold.startswith(text)), "decision")


def _calibration(registry: CollectorRegistry, parts: Services) -> None:
    overall = parts.estimator.calibration.overall()
    if overall is None:
        return
    for name, text, value in (
        ("mlopx_estimates_compared", "Finished runs that were compared with their prediction", overall.runs),
        ("mlopx_estimate_coverage", "Share of recent runs inside the predicted 10 to 90 % band", overall.coverage),
        ("mlopx_estimate_error_median", "Median relative error of recent predictions", overall.median_error),
        ("mlopx_estimate_error_p90", "90th percentile of the relative error", overall.p90_error),
    ):
        Gauge(name, text, registry=registry).set(value)


def _forecasts(registry: CollectorRegistry, parts: Services) -> None:
    gauge = Gauge(
        "mlopx_forecast_coverage",
        "Share of recent starts and ends inside the foretold band of 80 %",
        ["kind", "strategy"],
        registry=registry,
    )
    for one in parts.forecasts.reliabilities():
        if one.coverage is not None:
            gauge.labels(one.kind, one.strategy).set(one.coverage)
