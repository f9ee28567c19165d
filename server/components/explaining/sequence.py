"""When tasks start under strategies that take them in turn and do not look ahead: in the order in which they get ready.

Such a strategy plans what is ready first, however long that has to wait, and all that gets ready later after it. What
happens is another thing: whoever is ready when room comes free is taken by priority and submission. So what is told of
starts and ends is worked out anew, on the nodes of the plan: room comes free, tasks get ready, and the first in turn
that fits starts. What starts now stays as it is; nothing here decides anything.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from server.domain.instants import after
from server.domain.node import Snapshot
from server.domain.placement import (
    UNKNOWN_SECONDS,
    Estimates,
    Placement,
    TaskOption,
    TaskRef,
    WaitingRun,
    WaitingTask,
)
from server.domain.resources import Resources
from server.domain.run import Attempt

NOW_SECONDS = 0.05
MOST_PASSED_OVER = 8
"""So many tasks that do not fit may be passed over for one that does."""

Precedence = tuple[int, datetime, int]


@dataclass(slots=True)
class _Turn:
    """A task without a node yet: where it goes, how long it takes there (its start from when its turn comes), and what
    it still waits for."""

    placement: Placement
    option: TaskOption
    seconds: float
    precedence: Precedence
    missing: set[TaskRef]
    starts: float | None = None


@dataclass(slots=True)
class _Place:
    """A node as time passes: what is free, and who is ready for it."""

    free: Resources
    ready: list[tuple[Precedence, int, TaskRef]] = field(default_factory=list)


def in_sequence(
    plan: Mapping[TaskRef, Placement],
    views: Sequence[WaitingRun],
    attempts: Mapping[TaskRef, Attempt],
    estimates: Estimates,
    snapshot: Snapshot,
    now: datetime,
) -> Mapping[TaskRef, Placement]:
    """The plan with starts and ends as they will come. `views` hold bound tasks among their tasks."""
    return _Course(plan, views, attempts, estimates, snapshot, now).run()


class _Course:
    """The course of events: (seconds from now, serial, what comes free where, who ends)."""

    def __init__(
        self,
        plan: Mapping[TaskRef, Placement],
        views: Sequence[WaitingRun],
        attempts: Mapping[TaskRef, Attempt],
        estimates: Estimates,
        snapshot: Snapshot,
        now: datetime,
    ) -> None:
        self._plan, self._now, self._estimates = plan, now, estimates
        self._serial = itertools.count()
        self._events: list[tuple[float, int, str, Resources, TaskRef | None]] = []
        self._brought: dict[tuple[str, str | None], float] = {}
        available, held = snapshot.available(), snapshot.allocated()
        self._places = {node.name: _Place(available[node.name]) for node in snapshot.nodes}
        self._there_after = {node.name: node.startup_seconds for node in snapshot.nodes if node.is_virtual}
        for node in snapshot.nodes:
            if node.is_virtual:
                self._comes(node.startup_seconds, node.name, node.allocatable - held[node.name])
        self._strangers(snapshot)
        self._turns: dict[TaskRef, _Turn] = {}
        self._dependents: dict[TaskRef, list[TaskRef]] = {}
        tasks = {task.ref: (view, index, task) for view in views for index, task in enumerate(view.tasks)}
        ends = {ref for ref in tasks if ref in plan or attempts.get(ref, Attempt(1)).state.is_bound}
        for ref, (view, index, task) in tasks.items():
            self._enter(ref, view, index, task, attempts.get(ref, Attempt(1)), ends)

    def run(self) -> Mapping[TaskRef, Placement]:
        """Let it happen."""
        for ref, turn in self._turns.items():
            if self._starts_now(turn):
                self._start(ref, 0.0)
            elif not turn.missing:
                self._is_ready(ref)
        while self._events:
            at = self._events[0][0]
            touched: set[str] = set()
            while self._events and self._events[0][0] <= at:
                _, _, node, freed, ended = heapq.heappop(self._events)
                if node in self._places:
                    self._places[node].free += freed
                    touched.add(node)
                for ref in self._dependents.get(ended, ()) if ended is not None else ():
                    turn = self._turns[ref]
                    turn.missing.discard(ended)
                    if not turn.missing and turn.starts is None:
                        self._is_ready(ref)
                        touched.add(turn.placement.node)
            for node in touched:
                self._fill(node, at)
        return {ref: self._told(ref, one) for ref, one in self._plan.items()}

    def _enter(
        self, ref: TaskRef, view: WaitingRun, index: int, task: WaitingTask, attempt: Attempt, ends: set[TaskRef]
    ) -> None:
        if attempt.state.is_bound:
            node = attempt.actual_node or attempt.node
            rest = self._rest(task, attempt, node)
            requests = task.option(attempt.option).requests
            self._comes(rest, node or "", requests, ref)
            return
        placement = self._plan.get(ref)
        missing = {(task.run_id, key) for key in task.waits_for} if not task.is_ready else set()
        if placement is None or placement.node not in self._places or not missing <= ends:
            return
        for other in missing:
            self._dependents.setdefault(other, []).append(ref)
        self._turns[ref] = _Turn(
            placement=placement,
            option=task.option(placement.option),
            seconds=self._seconds(ref, placement.node, placement.option),
            precedence=(-view.priority, view.submitted_at, index),
            missing=missing,
        )

    def _strangers(self, snapshot: Snapshot) -> None:
        for one in snapshot.occupancies:
            if one.run_id is None and one.expected_end_at is not None:
                self._comes((one.expected_end_at - self._now).total_seconds(), one.node, one.requests)

    def _comes(self, at: float, node: str, freed: Resources, ended: TaskRef | None = None) -> None:
        at = max(at, self._there_after.get(node, 0.0), NOW_SECONDS)
        heapq.heappush(self._events, (at, next(self._serial), node, freed, ended))

    def _is_ready(self, ref: TaskRef) -> None:
        turn = self._turns[ref]
        heapq.heappush(self._places[turn.placement.node].ready, (turn.precedence, next(self._serial), ref))

    def _starts_now(self, turn: _Turn) -> bool:
        at = turn.placement.planned_start_at
        return not turn.missing and (at is None or (at - self._now).total_seconds() <= NOW_SECONDS)

    def _start(self, ref: TaskRef, at: float) -> None:
        turn = self._turns[ref]
        node, requests = turn.placement.node, turn.option.requests
        turn.starts = at
        turn.seconds += self._begins(turn.option.image, node, at)
        place = self._places[node]
        place.free = place.free - requests
        self._comes(at + turn.seconds, node, requests, ref)

    def _fill(self, node: str, at: float) -> None:
        place = self._places[node]
        passed: list[tuple[Precedence, int, TaskRef]] = []
        while place.ready and len(passed) < MOST_PASSED_OVER:
            entry = heapq.heappop(place.ready)
            if self._turns[entry[2]].option.requests.fits_in(place.free):
                self._start(entry[2], at)
            else:
                passed.append(entry)
        for entry in passed:
            heapq.heappush(place.ready, entry)

    def _told(self, ref: TaskRef, placement: Placement) -> Placement:
        turn = self._turns.get(ref)
        if turn is None or not turn.starts:
            return placement
        ends = after(self._now, turn.starts + turn.seconds)
        return replace(placement, planned_start_at=after(self._now, turn.starts), planned_finish_at=ends)

    def _rest(self, task: WaitingTask, attempt: Attempt, node: str | None) -> float:
        if node is None:
            return UNKNOWN_SECONDS
        begun = attempt.started_at or self._now
        passed = (self._now - begun).total_seconds()
        return max(self._seconds(task.ref, node, attempt.option or task.options[0].name) - passed, 0.0)

    def _begins(self, image: str | None, node: str, at: float) -> float:
        """Seconds until a task runs whose turn comes `at`; the first one brings the image for those after it."""
        brought = self._brought.get((node, image), math.inf)
        seconds = self._estimates.starts.seconds(image, node, at, brought)
        self._brought[node, image] = min(at + seconds, brought)
        return seconds

    def _seconds(self, ref: TaskRef, node: str, option: str) -> float:
        row, column = self._estimates.profile_of.get((*ref, option)), self._estimates.column_of.get(node)
        return UNKNOWN_SECONDS if row is None or column is None else self._estimates.table[row][column].p50


__all__ = ["in_sequence"]
