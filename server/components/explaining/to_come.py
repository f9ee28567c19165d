"""What live runs still bring and no strategy is asked about yet: iterations of loops whose items are not known, and the
exit task. They count when it is told when a run will end: on the nodes that would be least busy, in their turn.

Nothing is decided here: where such tasks really go, the strategy says when they are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from server.components.reporting.rates import node_share
from server.domain.feasibility import refusal
from server.domain.instants import after
from server.domain.node import Node, Snapshot
from server.domain.placement import (
    UNKNOWN_SECONDS,
    Estimates,
    Placement,
    TaskOption,
    TaskRef,
    WaitingRun,
    WaitingTask,
)
from server.domain.run import Attempt

LATER_SECONDS = 1.0
"""What is to come starts so much later at least; when it really does, is worked out afterwards."""


def with_places(
    plan: Mapping[TaskRef, Placement],
    coming: frozenset[TaskRef],
    views: Sequence[WaitingRun],
    attempts: Mapping[TaskRef, Attempt],
    estimates: Estimates,
    snapshot: Snapshot,
    now: datetime,
) -> dict[TaskRef, Placement]:
    """The plan with nodes for tasks that are `coming`; those that no node can run are left out. What else the own run
    has on a node comes before or after, and does not keep it busy for them."""
    found = dict(plan)
    nodes = {node.name: node for node in snapshot.nodes}
    busy = dict.fromkeys(nodes, 0.0)
    own: dict[tuple[str, str], float] = {}
    tasks = [task for view in views for task in view.tasks]
    for task in tasks:
        name, option = _place(task, attempts.get(task.ref), plan.get(task.ref))
        if name in nodes:
            takes = _takes(task, option, nodes[name], estimates)
            busy[name] += takes
            own[task.run_id, name] = own.get((task.run_id, name), 0.0) + takes
    able: dict[tuple[str, str], list[tuple[Node, TaskOption]]] = {}
    for task in (one for one in tasks if one.ref in coming):
        if (place := (task.run_id, task.key.path)) not in able:
            able[place] = list(_ways(task, snapshot.nodes))
        ends = [
            busy[node.name] - own.get((task.run_id, node.name), 0.0) + _seconds(task, option, node.name, estimates)
            for node, option in able[place]
        ]
        if not ends:
            continue
        node, option = able[place][ends.index(min(ends))]
        busy[node.name] += _takes(task, option, node, estimates)
        found[task.ref] = Placement(
            task.run_id, task.key, node.name, option=option.name, planned_start_at=after(now, LATER_SECONDS)
        )
    return found


def in_their_turn(
    plan: Mapping[TaskRef, Placement],
    coming: frozenset[TaskRef],
    views: Sequence[WaitingRun],
    told: Mapping[TaskRef, Placement],
) -> dict[TaskRef, Placement]:
    """The plan, with the times that are `told` for tasks that are coming and for all that waits for these."""
    late = set(coming)
    for view in views:
        waits = {task.ref: {(view.run_id, key) for key in task.waits_for} for task in view.tasks}
        is_growing = any(ref in late for ref in waits)
        while is_growing:
            more = {ref for ref, before in waits.items() if ref not in late and before & late}
            late |= more
            is_growing = bool(more)
    return {ref: told[ref] if ref in late else placement for ref, placement in plan.items()}


def _place(task: WaitingTask, attempt: Attempt | None, placement: Placement | None) -> tuple[str, TaskOption]:
    """Where a task runs or is planned to, empty if nowhere, and with which option."""
    if attempt is not None and attempt.state.is_bound:
        name, chosen = attempt.actual_node or attempt.node or "", attempt.option
    else:
        name, chosen = (placement.node, placement.option) if placement is not None else ("", None)
    return name, task.option(chosen)


def _ways(task: WaitingTask, nodes: Iterable[Node]) -> Iterable[tuple[Node, TaskOption]]:
    for node in nodes:
        if not node.is_virtual:
            yield from ((node, option) for option in task.options if refusal(task, option, node) is None)


def _takes(task: WaitingTask, option: TaskOption, node: Node, estimates: Estimates) -> float:
    """Seconds for which it would have the whole node, if it could use all of it."""
    return _seconds(task, option, node.name, estimates) * node_share(option.requests, node)


def _seconds(task: WaitingTask, option: TaskOption, node: str, estimates: Estimates) -> float:
    row = estimates.profile_of.get((*task.ref, option.name))
    column = estimates.column_of.get(node)
    return UNKNOWN_SECONDS if row is None or column is None else estimates.table[row][column].p50


__all__ = ["in_their_turn", "with_places"]
