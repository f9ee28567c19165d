"""The cluster as an assignment sees it: who can run a task, who has room when, and when it would finish there."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.placement import UNKNOWN_SECONDS, Estimate, PlacementRequest, TaskOption, WaitingTask
from server.domain.starting import NO_STARTS
from server.placers.halves.timeline import NEVER, NodeTimeline
from server.planning.needs import Needs, NeedsTable

OVERDUE_SECONDS = 1.0
"""Assumed rest of a task that should have ended already."""

SOONEST_ARRIVAL_SECONDS = 1.0
"""A node that is not there yet is never there now."""

FEW_NODES = 128
MOST_NODES_COMPARED = 32
"""Of more than `FEW_NODES` an assignment compares this many instead of all, beginning elsewhere each time."""

MOST_NODES_PROBED_AHEAD = 96
"""For a task that is not ready yet, so many nodes are asked for room before it is planned to wait."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a node can do for a task: with this option, from `start` to `finish` (seconds from now)."""

    node: int
    option: TaskOption
    start: float
    finish: float


class Cluster:
    """Node timelines of one request. Nodes are named by their index in the snapshot."""

    def __init__(self, request: PlacementRequest, table: NeedsTable | None = None) -> None:
        self.request = request
        self.nodes = request.snapshot.nodes
        self.table = table or NeedsTable(self.nodes)
        available = request.snapshot.available()
        self.timelines = [
            NodeTimeline(node.allocatable, max(node.startup_seconds, SOONEST_ARRIVAL_SECONDS))
            if node.is_virtual
            else NodeTimeline(available[node.name])
            for node in self.nodes
        ]
        for occupancy in request.snapshot.occupancies:
            index = self.table.index.get(occupancy.node)
            if index is not None and not self.nodes[index].is_virtual:
                rest = seconds_left(occupancy.expected_end_at, request.now)
                unknown = UNKNOWN_SECONDS if occupancy.run_id is not None else NEVER
                self.timelines[index].hold(occupancy.requests, unknown if rest is None else rest)
        self._promise(request)
        self._starts = None if request.estimates.starts == NO_STARTS else request.estimates.starts
        columns = request.estimates.column_of
        self._columns = [columns.get(node.name) for node in self.nodes]
        self._full_at: dict[int, float] = {}
        self._turn = 0

    def _promise(self, request: PlacementRequest) -> None:
        for promise in sorted(request.promised, key=lambda promise: promise.begins_at):
            index = self.table.index.get(promise.node)
            if index is not None and not self.nodes[index].is_virtual:
                self.timelines[index].promise(promise.requests, *promise.span(request.now))

    def needs(self, task: WaitingTask) -> Needs:
        """Which nodes can run the task."""
        return self.table.of(task)

    def estimate(self, task: WaitingTask, option: TaskOption, node: int) -> Estimate | None:
        """The prediction, if there is one."""
        return self.cell(self.request.estimates.profile_of.get((task.run_id, task.key, option.name)), node)

    def cell(self, row: int | None, node: int) -> Estimate | None:
        """The prediction in one row of the estimates, if there is one."""
        column = self._columns[node]
        return None if row is None or column is None else self.request.estimates.table[row][column]

    def seconds(self, task: WaitingTask, option: TaskOption, node: int) -> float:
        """Predicted median seconds for which it holds its node: its start, where that is known, and its run."""
        estimate = self.estimate(task, option, node)
        seconds = UNKNOWN_SECONDS if estimate is None else estimate.p50
        return seconds if self._starts is None else seconds + self._starts.seconds(option.image, self.nodes[node].name)

    def tasks_on(self, node: int, at: float) -> int:
        """How many tasks the node has at that time, running or planned."""
        return self.timelines[node].tasks_at(at)

    def has_room(self, needs: Needs, node: int, at: float) -> bool:
        """Whether the node could start such a task at that time."""
        has_room, options = self.timelines[node].has_room, needs.options[node]
        if len(options) == 1:
            return has_room(options[0].requests, at)
        return any(has_room(option.requests, at) for option in options)

    def is_full(self, needs: Needs, at: float) -> bool:
        """Whether it is known already that no node has room for such a task at that time."""
        return self._full_at.get(id(needs)) == at

    def with_room(self, needs: Needs, at: float) -> list[int]:
        """Nodes that could start such a task at that time, only the most wished for, in the snapshot's order.

        Of very many nodes a fair part is asked, another one each time.
        """
        if self.is_full(needs, at):
            return []
        is_large = len(needs.nodes) > FEW_NODES and not needs.preference
        most = MOST_NODES_COMPARED if is_large else len(needs.nodes)
        probed = self._probed(needs, self.part_of(needs.nodes, len(needs.nodes)), at)
        found = list(itertools.islice((node for node in probed if self.has_room(needs, node, at)), most))
        if not found:
            self._full_at[id(needs)] = at
        return sorted(most_wished(needs, found))

    def loads_with_room(self, needs: Needs, at: float) -> list[tuple[int, int]]:
        """(tasks then, node) of the nodes that `with_room` finds: asked together, since that is most of a cycle."""
        if needs.preference or len(needs.nodes) > FEW_NODES:
            return [(self.tasks_on(node, at), node) for node in self.with_room(needs, at)]
        if self.is_full(needs, at):
            return []
        found = []
        timelines, options = self.timelines, needs.options
        for node in needs.nodes if at <= 0 else needs.nodes[:MOST_NODES_PROBED_AHEAD]:
            line = timelines[node]
            for option in options[node]:
                tasks = line.tasks_if_room(option.requests, at)
                if tasks >= 0:
                    found.append((tasks, node))
                    break
        if not found:
            self._full_at[id(needs)] = at
        return found

    def first_with_room(self, needs: Needs, nodes: Iterable[int], at: float) -> int | None:
        """The first of the nodes that could start such a task at that time; `nodes` are all that can run it."""
        if self.is_full(needs, at):
            return None
        found = next((node for node in self._probed(needs, nodes, at) if self.has_room(needs, node, at)), None)
        if found is None:
            self._full_at[id(needs)] = at
        return found

    def comparable(self, needs: Needs) -> list[int]:
        """Nodes that could run such a task some day: all, or a fair part of very many; only the most wished for."""
        nodes = most_wished(needs, needs.nodes)
        return sorted(self.part_of(nodes, MOST_NODES_COMPARED))

    def part_of(self, nodes: Sequence[int], most: int) -> Sequence[int]:
        """All nodes where they are few, else at most so many of them, beginning elsewhere each time."""
        if len(nodes) <= FEW_NODES:
            return nodes
        self._turn += MOST_NODES_COMPARED
        begin = self._turn % len(nodes)
        return [*nodes[begin : begin + most], *nodes[: max(0, begin + most - len(nodes))]]

    def _probed(self, needs: Needs, nodes: Iterable[int], at: float) -> Iterable[int]:
        """All nodes for what can run now, the first so many for what is only planned."""
        return nodes if at <= 0 or needs.preference else itertools.islice(nodes, MOST_NODES_PROBED_AHEAD)

    def offer(self, task: WaitingTask, node: int, at: float) -> Offer | None:
        """The soonest finish on one node over the task's options; None if its room will never come."""
        best: Offer | None = None
        for option in self.needs(task).options[node]:
            start = self.timelines[node].earliest_start(option.requests, at)
            finish = start + self.seconds(task, option, node)
            if start < NEVER and (best is None or finish < best.finish):
                best = Offer(node, option, start, finish)
        return best

    def soonest(self, task: WaitingTask, needs: Needs, at: float) -> Offer | None:
        """The soonest finish over all nodes that can run the task."""
        offers = (self.offer(task, node, at) for node in needs.nodes)
        return min((offer for offer in offers if offer), key=lambda offer: offer.finish, default=None)

    def take(self, offer: Offer) -> None:
        """Give the task what was offered."""
        self.timelines[offer.node].take(offer.option.requests, offer.start, offer.finish)


def seconds_left(expected_end_at: datetime | None, now: datetime) -> float | None:
    """Seconds until an expected end, a moment if it is overdue, None if nobody knows."""
    if expected_end_at is None:
        return None
    return max((expected_end_at - now).total_seconds(), OVERDUE_SECONDS)


def most_wished(needs: Needs, nodes: Sequence[int]) -> Sequence[int]:
    """Those of the nodes with the highest sum of preferences."""
    if not needs.preference or not nodes:
        return nodes
    top = max(needs.preference.get(node, 0) for node in nodes)
    return [node for node in nodes if needs.preference.get(node, 0) == top]


__all__ = ["NEVER", "UNKNOWN_SECONDS", "Cluster", "Offer", "most_wished", "seconds_left"]
