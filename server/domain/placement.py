"""What a strategy is asked and what it answers: the frozen request, and the plan with placements and holds.

A request can be sent to another process: plain values only. Its two faces are these values, and the dense arrays that
`server.planning` makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mlopx.spec import Preference, Requirement, Toleration
from server.domain.confines import ImageBuild, VolumePlace
from server.domain.datasets import DatasetUse
from server.domain.network import NodeNetwork
from server.domain.node import Node, Snapshot
from server.domain.resources import Resources
from server.domain.run import TaskKey
from server.domain.starting import NO_STARTS, Starts

UNKNOWN_SECONDS = 60.0
"""Assumed for a task without an estimate, and for what is left of one of our tasks without an expected end."""

DEFAULT_OPTION = "default"
"""Name of the only option of a task without alternatives."""

TaskRef = tuple[str, TaskKey]
"""A task across runs: (run id, task key)."""


@dataclass(frozen=True, slots=True)
class TaskOption:
    """One way in which a task can run. `accelerator_memory_bytes` is what each device must have, `build` what the image
    is made for, where that matters and is known."""

    name: str
    requests: Resources
    accelerator_memory_bytes: int | None = None
    image: str | None = None
    build: ImageBuild | None = None


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """An unbound task: what it needs, what it waits for, and what is known of it.

    `is_ready`: everything it waits for is done, so it can be bound now. `waits_for` names unbound or running tasks of
    the same run; `edge_bytes` is how much each of them, or each finished upstream, will hand over. `avoid_nodes` failed
    it before; `spot_nodes` would likely be taken away before it ends, and are avoided like them; `volumes` can be used
    on some nodes only; `datasets` are the registered ones that it reads; if it `is_reused`, the platform will take the
    outputs of equal work from its cache. `workload` carries the hints (`task_kind`, `model`, `dataset`,
    `declared_operations`) as plain values, `parameters` the arguments that are numbers or short words, as far as they
    are known, `given` what of that kind went into the tasks its inputs come from; as long as not all of those are over,
    not `is_input_known`.
    """

    run_id: str
    key: TaskKey
    component: str
    component_digest: str
    is_ready: bool
    options: tuple[TaskOption, ...]
    waits_for: tuple[TaskKey, ...] = ()
    edge_bytes: Mapping[TaskKey, float] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    node: str | None = None
    preferences: tuple[Preference, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    avoid_nodes: tuple[str, ...] = ()
    spot_nodes: tuple[str, ...] = ()
    volumes: tuple[VolumePlace, ...] = ()
    is_interruptible: bool = False
    is_reused: bool = False
    ready_at: datetime | None = None
    attempt: int = 1
    input_bytes: float = 0.0
    workload: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    is_input_known: bool = True
    datasets: tuple[DatasetUse, ...] = ()

    @property
    def ref(self) -> TaskRef:
        """This task across runs."""
        return (self.run_id, self.key)

    def option(self, name: str | None) -> TaskOption:
        """The option of this name; the first where there is none."""
        return next((one for one in self.options if one.name == name), self.options[0])


@dataclass(frozen=True, slots=True)
class BoundTask:
    """A task that is placed, queued or running: where, with which option, and when it is expected to end."""

    run_id: str
    key: TaskKey
    node: str
    option: str
    requests: Resources
    started_at: datetime | None
    expected_end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A live run with unbound tasks. `finished_on` says on which node a finished upstream's outputs lie, `done_seconds`
    how long its finished tasks ran in all."""

    run_id: str
    name: str
    submitted_at: datetime
    tasks: tuple[WaitingTask, ...]
    bound: tuple[BoundTask, ...] = ()
    priority: int = 0
    project: str = "default"
    deadline_at: datetime | None = None
    finished_on: Mapping[TaskKey, str] = field(default_factory=dict)
    done_seconds: float = 0.0

    def goes_at(self, max_hold_seconds: float) -> datetime:
        """When a run that is handed over whole goes at the latest."""
        return self.submitted_at + timedelta(seconds=max_hold_seconds)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Predicted run time on one node: a median with a band (10th and 90th percentile), all in seconds.

    `peak_memory_bytes` is the usual peak, `peak_memory_p90_bytes` what nine runs of ten stay below.
    """

    p50: float
    p10: float
    p90: float
    source: str = ""
    peak_memory_bytes: float | None = None
    peak_memory_p90_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Estimates:
    """Predicted seconds per (task, option) and node, shared by equal profiles.

    `profile_of` maps (run id, key, option) to a row, `table` holds one tuple per row with one `Estimate` per column,
    and `column_of` maps a node's name to its column. `starts` says what comes before a run, which is no part of these
    seconds.
    """

    profile_of: Mapping[tuple[str, TaskKey, str], int]
    column_of: Mapping[str, int]
    table: Sequence[tuple[Estimate, ...]]
    starts: Starts = NO_STARTS

    def of(self, ref: TaskRef, node: str, option: str = DEFAULT_OPTION) -> Estimate:
        """The estimate of one task with one option on one node. Raises KeyError if it was not asked for."""
        return self.table[self.profile_of[(ref[0], ref[1], option)]][self.column_of[node]]

    def seconds(self, ref: TaskRef, node: str, option: str = DEFAULT_OPTION) -> float:
        """Its median."""
        return self.of(ref, node, option).p50


@dataclass(frozen=True, slots=True)
class Promise:
    """Room on a node that a task of a run that was handed over whole will take, from about `begins_at` to `ends_at`.

    Its node is decided, and nothing of it is held yet.
    """

    node: str
    requests: Resources
    run_id: str
    key: TaskKey
    begins_at: datetime
    ends_at: datetime

    def span(self, now: datetime) -> tuple[float, float]:
        """Seconds from `now` until it begins, and until it ends; not below zero."""
        begins, ends = ((at - now).total_seconds() for at in (self.begins_at, self.ends_at))
        return max(begins, 0.0), max(ends, 0.0)


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """Everything a strategy may look at. Given the same request, a strategy gives the same plan.

    Attributes:
        cycle: number of the scheduling cycle.
        now: the instant of the decision.
        runs: live runs that have unbound tasks, in submission order.
        snapshot: the nodes, and what is held on them (our own bound tasks included).
        estimates: seconds per task, option and node.
        objective: `turnaround`, `makespan`, `cost`, `deadline` or `fair`.
        seed: for strategies that draw; seed a `random.Random` with it.
        time_limit_seconds: how long the answer may take.
        history: tasks assigned so far, by node name, over the server's life.
        network: what fetching outputs and data sets costs, where that is known; data counts as free without it.
        promised: what runs that were handed over whole will take later on.
    """

    cycle: int
    now: datetime
    runs: tuple[WaitingRun, ...]
    snapshot: Snapshot
    estimates: Estimates
    objective: str = "turnaround"
    seed: int = 0
    time_limit_seconds: float = 5.0
    history: Mapping[str, int] = field(default_factory=dict)
    network: NodeNetwork | None = None
    promised: tuple[Promise, ...] = ()

    def tasks(self) -> list[WaitingTask]:
        """All unbound tasks, runs in submission order, tasks in graph order."""
        return [task for run in self.runs for task in run.tasks]


@dataclass(frozen=True, slots=True)
class Placement:
    """A task gets a node and an option, with planned times. For a task that is not ready, or whose node has no room
    now, it is a plan: the task is bound when its time has come, or planned anew.

    `score` is the strategy's own figure (lower is better); `reason` one sentence for people. `gain_seconds`: the task
    waits although it could start elsewhere now, and ends so much sooner for it; `reason` then says so.
    """

    run_id: str
    key: TaskKey
    node: str
    option: str = DEFAULT_OPTION
    planned_start_at: datetime | None = None
    planned_finish_at: datetime | None = None
    score: float | None = None
    reason: str = ""
    gain_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A task does not get a node now, for a reason in words."""

    run_id: str
    key: TaskKey
    reason: str


