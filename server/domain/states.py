"""The states of runs and task attempts, and the two tables that say what may follow what. Ends are absorbing."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    WAITING = "waiting"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FINISHING = "finishing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        """Whether nothing can follow."""
        return self in RUN_ENDS


class TaskState(StrEnum):
    """Where a task (its latest attempt) stands."""

    PENDING = "pending"
    READY = "ready"
    PLACED = "placed"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    LOST = "lost"

    @property
    def is_end(self) -> bool:
        """Whether the attempt is over (a lost attempt is; its task goes on with a new one)."""
        return self in TASK_ENDS

    @property
    def is_bound(self) -> bool:
        """Whether the attempt holds its node's resources."""
        return self in BOUND


RUN_ENDS = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
TASK_ENDS = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.SKIPPED, TaskState.LOST})
BOUND = frozenset({TaskState.PLACED, TaskState.QUEUED, TaskState.RUNNING})

_R, _T = RunState, TaskState

RUN_TABLE: dict[RunState, frozenset[RunState]] = {
    _R.WAITING: frozenset({_R.DISPATCHED, _R.CANCELLING, _R.FINISHING, *RUN_ENDS}),
    _R.DISPATCHED: frozenset({_R.RUNNING, _R.WAITING, _R.CANCELLING, _R.FINISHING, *RUN_ENDS}),
    _R.RUNNING: frozenset({_R.WAITING, _R.CANCELLING, _R.FINISHING, *RUN_ENDS}),
    _R.CANCELLING: frozenset({_R.FINISHING, *RUN_ENDS}),
    _R.FINISHING: frozenset({*RUN_ENDS}),
    **{end: frozenset() for end in RUN_ENDS},
}
"""Every allowed change of a run's state."""

TASK_TABLE: dict[TaskState, frozenset[TaskState]] = {
    _T.PENDING: frozenset({_T.READY, _T.SKIPPED, _T.CANCELLED, _T.QUEUED, _T.RUNNING, _T.SUCCEEDED, _T.FAILED}),
    _T.READY: frozenset({_T.PLACED, _T.SKIPPED, _T.CANCELLED, _T.SUCCEEDED, _T.FAILED, _T.QUEUED, _T.RUNNING}),
    _T.PLACED: frozenset({_T.QUEUED, _T.RUNNING, _T.SUCCEEDED, _T.FAILED, _T.CANCELLED, _T.SKIPPED, _T.LOST, _T.READY}),
    _T.QUEUED: frozenset({_T.RUNNING, _T.SUCCEEDED, _T.FAILED, _T.CANCELLED, _T.SKIPPED, _T.LOST, _T.READY}),
    _T.RUNNING: frozenset({_T.SUCCEEDED, _T.FAILED, _T.CANCELLED, _T.LOST}),
    **{end: frozenset() for end in TASK_ENDS},
}
"""Every allowed change of a task attempt's state. `pending -> queued | running`: the platform drives its own graph."""


class Binding(StrEnum):
    """When a task gets its node."""

    AT_SUBMISSION = "at_submission"
    WHEN_READY = "when_ready"
