"""Figures of the work itself, for Prometheus: waits, decisions, predictions and outcomes, counted as they happen."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram

from server.components.decision_unit import Outcome
from server.domain import events as happened
from server.domain.events import Event
from server.domain.lifecycle import Change
from server.domain.run import Attempt, TaskKey

WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)
RUN_TIMES = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 86_400)
DECISIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RATIOS = (0.1, 0.25, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2, 4, 10)
"""Upper bounds: seconds, and actual over predicted run time (1 is right, 2 is twice as long as predicted)."""


class WorkMeters:
    """Histograms and counters that grow with every change and every decision."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._task_waits = Histogram(
            "mlopx_task_wait_seconds", "From ready to started, per attempt", registry=registry, buckets=WAITS
        )
        self._run_waits = Histogram(
            "mlopx_run_wait_seconds", "From submitted to the first task's start", registry=registry, buckets=WAITS
        )
        self._turnarounds = Histogram(
            "mlopx_run_turnaround_seconds",
            "From submitted to finished, by outcome",
            ["outcome"],
            registry=registry,
            buckets=RUN_TIMES,
        )
        self._decisions = Histogram(
            "mlopx_decision_seconds",
            "Per decision, by who answered",
            ["strategy"],
            registry=registry,
            buckets=DECISIONS,
        )
        self._ratios = Histogram(
            "mlopx_prediction_ratio",
            "Actual over predicted run time of tasks that succeeded",
            registry=registry,
            buckets=RATIOS,
        )
        self._answers = Counter(
            "mlopx_placements",
            "Answers to ready tasks by strategy and outcome; a held task is counted in every cycle",
            ["strategy", "outcome"],
            registry=registry,
        )
        self._attempts = Counter("mlopx_attempts", "Attempts that ended, by outcome", ["outcome"], registry=registry)

    def decided(self, outcome: Outcome) -> None:
        """Count a decision."""
        self._decisions.labels(outcome.strategy).observe(outcome.seconds)
        for name, count in (("placed", len(outcome.bind_now)), ("held", len(outcome.holds))):
            self._answers.labels(outcome.strategy, name).inc(count)

    def notice(self, change: Change) -> None:
        """Count what happened."""
        run = change.run
        for event, attempt in _attempts_of(change):
            if isinstance(event, happened.TaskStarted) and attempt.started_at is not None:
                if attempt.ready_at is not None:
                    self._task_waits.observe(max((attempt.started_at - attempt.ready_at).total_seconds(), 0.0))
                if run.started_at == attempt.started_at:
                    self._run_waits.observe(max((run.started_at - run.submitted_at).total_seconds(), 0.0))
            elif not isinstance(event, happened.TaskStarted):
                self._ended(event, attempt)
        if run.state.is_end and change.events and run.finished_at is not None:
            seconds = (run.finished_at - run.submitted_at).total_seconds()
            self._turnarounds.labels(run.state.value).observe(max(seconds, 0.0))

    def _ended(self, event: Event, attempt: Attempt) -> None:
        is_reused = isinstance(event, happened.TaskSucceeded) and event.from_cache
        outcome = "reused" if is_reused else event.kind.removeprefix("task-")
        self._attempts.labels(outcome).inc()
        if outcome != "succeeded" or attempt.planned_start_at is None or attempt.planned_finish_at is None:
            return
        predicted = (attempt.planned_finish_at - attempt.planned_start_at).total_seconds()
        if predicted > 0 and attempt.run_seconds is not None:
            self._ratios.observe(attempt.run_seconds / predicted)


def _attempts_of(change: Change) -> Iterator[tuple[Event, Attempt]]:
    """The events of a change that start or end an attempt, with the attempt as it is after the change."""
    kinds = (happened.TaskStarted, happened.TaskSucceeded, happened.TaskFailed, happened.TaskLost)
    for event in change.events:
        if not isinstance(event, (*kinds, happened.TaskCancelled)):
            continue
        task = change.run.tasks.get(event.key) if isinstance(event.key, TaskKey) else None
        for attempt in task.attempts if task is not None else ():
            if attempt.number == event.attempt:
                yield event, attempt


__all__ = ["WorkMeters"]