@dataclass(frozen=True, slots=True)
class PlacementPlan:
    """A strategy's whole answer: every unbound task is in exactly one of the two. Order of `placements` is the order
    in which tasks are offered room."""

    placements: tuple[Placement, ...] = ()
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One node that was considered for a task, with the figures it was judged by.

    `start_seconds` and `finish_seconds`: when it would have started and finished there, counted from the decision,
    after the tasks that were given their nodes before it; None where its room would never have come.
    """

    node: str
    option: str
    seconds_p10: float
    seconds_p50: float
    seconds_p90: float
    score: float | None = None
    is_free: bool = True
    start_seconds: float | None = None
    finish_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The record of one changed decision: at most eight candidates, and counts of reasons for the rest.

    `filtered` names some of the nodes that could not run the task, by the reasons counted in `rejected`.
    """

    id: str
    cycle: int
    at: datetime
    run_id: str
    key: TaskKey
    attempt: int
    node: str | None
    option: str | None
    strategy: str
    reason: str
    snapshot_at: datetime
    candidates: tuple[Candidate, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    runner_up: str | None = None
    estimate: Estimate | None = None
    planned_start_at: datetime | None = None
    planned_finish_at: datetime | None = None
    fallback_from: str | None = None
    filtered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strategy_version: str = ""


__all__ = [
    "DEFAULT_OPTION",
    "BoundTask",
    "Candidate",
    "Decision",
    "Estimate",
    "Estimates",
    "Hold",
    "Node",
    "Placement",
    "PlacementPlan",
    "PlacementRequest",
    "TaskOption",
    "TaskRef",
    "WaitingRun",
    "WaitingTask",
]
