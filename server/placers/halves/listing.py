"""List scheduling on shared nodes: takes tasks in order of when they can start, priority and rank, and places each."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping

from server.domain.instants import after
from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest, TaskRef, WaitingRun, WaitingTask
from server.domain.run import TaskKey
from server.placers.halves.assignment import Assignment
from server.placers.halves.cluster import UNKNOWN_SECONDS, Cluster, seconds_left
from server.placers.halves.ordering import Ordering
from server.planning.needs import no_node_reason


def plan_in_turn(request: PlacementRequest, ordering: Ordering, assignment: Assignment) -> PlacementPlan:
    """Place every task whose upstreams are placed, each when it is ready; hold what no node can run.

    Ready tasks come first, by priority and then by the ordering. A task that waits for others is placed when the last
    of them is planned to finish, so that nothing planned ahead takes room from what could run now.
    """
    cluster = Cluster(request)
    queue = _Queue(request, ordering(request))
    placements: list[Placement] = []
    holds: list[Hold] = []
    while (turn := queue.pop()) is not None:
        task, at = turn
        needs = cluster.needs(task)
        if not needs.nodes:
            holds.append(Hold(task.run_id, task.key, no_node_reason(needs, len(cluster.nodes))))
            continue
        choice = assignment.choose(task, needs, cluster, at)
        offer = cluster.offer(task, choice.node, at) or cluster.soonest(task, needs, at)
        if offer is None:
            holds.append(Hold(task.run_id, task.key, "waits for room that is held by others without a known end"))
            continue
        cluster.take(offer)
        queue.finished(task, offer.finish)
        placements.append(
            Placement(
                run_id=task.run_id,
                key=task.key,
                node=cluster.nodes[offer.node].name,
                option=offer.option.name,
                planned_start_at=after(request.now, offer.start),
                planned_finish_at=after(request.now, offer.finish),
                score=choice.score,
                reason=choice.reason,
            )
        )
    return PlacementPlan(tuple(placements), (*holds, *queue.left_over()))


class _Queue:
    """The waiting tasks: those whose upstreams have a planned finish, earliest first."""

    def __init__(self, request: PlacementRequest, ranks: Mapping[TaskRef, float]) -> None:
        self.ranks = ranks
        self.serial = itertools.count()
        self.heap: list[tuple[float, bool, int, float, int, WaitingTask]] = []
        self.dependents: dict[TaskRef, list[TaskRef]] = {}
        self.open: dict[TaskRef, tuple[WaitingTask, int, int, float]] = {}
        for run in request.runs:
            ends = {
                bound.key: UNKNOWN_SECONDS if rest is None else rest
                for bound in run.bound
                for rest in [seconds_left(bound.expected_end_at, request.now)]
            }
            self._enter(run, ends)

    def _enter(self, run: WaitingRun, ends: Mapping[TaskKey, float]) -> None:
        unbound = {task.key for task in run.tasks}
        for task in run.tasks:
            upstreams = () if task.is_ready else tuple(key for key in task.waits_for if key in unbound)
            known = () if task.is_ready else tuple(ends[key] for key in task.waits_for if key in ends)
            for key in upstreams:
                self.dependents.setdefault((run.run_id, key), []).append(task.ref)
            self.open[task.ref] = (task, run.priority, len(upstreams), max(known, default=0.0))
            if not upstreams:
                self._release(task.ref)

    def _release(self, ref: TaskRef) -> None:
        task, priority, _, at = self.open[ref]
        heapq.heappush(self.heap, (at, not task.is_ready, -priority, self.ranks[ref], next(self.serial), task))

    def pop(self) -> tuple[WaitingTask, float] | None:
        """The next task, with the seconds from now at which it is ready."""
        if not self.heap:
            return None
        at, *_, task = heapq.heappop(self.heap)
        del self.open[task.ref]
        return task, at

    def finished(self, task: WaitingTask, at: float) -> None:
        """A task has a planned finish: what waits for it comes closer."""
        for ref in self.dependents.get(task.ref, ()):
            waiting, priority, missing, ready = self.open[ref]
            self.open[ref] = (waiting, priority, missing - 1, max(ready, at))
            if missing == 1:
                self._release(ref)

    def left_over(self) -> list[Hold]:
        """What never came up, because something it waits for has no node."""
        holds = []
        for (run_id, key), (task, *_) in self.open.items():
            stuck = [str(upstream) for upstream in task.waits_for if (run_id, upstream) in self.open] or [
                str(upstream) for upstream in task.waits_for
            ]
            holds.append(Hold(run_id, key, f"waits for {', '.join(stuck[:3])}, which has no node"))
        return holds


__all__ = ["plan_in_turn"]
