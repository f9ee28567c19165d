"""A live placement request as a problem file: what the server's strategies compute on, for studies elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from server.domain.placement import Promise
from server.domain.resources import Resources
from server.exchange.document import (
    HeldEntry,
    NodeEntry,
    OptionEntry,
    ProblemDocument,
    Requests,
    RunEntry,
    TaskEntry,
)
from server.planning.checking import can_run
from server.planning.problem import NEVER
from server.planning.stating import Statement

MOST_ENTRIES = 3_000_000
"""Times of ways on nodes that a captured file may hold."""


class TooLargeError(ValueError):
    """The queue is too large for a file."""


def capture(statement: Statement) -> dict[str, Any]:
    """The problem document, as plain values. Raises TooLargeError.

    Tasks are called `RUN/TASK`. Those that nothing can run now, because of rules or of what is held without a known
    end, are left out with all that waits for them; `description` counts them. Seconds are those that strategies see:
    medians, longer on nodes that a task would rather not have.
    """
    if statement.problem.seconds.shape[1] * len(statement.problem.row_of_mode) > MOST_ENTRIES:
        raise TooLargeError(f"the queue has more than {MOST_ENTRIES:,} times of tasks on nodes")
    found = _Capture(statement).document().model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return {**{key: found.get(key, []) for key in ("nodes", "tasks", "edges", "inputs", "runs", "held")}, **found}


class _Capture:
    def __init__(self, statement: Statement) -> None:
        self.statement, self.problem = statement, statement.problem
        self.names = [f"{task.run_id}/{task.key}" for task in statement.tasks]
        self.nodes = [node.name for node in statement.request.snapshot.nodes]
        self.kept = self._kept()

    def document(self) -> ProblemDocument:
        """The whole document."""
        left_out = len(self.names) - len(self.kept)
        said = f"Cycle {self.statement.request.cycle} at {self.statement.request.now.isoformat()}."
        return ProblemDocument(
            format="mlopx-problem/1",
            description=said + (f" {left_out} tasks that nothing can run now are left out." if left_out else ""),
            nodes=[self._node(number) for number in range(len(self.nodes))],
            tasks=[self._task(task) for task in self.kept],
            edges=self._edges(),
            inputs=self._inputs(),
            runs=self._runs(),
            held=self._held(),
        )

    def _kept(self) -> list[int]:
        kept, edges = set[int](), self.problem.edges
        waiting = [task for task in range(self.problem.task_count) if len(can_run(self.problem, task)[0])]
        while True:
            found = {
                task
                for task in waiting
                if task not in kept and kept.issuperset(edges.task[edges.first[task] : edges.first[task + 1]].tolist())
            }
            if not found:
                return sorted(kept)
            kept |= found

    def _node(self, number: int) -> NodeEntry:
        node = self.statement.request.snapshot.nodes[number]
        has = node.allocatable
        return NodeEntry(
            name=node.name,
            cpus=has.cpu_millicores / 1000,
            memory_bytes=float(has.memory_bytes),
            pods=float(has.pods),
            accelerators={kind: float(count) for kind, count in has.accelerators},
            opens_seconds=float(self.problem.opens[number]),
            price_per_hour=node.price_per_hour,
        )

    def _task(self, task: int) -> TaskEntry:
        first, end = self.problem.first_mode[task], self.problem.first_mode[task + 1]
        choices = self.statement.options[first:end]
        rows = [self._row(mode) for mode in range(first, end)]
        shared: dict[str, Any] = {
            "name": self.names[task],
            "release_seconds": float(self.problem.release[task]),
            "run": self.statement.request.runs[self.problem.runs.of_task[task]].run_id,
        }
        if len(choices) == 1:
            return TaskEntry(run_seconds=rows[0], requests=_requests(choices[0].requests), **shared)
        options = [
            OptionEntry(name=choice.name, run_seconds=row, requests=_requests(choice.requests))
            for choice, row in zip(choices, rows, strict=True)
        ]
        return TaskEntry(options=options, **shared)

    def _row(self, mode: int) -> dict[str, float | None]:
        seconds = self.problem.seconds[self.problem.row_of_mode[mode], self.problem.column_of_node]
        return {name: float(value) for name, value in zip(self.nodes, seconds.tolist(), strict=True) if value < NEVER}

    def _edges(self) -> list[Any]:
        edges = self.problem.edges
        return [
            (self.names[edges.task[k]], self.names[task], float(edges.bytes[k]))
            for task in self.kept
            for k in range(edges.first[task], edges.first[task + 1])
        ]

    def _inputs(self) -> list[Any]:
        inputs = self.problem.inputs
        return [
            (self.names[task], self.nodes[inputs.task[k]], float(inputs.bytes[k]))
            for task in self.kept
            for k in range(inputs.first[task], inputs.first[task + 1])
        ]

    def _runs(self) -> list[RunEntry]:
        runs = self.problem.runs
        return [
            RunEntry(
                name=run.run_id,
                submitted_seconds=float(runs.submitted[number]),
                priority=run.priority,
                deadline_seconds=None if np.isinf(runs.deadline[number]) else float(runs.deadline[number]),
                project=run.project or "default",
                done_seconds=float(runs.done_seconds[number]),
            )
            for number, run in enumerate(self.statement.request.runs)
        ]

    def _held(self) -> list[HeldEntry]:
        held, snapshot = self.problem.held, self.statement.request.snapshot
        known = {name: number for number, name in enumerate(self.nodes)}
        there = [
            one for one in snapshot.occupancies if one.node in known and not snapshot.nodes[known[one.node]].is_virtual
        ]
        return [
            HeldEntry(
                node=one.node,
                requests=_requests(one.requests),
                until_seconds=None if np.isinf(until) else max(0.0, float(until)),
            )
            for one, until in zip(there, held.until, strict=True)
        ] + [entry for one in self.statement.request.promised if one.node in known for entry in self._promised(one)]

    def _promised(self, promise: Promise) -> list[HeldEntry]:
        since, until = promise.span(self.statement.request.now)
        requests = _requests(promise.requests)
        if until <= since:
            return []
        return [HeldEntry(node=promise.node, requests=requests, from_seconds=since, until_seconds=until)]


def _requests(asked: Resources) -> Requests:
    return Requests(
        cpus=asked.cpu_millicores / 1000,
        memory_bytes=float(asked.memory_bytes),
        pods=float(asked.pods),
        accelerators={kind: float(count) for kind, count in asked.accelerators},
    )


__all__ = ["TooLargeError", "capture"]
