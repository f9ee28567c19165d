"""What a simulation leaves behind: the times of every run and attempt, in seconds from the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.run import Attempt, Run, TaskKey
from server.domain.states import Binding
from server.simulation.agenda import seconds_of
from server.simulation.machines import Machine
from server.simulation.rules import Rules
from server.simulation.work import Work


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node, for the measures: what it had to give, and from when on."""

    name: str
    kind: str
    cpu_millicores: int
    accelerators: int
    joined_at: float


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """One attempt. Instants are None where it did not come so far."""

    run_id: str
    task: str
    attempt: int
    state: str
    node: str | None
    option: str | None
    cpu_millicores: int
    accelerators: int
    ready_at: float | None
    placed_at: float | None
    queued_at: float | None
    started_at: float | None
    finished_at: float | None

    @property
    def waiting_seconds(self) -> float | None:
        """Started - ready."""
        return None if self.started_at is None or self.ready_at is None else self.started_at - self.ready_at

    @property
    def run_seconds(self) -> float | None:
        """Finished - started."""
        return None if self.started_at is None or self.finished_at is None else self.finished_at - self.started_at


@dataclass(frozen=True, slots=True)
class RunTimes:
    """One run. `best_seconds`: its length alone on the best nodes."""

    run_id: str
    name: str
    project: str
    priority: int
    state: str
    submitted_at: float
    dispatched_at: float | None
    started_at: float | None
    finished_at: float
    best_seconds: float
    deadline_at: float | None
    error: str = ""

    @property
    def waiting_seconds(self) -> float | None:
        """Started - submitted."""
        return None if self.started_at is None else self.started_at - self.submitted_at

    @property
    def execution_seconds(self) -> float | None:
        """Finished - started."""
        return None if self.started_at is None else self.finished_at - self.started_at

    @property
    def turnaround_seconds(self) -> float:
        """Finished - submitted."""
        return self.finished_at - self.submitted_at

    @property
    def slowdown(self) -> float:
        """Turnaround over the time it takes alone on the best nodes."""
        return self.turnaround_seconds / self.best_seconds if self.best_seconds > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A whole simulation: runs in the order they ended, attempts with them, and what deciding cost.

    `cycle_seconds` and `cpu_seconds` are measured on this machine; everything else follows from the case alone.
    """

    rules: Rules
    nodes: tuple[NodeFacts, ...]
    runs: tuple[RunTimes, ...]
    tasks: tuple[TaskTimes, ...]
    events: int
    cycles: int
    fallbacks: int
    cycle_seconds: tuple[float, ...]
    cpu_seconds: float


class Records:
    """Collects runs as they end."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.nodes = tuple(_facts(machine) for machine in machines)
        self.runs: list[RunTimes] = []
        self.tasks: list[TaskTimes] = []

    def add(self, run: Run, work: Work) -> None:
        """A run has ended."""
        deadline = run.options.deadline_at
        self.runs.append(
            RunTimes(
                run_id=run.id,
                name=work.name,
                project=run.options.project,
                priority=run.options.priority,
                state=str(run.state),
                submitted_at=seconds_of(run.submitted_at),
                dispatched_at=None if run.dispatched_at is None else seconds_of(run.dispatched_at),
                started_at=None if run.started_at is None else seconds_of(run.started_at),
                finished_at=seconds_of(run.finished_at or run.submitted_at),
                best_seconds=work.best_seconds,
                deadline_at=None if deadline is None else seconds_of(deadline),
                error=run.error,
            )
        )
        for key, task in run.tasks.items():
            self.tasks.extend(_times(run, key, attempt, work) for attempt in task.attempts)


def _times(run: Run, key: TaskKey, attempt: Attempt, work: Work) -> TaskTimes:
    way = work.tasks[key.path].way(attempt.option)
    ready_at = attempt.ready_at
    if ready_at is None and run.options.binding is Binding.AT_SUBMISSION and attempt.queued_at is not None:
        ready_at = attempt.queued_at
    instants = (ready_at, attempt.placed_at, attempt.queued_at, attempt.started_at, attempt.finished_at)
    ready, placed, queued, started, finished = (None if at is None else seconds_of(at) for at in instants)
    return TaskTimes(
        run_id=run.id,
        task=str(key),
        attempt=attempt.number,
        state=str(attempt.state),
        node=attempt.actual_node or attempt.node,
        option=attempt.option,
        cpu_millicores=way.cpu_millicores or 0,
        accelerators=way.accelerators if way.accelerator else 0,
        ready_at=ready,
        placed_at=placed,
        queued_at=queued,
        started_at=started,
        finished_at=finished,
    )


def _facts(machine: Machine) -> NodeFacts:
    has = machine.node.allocatable
    return NodeFacts(
        name=machine.name,
        kind=machine.kind,
        cpu_millicores=has.cpu_millicores,
        accelerators=sum(count for _, count in has.accelerators),
        joined_at=machine.joins_at,
    )


__all__ = ["Finished", "NodeFacts", "Records", "RunTimes", "TaskTimes"]
