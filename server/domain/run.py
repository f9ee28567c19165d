"""What is remembered of one execution of a pipeline: the run, its tasks, their attempts and outputs.

All values are frozen; only `lifecycle.apply` makes new ones. Instants are timezone-aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from server.domain.graph import Graph
from server.domain.states import Binding, RunState, TaskState


@dataclass(frozen=True, slots=True, order=True)
class TaskKey:
    """A task of a run: the path in the pipeline and one index per loop around it. Text form: `path.0.2`."""

    path: str
    iteration: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ".".join([self.path, *map(str, self.iteration)])

    @classmethod
    def parse(cls, text: str) -> TaskKey:
        """Read the text form. Raises ValueError for anything else."""
        path, *indices = text.split(".")
        if not path or not all(index.isdigit() for index in indices):
            raise ValueError(f"{text!r} is not a task of a run (expected a task path, then .INDEX per loop)")
        return cls(path, tuple(map(int, indices)))


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or folder that a task wrote. `uri` is where it lies, `digest` is sha256 over its content."""

    uri: str
    type: str = "Artifact"
    size_bytes: int | None = None
    digest: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a task: a JSON value, or an artifact."""

    value: Any = None
    artifact: Artifact | None = None


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why an attempt failed.

    `kind`: `user-code`, `output`, `import`, `exit-code`, `oom`, `timeout`, `environment`, `refused`, `lost`,
    `definition` or `platform`. `traceback` is the user's own; `hint` says what to do.
    """

    kind: str
    message: str
    traceback: str = ""
    hint: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a task. `node` is what was decided, `actual_node` what really happened; `alternatives` are the next
    best nodes, where a platform takes wishes.

    On a cluster it is queued until `scheduled_at`, its image is pulled until `started_at`, its inputs are fetched until
    `inputs_at`, and then its program runs. The run time counts from `started_at`: it needs its inputs on any node.
    """

    number: int
    state: TaskState = TaskState.PENDING
    node: str | None = None
    option: str | None = None
    decision_id: str | None = None
    planned_start_at: datetime | None = None
    planned_finish_at: datetime | None = None
    actual_node: str | None = None
    ready_at: datetime | None = None
    not_before: datetime | None = None
    placed_at: datetime | None = None
    queued_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    inputs_at: datetime | None = None
    finished_at: datetime | None = None
    error: TaskError | None = None
    peak_memory_bytes: int | None = None
    alternatives: tuple[str, ...] = ()

    @property
    def run_seconds(self) -> float | None:
        """Run time, once it is over."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def queue_seconds(self) -> float | None:
        """How long the platform looked for a node, where it told."""
        if self.queued_at is None or self.scheduled_at is None:
            return None
        return (self.scheduled_at - self.queued_at).total_seconds()

    @property
    def pull_seconds(self) -> float | None:
        """How long it took from the node to the start (image pull above all), where the platform told."""
        if self.scheduled_at is None or self.started_at is None:
            return None
        return (self.started_at - self.scheduled_at).total_seconds()

    @property
    def transfer_seconds(self) -> float | None:
        """How long it took to fetch the inputs, where the platform told."""
        if self.started_at is None or self.inputs_at is None:
            return None
        return (self.inputs_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A task of a run with all its attempts; the last one is current.

    `reason` says why it was skipped or cancelled; `hold` why it is not placed now.
    """

    key: TaskKey
    attempts: tuple[Attempt, ...] = (Attempt(1),)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    from_cache: bool = False
    reason: str = ""
    hold: str = ""
    retries_used: int = 0
    losses: int = 0

    @property
    def current(self) -> Attempt:
        """The latest attempt."""
        return self.attempts[-1]

    @property
    def state(self) -> TaskState:
        """State of the latest attempt."""
        return self.attempts[-1].state

    @property
    def did_not_run(self) -> bool:
        """Whether it is over, and nothing of its latest attempt ever ran."""
        attempt = self.current
        is_idle = self.state is TaskState.SKIPPED or (
            self.state in (TaskState.CANCELLED, TaskState.FAILED) and not (attempt.actual_node or attempt.started_at)
        )
        return self.from_cache or is_idle

    @property
    def node(self) -> str | None:
        """Where it runs, ran or is to run; None for what ended without running anywhere."""
        return None if self.did_not_run else self.current.actual_node or self.current.node

    @property
    def avoid_nodes(self) -> tuple[str, ...]:
        """Nodes on which earlier attempts failed or were lost, newest first."""
        failed = (TaskState.FAILED, TaskState.LOST)
        nodes = [attempt.actual_node or attempt.node for attempt in reversed(self.attempts) if attempt.state in failed]
        return tuple(dict.fromkeys(node for node in nodes if node))


@dataclass(frozen=True, slots=True)
class Expansion:
    """The items a loop was expanded over, or None with the reason (`condition`, `upstream-failed`, `definition`)."""

    items: tuple[Any, ...] | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the submitter asked for besides the parameters. `is_holdout` was drawn: the platform decides alone;
    `trace_parent` is the `traceparent` header of the submission, empty where it had none; tasks whose paths are `anew`
    come from no cache."""

    priority: int = 0
    project: str = "default"
    deadline_at: datetime | None = None
    binding: Binding = Binding.WHEN_READY
    is_caching: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    is_holdout: bool = False
    trace_parent: str = ""
    anew: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A new placement for a run of which tasks wait in vain at the platform; a new run carries it out.

    `nodes` says where each of them (by task key) could start now, `doubts` what a new run would repeat, in words; empty
    where all that is finished is known to come from the cache.
    """

    at: datetime
    nodes: Mapping[str, str]
    reason: str
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline. `version` counts saved changes and guards against lost updates.

    `replaced_by` names the new run that carries out the `offer` of a new placement.
    """

    id: str
    graph: Graph
    parameters: Mapping[str, Any]
    options: RunOptions
    submitted_at: datetime
    state: RunState = RunState.WAITING
    tasks: Mapping[TaskKey, TaskRun] = field(default_factory=dict)
    expansions: Mapping[str, Expansion] = field(default_factory=dict)
    conditions: Mapping[str, bool] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancel_reason: str = ""
    platform_run_id: str | None = None
    retry_of: str | None = None
    error: str = ""
    late_events: int = 0
    version: int = 0
    offer: Offer | None = None
    replaced_by: str = ""

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.graph.spec.name

    @property
    def waiting_time(self) -> timedelta | None:
        """Started - submitted."""
        return self.started_at - self.submitted_at if self.started_at else None

    @property
    def execution_time(self) -> timedelta | None:
        """Finished - started."""
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None

    @property
    def turnaround_time(self) -> timedelta | None:
        """Finished - submitted."""
        return self.finished_at - self.submitted_at if self.finished_at else None

    def attempts_in(self, *states: TaskState) -> Iterator[tuple[TaskKey, Attempt]]:
        """Current attempts that are in one of the states."""
        for key, task in self.tasks.items():
            if task.state in states:
                yield key, task.current


def attempt_id(run_id: str, key: TaskKey, number: int) -> str:
    """Idempotency key of one attempt towards the platform: `RUN/path.0:2`."""
    return f"{run_id}/{key}:{number}"


def loop_key(loop: str, prefix: tuple[int, ...]) -> str:
    """Key of a loop or condition inside outer iterations: `loop-1.0`."""
    return ".".join([loop, *map(str, prefix)])


def loop_of(key: str) -> str:
    """The loop or condition of such a key."""
    return key.split(".", 1)[0]
