"""What can happen to a run, in the past tense. The journal stores every one; `lifecycle.apply` gives them meaning.

`cause` events come from users, the scheduler and platforms; `derived` ones follow from them by the rules and are
stored beside them, so that the story of a run reads without re-computing anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from server.domain.run import Output, TaskError, TaskKey
from server.domain.states import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; `at` is when it happened, as told by whoever saw it."""

    kind: ClassVar[str] = ""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """An event of one attempt of one task."""

    key: TaskKey
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSubmitted(Event):
    """A run was accepted."""

    kind: ClassVar[str] = "run-submitted"
    name: str
    retry_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlaced(TaskEvent):
    """The scheduler gave the attempt a node; written before the platform is called."""

    kind: ClassVar[str] = "task-placed"
    node: str
    option: str | None = None
    decision_id: str | None = None
    planned_start_at: datetime | None = None
    planned_finish_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHeld(TaskEvent):
    """The scheduler left the task waiting, or the platform does, with a reason; an empty one once that is over."""

    kind: ClassVar[str] = "task-held"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUnbound(TaskEvent):
    """The platform did not take the attempt (or its node went away before it started); it waits again."""

    kind: ClassVar[str] = "task-unbound"
    reason: str
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQueued(TaskEvent):
    """The platform took the attempt."""

    kind: ClassVar[str] = "task-queued"
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(TaskEvent):
    """The attempt runs, on `node`; `scheduled_at` is when it got that node, where the platform tells."""

    kind: ClassVar[str] = "task-started"
    node: str | None = None
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded(TaskEvent):
    """The attempt ended well. `from_cache`: nothing ran, an earlier task's outputs stand for it. `inputs_at` is when
    its inputs had been fetched, where the platform tells."""

    kind: ClassVar[str] = "task-succeeded"
    outputs: Mapping[str, Output] = field(default_factory=dict)
    peak_memory_bytes: int | None = None
    from_cache: bool = False
    reused_from: str | None = None
    inputs_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(TaskEvent):
    """The attempt ended badly; `inputs_at` as in `TaskSucceeded`."""

    kind: ClassVar[str] = "task-failed"
    error: TaskError
    peak_memory_bytes: int | None = None
    inputs_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLost(TaskEvent):
    """Nobody can say how the attempt ended: its node or agent is gone. It uses up no user retry."""

    kind: ClassVar[str] = "task-lost"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(TaskEvent):
    """The attempt was stopped on request."""

    kind: ClassVar[str] = "task-cancelled"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSkipped(TaskEvent):
    """Derived, or told by a platform that drives its own graph: the task will not run."""

    kind: ClassVar[str] = "task-skipped"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBecameReady(TaskEvent):
    """Derived, or told by a platform that drives its own graph: everything the task waits for is there."""

    kind: ClassVar[str] = "task-ready"
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopExpanded(Event):
    """Derived: a loop's items are known; `count` None means it will not run, for `reason`."""

    kind: ClassVar[str] = "loop-expanded"
    loop: str
    count: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionDecided(Event):
    """Derived: a condition's outcome is known."""

    kind: ClassVar[str] = "condition-decided"
    condition: str
    is_true: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(Event):
    """A user asked to stop the run."""

    kind: ClassVar[str] = "cancel-requested"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """One entry of `RunPlaced`. `alternatives` are the next best nodes; `reason` says why it has no node (yet)."""

    key: TaskKey
    node: str | None
    option: str | None = None
    decision_id: str | None = None
    planned_start_at: datetime | None = None
    planned_finish_at: datetime | None = None
    alternatives: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlaced(Event):
    """Binding at submission: all tasks of the run got their nodes (None: left to the platform)."""

    kind: ClassVar[str] = "run-placed"
    tasks: tuple[PlannedTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReturned(Event):
    """The platform did not take the run; it waits again, and is not sent before `not_before`. One that it may have
    taken (`is_unsure`) stays handed over, and is looked for there then."""

    kind: ClassVar[str] = "run-returned"
    reason: str
    not_before: datetime | None = None
    is_unsure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHandedOver(Event):
    """The platform took the whole run and named it."""

    kind: ClassVar[str] = "run-handed-over"
    platform_run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """A platform that drives its own graph says that the run is over."""

    kind: ClassVar[str] = "run-ended"
    state: RunState
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementOffered(Event):
    """Tasks wait in vain at the platform, and could start elsewhere: a new run would carry that out."""

    kind: ClassVar[str] = "replacement-offered"
    nodes: Mapping[str, str]
    reason: str
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReplaced(Event):
    """The offer was accepted: the run `by` takes this one's place as soon as this one has stopped."""

    kind: ClassVar[str] = "run-replaced"
    by: str
    is_automatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStateChanged(Event):
    """Derived: the run's own state moved."""

    kind: ClassVar[str] = "run-state-changed"
    before: RunState
    after: RunState
    error: str = ""


EVENT_TYPES: tuple[type[Event], ...] = (
    RunSubmitted,
    TaskPlaced,
    TaskHeld,
    TaskUnbound,
    TaskQueued,
    TaskStarted,
    TaskSucceeded,
    TaskFailed,
    TaskLost,
    TaskCancelled,
    TaskSkipped,
    TaskBecameReady,
    LoopExpanded,
    ConditionDecided,
    CancelRequested,
    RunPlaced,
    RunReturned,
    RunHandedOver,
    RunEnded,
    ReplacementOffered,
    RunReplaced,
    RunStateChanged,
)
"""Every event there is, for codecs and documentation."""

EVENTS_BY_KIND: dict[str, type[Event]] = {event.kind: event for event in EVENT_TYPES}


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the journal keeps it. `id` grows in commit order over all runs."""

    id: int
    run_id: str
    event: Event
