"""From a checked plan to what happens now: which ready tasks are bound, and why each other one waits, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.components.decisions.plan_check import requests_of
from server.domain.node import Node
from server.domain.placement import Placement, PlacementPlan, PlacementRequest, TaskRef, WaitingTask
from server.domain.resources import Resources
from server.planning.needs import Needs, NeedsTable

START_TOLERANCE = timedelta(seconds=1)
"""A start planned this little ahead counts as now."""

MOST_NODES_EXPLAINED = 256
"""On larger clusters a hold does not count what every node lacks."""

_SAID_REASONS = 3


@dataclass(frozen=True, slots=True)
class BoundNow:
    """What happens now: placements to bind, in plan order, and a text for every other ready task."""

    bind_now: tuple[Placement, ...]
    holds: Mapping[TaskRef, str]


def bind_ready(request: PlacementRequest, plan: PlacementPlan, table: NeedsTable) -> BoundNow:
    """Offer room to the ready tasks in plan order.

    A task is bound when its node has room, unless the plan starts it later behind something else on the same node that
    is not bound either: that room is being kept.
    """
    ready = {task.ref: task for task in request.tasks() if task.is_ready}
    room = request.snapshot.available()
    kept_until = _first_planned(plan, ready)
    bound: list[Placement] = []
    waiting: list[tuple[WaitingTask, str]] = []
    lines: set[str] = set()
    for placement in plan.placements:
        task = ready.get((placement.run_id, placement.key))
        if task is None:
            continue
        asked = requests_of(task, placement.option) or Resources()
        node = table.nodes[table.index[placement.node]]
        has_room = asked.fits_in(room[node.name]) and not node.is_virtual
        if has_room and not _is_behind(placement, kept_until, request.now):
            room[node.name] = room[node.name] - asked
            bound.append(placement)
            continue
        waiting.append((task, _awaited(node, placement, has_room, node.name in lines, request.now)))
        lines.add(node.name)
        _note_start(kept_until, placement)
    holds = {(hold.run_id, hold.key): hold.reason for hold in plan.holds if (hold.run_id, hold.key) in ready}
    shortages = _Shortages(table, room)
    holds.update({task.ref: f"{text}{shortages.of(task)}" for task, text in waiting})
    return BoundNow(tuple(bound), holds)


def _first_planned(plan: PlacementPlan, ready: Mapping[TaskRef, WaitingTask]) -> dict[str, datetime]:
    """By node, the first planned start of a task that is not ready."""
    first: dict[str, datetime] = {}
    for placement in plan.placements:
        if (placement.run_id, placement.key) not in ready:
            _note_start(first, placement)
    return first


def _note_start(first: dict[str, datetime], placement: Placement) -> None:
    start = placement.planned_start_at
    if start is not None and (placement.node not in first or start < first[placement.node]):
        first[placement.node] = start


def _is_behind(placement: Placement, kept_until: Mapping[str, datetime], now: datetime) -> bool:
    start = placement.planned_start_at
    if start is None or start <= now + START_TOLERANCE:
        return False
    return placement.node in kept_until and kept_until[placement.node] < start


def _awaited(node: Node, placement: Placement, has_room: bool, is_behind: bool, now: datetime) -> str:
    """What a task waits for. Only the first in line is told a time: it would change for the others every cycle."""
    start = placement.planned_start_at
    when = "" if is_behind or start is None or start <= now else f", expected free at {start:%H:%M} UTC"
    line = "in line " if is_behind else ""
    if node.is_virtual:
        return f"waits {line}for a new node of group {node.group or node.name}{when}"
    if has_room:
        return f"waits {line}for node {node.name}, whose room is kept for a task planned before it{when}"
    gain = f", where it {placement.reason}" if placement.gain_seconds is not None else ""
    return f"waits {line}for room on node {node.name}{gain}{when}"


class _Shortages:
    """What lacks on the nodes that could run a task; worked out once for tasks with equal needs."""

    def __init__(self, table: NeedsTable, room: Mapping[str, Resources]) -> None:
        self.table = table
        self.room = room
        self.known: dict[int, str] = {}

    def of(self, task: WaitingTask) -> str:
        """What lacks now where the task could run, and why the other nodes never can; empty on very large clusters."""
        needs = self.table.of(task)
        if id(needs) not in self.known:
            is_large = len(self.table.nodes) > MOST_NODES_EXPLAINED
            self.known[id(needs)] = "" if is_large else self._text(needs)
        return self.known[id(needs)]

    def _text(self, needs: Needs) -> str:
        count = len(self.table.nodes)
        lacking: Counter[str] = Counter()
        for index, options in needs.options.items():
            node, asked = self.table.nodes[index], options[0].requests
            if not node.is_virtual and not asked.fits_in(self.room[node.name]):
                lacking["too little " + " and ".join(asked.lacking_in(self.room[node.name]))] += 1
        reasons = [f"{reason} free on {number} of {count} nodes" for reason, number in lacking.most_common(2)]
        reasons += [f"{reason} on {number}" for reason, number in list(needs.rejected.items())[:_SAID_REASONS]]
        return "; " + "; ".join(reasons) if reasons else ""


__all__ = ["BoundNow", "bind_ready"]
