"""Two plans for the same request, compared: where they differ, and what turnaround each would lead to.

Both plans are carried out by one rule on the same estimates, so that a strategy that plans no times is not at a
disadvantage: a task starts on its node when what it waits for is done, its planned start has come, and there is room.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.domain.placement import BoundTask, PlacementPlan, PlacementRequest, TaskRef, WaitingTask
from server.placers.halves.cluster import NEVER, UNKNOWN_SECONDS, Cluster, seconds_left

MOST_DIFFERENCES = 5
MOST_TASKS_TIMED = 5000


@dataclass(frozen=True, slots=True)
class Comparison:
    """The live plan against a shadow's.

    Attributes:
        tasks, same: tasks that both gave a node, and those that got the same one.
        ready, same_ready: the same among tasks that could start at once.
        runs: runs that both planned to their end; the two means of predicted turnaround (seconds) are over these, None
            where there is none.
        differences: some tasks that got another node: (run id, task, live node, shadow's node).
    """

    tasks: int
    same: int
    ready: int
    same_ready: int
    runs: int
    live_seconds: float | None
    shadow_seconds: float | None
    differences: tuple[tuple[str, str, str, str], ...]

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "tasks": self.tasks,
            "same": self.same,
            "ready": self.ready,
            "same_ready": self.same_ready,
            "runs": self.runs,
            "live_turnaround_seconds": _rounded(self.live_seconds),
            "shadow_turnaround_seconds": _rounded(self.shadow_seconds),
            "differences": [
                {"run_id": run, "task": task, "live_node": live, "shadow_node": shadow}
                for run, task, live, shadow in self.differences
            ],
        }


def compare(request: PlacementRequest, live: PlacementPlan, shadow: PlacementPlan) -> Comparison:
    """Compare two plans for one request."""
    mine = {(one.run_id, one.key): one.node for one in live.placements}
    theirs = {(one.run_id, one.key): one.node for one in shadow.placements}
    both = [task for task in request.tasks() if task.ref in mine and task.ref in theirs]
    same = [task for task in both if mine[task.ref] == theirs[task.ref]]
    differing = sorted(
        (task for task in both if mine[task.ref] != theirs[task.ref]), key=lambda task: not task.is_ready
    )
    ends = _turnarounds(request, live), _turnarounds(request, shadow)
    runs = [run for run in ends[0] if run in ends[1]]
    means = [sum(found[run] for run in runs) / len(runs) if runs else None for found in ends]
    return Comparison(
        tasks=len(both),
        same=len(same),
        ready=sum(task.is_ready for task in both),
        same_ready=sum(task.is_ready for task in same),
        runs=len(runs),
        live_seconds=means[0],
        shadow_seconds=means[1],
        differences=tuple(
            (task.run_id, str(task.key), mine[task.ref], theirs[task.ref]) for task in differing[:MOST_DIFFERENCES]
        ),
    )


def _turnarounds(request: PlacementRequest, plan: PlacementPlan) -> dict[str, float]:
    """Predicted seconds from submission to the last end, of every run that the plan leads to its end."""
    tasks = {task.ref: task for task in request.tasks()}
    if len(tasks) > MOST_TASKS_TIMED:
        return {}
    ends = _ends(request, plan, tasks)
    found = {}
    for run in request.runs:
        keys = [*(task.key for task in run.tasks), *(task.key for task in run.bound)]
        known = [ends.get((run.run_id, key)) for key in keys]
        last = [end for end in known if end is not None and end < NEVER]
        if known and len(last) == len(known):
            found[run.run_id] = (request.now - run.submitted_at).total_seconds() + max(last)
    return found


def _ends(request: PlacementRequest, plan: PlacementPlan, tasks: Mapping[TaskRef, WaitingTask]) -> dict[TaskRef, float]:
    """When everything ends, in seconds from now; what has to wait for ever is left out."""
    cluster, queue = Cluster(request), _Queue(request, plan, tasks)
    while queue.due:
        at, place, ref = heapq.heappop(queue.due)
        placement, task = plan.placements[place], tasks[ref]
        node = cluster.table.index[placement.node]
        option = task.option(placement.option)
        start = cluster.timelines[node].earliest_start(option.requests, at)
        if start < NEVER:
            end = start + cluster.seconds(task, option, node)
            cluster.timelines[node].take(option.requests, start, end)
            queue.end(ref, end)
    return queue.ends


class _Queue:
    """Planned tasks by the second at which they could start."""

    def __init__(self, request: PlacementRequest, plan: PlacementPlan, tasks: Mapping[TaskRef, WaitingTask]) -> None:
        self._now, self._tasks = request.now, tasks
        self._placed = {(one.run_id, one.key): (place, one) for place, one in enumerate(plan.placements)}
        self._missing: dict[TaskRef, int] = {}
        self._followers: dict[TaskRef, list[TaskRef]] = {}
        self.ends = {(run.run_id, bound.key): _rest(bound, request.now) for run in request.runs for bound in run.bound}
        self.due: list[tuple[float, int, TaskRef]] = []
        for ref in self._placed:
            upstream = [one for key in tasks[ref].waits_for if (one := (ref[0], key)) not in self.ends]
            self._missing[ref] = len(upstream)
            for one in upstream:
                self._followers.setdefault(one, []).append(ref)
            if not upstream:
                self._expect(ref)

    def end(self, ref: TaskRef, end: float) -> None:
        """A task ends at this second: who only waited for it could start then."""
        self.ends[ref] = end
        for follower in self._followers.get(ref, ()):
            self._missing[follower] -= 1
            if not self._missing[follower]:
                self._expect(follower)

    def _expect(self, ref: TaskRef) -> None:
        place, placement = self._placed[ref]
        ready = max((self.ends[(ref[0], key)] for key in self._tasks[ref].waits_for), default=0.0)
        start = placement.planned_start_at
        planned = 0.0 if start is None else (start - self._now).total_seconds()
        heapq.heappush(self.due, (max(ready, planned, 0.0), place, ref))


def _rest(bound: BoundTask, now: datetime) -> float:
    rest = seconds_left(bound.expected_end_at, now)
    return UNKNOWN_SECONDS if rest is None else rest


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


__all__ = ["Comparison", "compare"]
