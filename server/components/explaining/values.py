"""What an explanation consists of: one plain sentence first, the evidence under it, and what a user can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from server.domain.placement import Decision
from server.domain.run import TaskKey
from server.domain.starting import Wait
from server.domain.states import RunState, TaskState

Verdict = Literal["free", "busy", "not-there-yet", "never"]
WaitKind = Literal[
    "dependency", "capacity", "kept", "priority", "node", "growth", "cluster", "backoff", "platform", "decision"
]


@dataclass(frozen=True, slots=True)
class Shortage:
    """One request that does not fit: `asks` and `has` in millicores (cpu), bytes (memory), or pieces."""

    request: str
    asks: int
    has: int


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """What one node says to a task now.

    Attributes:
        verdict: `free` (it could start at once), `busy` (it fits, but not beside what is there), `not-there-yet` (a
            node that the cluster could grow), `never`.
        kind: for `never`: `state`, `node`, `label`, `taint`, `architecture`, `volume`, `request` or
            `accelerator-memory`; else empty.
        reason: the verdict in words.
        missing: what is too little: of all that the node has (`never`), or of what is free on it (`busy`).
        option: the option with the shortest predicted run time there, with its band in seconds.
    """

    node: str
    verdict: Verdict
    kind: str
    reason: str
    missing: tuple[Shortage, ...] = ()
    option: str | None = None
    seconds_p10: float | None = None
    seconds_p50: float | None = None
    seconds_p90: float | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """An instant that is not sure: 10th, 50th and 90th percentile."""

    p10: datetime
    p50: datetime
    p90: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a task waits for.

    `kind`: `dependency`, `capacity`, `kept` (its node's room is kept for another), `priority` (for runs of higher
    priority, and for no others), `node` (none can run it),
    `growth` (a node that is not there yet), `cluster` (it would not start it: a quota), `backoff`, `platform`
    or `decision` (it is about to be decided).
    """

    kind: WaitKind
    text: str
    tasks: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """What the user can do about it: a sentence, and the command that does it, if one does."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Hindsight:
    """How a finished task's prediction turned out.

    Attributes:
        regret_seconds: how much sooner it would have ended on `best_node`, by what is known now; 0 if it would not.
    """

    predicted_p10: float
    predicted_p50: float
    predicted_p90: float
    actual_seconds: float
    is_inside_band: bool
    best_node: str | None = None
    regret_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StartExpected:
    """How long a task takes to start on `node` once its turn comes: until the platform has a node for it (`queue`), and
    from then to its first second (`begins`), which `is_pulled` makes long. `text` says it all."""

    node: str
    image: str | None
    is_pulled: bool
    queue: Wait | None
    begins: Wait | None
    text: str


@dataclass(frozen=True, slots=True)
class TaskExplanation:
    """One task, explained. `nodes` is empty where it does not wait; `decision` is the newest record about it; `why` is
    half a sentence on why a task runs where it does; `warnings` say what should be changed about it; `start` is what is
    known of the start of a task that has, or is planned for, a node."""

    key: TaskKey
    state: TaskState
    sentence: str
    why: str = ""
    node: str | None = None
    planned_node: str | None = None
    position: int | None = None
    waiting: Waiting | None = None
    actions: tuple[Action, ...] = ()
    start: StartExpected | None = None
    starts: Band | None = None
    ends: Band | None = None
    nodes: tuple[NodeVerdict, ...] = ()
    decision: Decision | None = None
    hindsight: Hindsight | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunExplanation:
    """A run, explained. `actions` are about the task that its sentence is about. `why_no_eta` says why there is no
    `ends` of a run that goes on; `assumes`, what its `ends` stand on besides run times."""

    run_id: str
    name: str
    state: RunState
    at: datetime
    snapshot_at: datetime
    strategy: str
    sentence: str
    tasks: tuple[TaskExplanation, ...]
    position: int | None = None
    ends: Band | None = None
    why_no_eta: str = ""
    assumes: str = ""
    actions: tuple[Action, ...] = ()
    counts: Mapping[str, int] | None = None


__all__ = [
    "Action",
    "Band",
    "Hindsight",
    "NodeVerdict",
    "RunExplanation",
    "Shortage",
    "StartExpected",
    "TaskExplanation",
    "Verdict",
    "WaitKind",
    "Waiting",
]
