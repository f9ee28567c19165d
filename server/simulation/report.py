"""The measures of a simulation, in the words of the glossary."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from server.simulation.records import Finished, NodeFacts, TaskTimes


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and percentiles."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Measures:
    """One simulation in figures; seconds unless said otherwise.

    Attributes:
        runs, failed, attempts, lost: counts.
        makespan: last finish - first submission.
        execution_span: last finish - first start: the total that the original's notebook shows for its strategies.
        waiting, execution, turnaround: of runs.
        task_waiting: started - ready, of attempts.
        slowdown: turnaround over the time alone on the best nodes.
        utilisation: share of all CPU (`cpu`) and accelerator time that attempts held, over the makespan.
        missed_deadlines: runs that ended after theirs.
        decision: seconds of a cycle, measured on this machine.
    """

    runs: int
    failed: int
    attempts: int
    lost: int
    makespan: float
    execution_span: float
    waiting: Spread
    execution: Spread
    turnaround: Spread
    task_waiting: Spread
    slowdown: Spread
    utilisation: dict[str, float]
    missed_deadlines: int
    events: int
    cycles: int
    fallbacks: int
    decision: Spread
    cpu_seconds: float


def measures(finished: Finished) -> Measures:
    """All measures of one simulation; a simulation without runs has none (all zero)."""
    runs, tasks = finished.runs, finished.tasks
    begin = min((run.submitted_at for run in runs), default=0.0)
    end = max((run.finished_at for run in runs), default=0.0)
    first_start = min((run.started_at for run in runs if run.started_at is not None), default=begin)
    return Measures(
        runs=len(runs),
        failed=sum(run.state != "succeeded" for run in runs),
        attempts=len(tasks),
        lost=sum(task.state == "lost" for task in tasks),
        makespan=end - begin,
        execution_span=end - first_start,
        waiting=spread([run.waiting_seconds for run in runs]),
        execution=spread([run.execution_seconds for run in runs]),
        turnaround=spread([run.turnaround_seconds for run in runs]),
        task_waiting=spread([task.waiting_seconds for task in tasks]),
        slowdown=spread([run.slowdown for run in runs]),
        utilisation=utilisation(finished.nodes, tasks, begin, end),
        missed_deadlines=sum(run.deadline_at is not None and run.finished_at > run.deadline_at for run in runs),
        events=finished.events,
        cycles=finished.cycles,
        fallbacks=finished.fallbacks,
        decision=spread(finished.cycle_seconds),
        cpu_seconds=finished.cpu_seconds,
    )


def spread(values: Sequence[float | None]) -> Spread:
    """Mean and percentiles (nearest rank) of what is known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return Spread(0.0, 0.0, 0.0, 0.0, 0.0)
    p50, p95, p99 = (known[max(math.ceil(share * len(known)) - 1, 0)] for share in (0.5, 0.95, 0.99))
    return Spread(math.fsum(known) / len(known), p50, p95, p99, known[-1])


def utilisation(nodes: Sequence[NodeFacts], tasks: Sequence[TaskTimes], begin: float, end: float) -> dict[str, float]:
    """Held over had, CPUs and accelerators, over all nodes and the whole span."""
    has: dict[str, float] = defaultdict(float)
    held: dict[str, float] = defaultdict(float)
    for node in nodes:
        span = max(end - max(node.joined_at, begin), 0.0)
        has["cpu"] += node.cpu_millicores * span
        has["accelerator"] += node.accelerators * span
    for task in tasks:
        held["cpu"] += task.cpu_millicores * (task.run_seconds or 0.0)
        held["accelerator"] += task.accelerators * (task.run_seconds or 0.0)
    return {name: held[name] / amount for name, amount in has.items() if amount > 0}


def busy_share(finished: Finished) -> dict[str, float]:
    """By node, the share of the makespan in which at least one task ran."""
    begin = min((run.submitted_at for run in finished.runs), default=0.0)
    end = max((run.finished_at for run in finished.runs), default=0.0)
    spans: dict[str, list[tuple[float, float]]] = {node.name: [] for node in finished.nodes}
    for task in finished.tasks:
        if task.node in spans and task.started_at is not None and task.finished_at is not None:
            spans[task.node].append((task.started_at, task.finished_at))
    return {name: _covered(found) / (end - begin) if end > begin else 0.0 for name, found in spans.items()}


def _covered(spans: list[tuple[float, float]]) -> float:
    total, reached = 0.0, -math.inf
    for start, finish in sorted(spans):
        total += max(finish - max(start, reached), 0.0)
        reached = max(reached, finish)
    return total


def as_document(finished: Finished, *, is_costed: bool = False) -> dict[str, Any]:
    """Per-run and per-task times with the measures, as plain values; with `is_costed` also what simulating cost on this
    machine, under `cost`."""
    found = asdict(measures(finished))
    cost = {name: found.pop(name) for name in ("decision", "cpu_seconds")}
    return {
        "measures": found,
        "node_busy_share": busy_share(finished),
        "runs": [
            {
                **asdict(run),
                "waiting_seconds": run.waiting_seconds,
                "execution_seconds": run.execution_seconds,
                "turnaround_seconds": run.turnaround_seconds,
                "slowdown": run.slowdown,
            }
            for run in finished.runs
        ],
        "tasks": [
            {**asdict(task), "waiting_seconds": task.waiting_seconds, "run_seconds": task.run_seconds}
            for task in finished.tasks
        ],
        **({"cost": cost} if is_costed else {}),
    }


__all__ = ["Measures", "Spread", "as_document", "busy_share", "measures", "spread", "utilisation"]
