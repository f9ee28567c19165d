"""Binding at submission: which runs are handed over whole, with nodes for all tasks, and what the others are told.

Pure, after the decision of a cycle; `cycle` makes the events of platforms that take task by task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from server.components.decision_unit import Outcome
from server.domain.events import PlannedTask, RunPlaced, TaskHeld
from server.domain.placement import Decision, Placement, TaskRef, WaitingRun, WaitingTask
from server.domain.run import TaskKey
from server.planning.needs import NeedsTable, no_node_reason

LEFT_OUT = "left to the platform's own scheduler: the run is part of the holdout"
MOST_ALTERNATIVES = 5
"""Nodes that are named behind the chosen one; a platform takes the first of them that suit its rules."""


def whole_runs(
    runs: Sequence[WaitingRun],
    outcome: Outcome,
    now: datetime,
    *,
    max_hold_seconds: float | None = None,
    table: NeedsTable | None = None,
    left_out: frozenset[str] = frozenset(),
    barred: Mapping[str, str] | None = None,
) -> list[tuple[str, RunPlaced | TaskHeld]]:
    """The events of the runs: placed as a whole, or held with a reason.

    A run goes as soon as its first tasks can start, with a node for every task. Where nothing at all was placed, every
    run goes without nodes: the platform's own scheduler decides. After `max_hold_seconds` a run goes in any case, and
    waits in the platform's own queue; one of which no task can be placed goes at once, and so does one that waits for a
    group of nodes to grow, since groups grow for what waits in the platform's queue only. `table` says why a task fits
    nowhere, and which group of nodes could grow one for it. Runs that are `left_out` of placing go at once, without
    nodes. Runs that are `barred` stay, however long: the platform would not start them for the reason given.
    """
    chosen = {(placement.run_id, placement.key): placement for placement in outcome.plan.placements}
    starting = {placement.run_id for placement in outcome.bind_now}
    decisions = {(decision.run_id, decision.key): decision for decision in outcome.decisions}
    refused = {(hold.run_id, hold.key): hold.reason for hold in outcome.plan.holds}
    found: list[tuple[str, RunPlaced | TaskHeld]] = []
    for run in runs:
        if barred and run.run_id in barred:
            found.extend(_barred(run, barred[run.run_id], now))
            continue
        if run.run_id in left_out:
            open_tasks = tuple(PlannedTask(key=task.key, node=None, reason=LEFT_OUT) for task in run.tasks)
            found.append((run.run_id, RunPlaced(at=now, tasks=open_tasks)))
            continue
        is_held = bool(run.tasks) and run.run_id not in starting and bool(outcome.plan.placements)
        may_wait = max_hold_seconds is None or (
            now < run.goes_at(max_hold_seconds) and any(task.ref in chosen for task in run.tasks)
        )
        if is_held and may_wait and not _grows(run, chosen, table):
            found.extend(_holds(run, chosen, now, max_hold_seconds))
            continue
        tasks = (
            _planned(task, chosen.get(task.ref), decisions.get(task.ref), refused.get(task.ref, ""), table)
            for task in run.tasks
        )
        found.append((run.run_id, RunPlaced(at=now, tasks=tuple(tasks))))
    return found


def next_release(runs: Iterable[WaitingRun], now: datetime, max_hold_seconds: float | None) -> datetime | None:
    """When the next run that is held must go, or None."""
    if max_hold_seconds is None:
        return None
    instants = (run.goes_at(max_hold_seconds) for run in runs)
    return min((instant for instant in instants if instant > now), default=None)


def _grows(run: WaitingRun, chosen: Mapping[TaskRef, Placement], table: NeedsTable | None) -> bool:
    """Whether a first task of the run is planned on a node that is not there yet."""
    first = [chosen[task.ref] for task in run.tasks if task.is_ready and task.ref in chosen]
    return table is not None and bool(_groups(table, [table.index[placement.node] for placement in first]))


def _planned(
    task: WaitingTask, placement: Placement | None, decision: Decision | None, refusal: str, table: NeedsTable | None
) -> PlannedTask:
    if placement is None:
        return PlannedTask(key=task.key, node=None, reason=_left_open(task, refusal, table))
    groups = _groups(table, [table.index[placement.node]]) if table is not None else []
    return PlannedTask(
        key=task.key,
        node=placement.node,
        option=placement.option,
        decision_id=decision.id if decision else None,
        planned_start_at=placement.planned_start_at,
        planned_finish_at=placement.planned_finish_at,
        alternatives=alternatives(decision) if decision else (),
        reason=f"left to the autoscaler: waits for a new node of group {groups[0]}" if groups else "",
    )


def placeable_part(run: WaitingRun, table: NeedsTable) -> WaitingRun:
    """The run without the tasks that no node can run: these are left open, and must not keep what follows them from
    its nodes. Who waits for them waits for what they wait for."""
    if not table.nodes or all(table.of(task).options for task in run.tasks):
        return run
    bridged: dict[TaskKey, tuple[TaskKey, ...]] = {}
    kept = []
    for task in run.tasks:
        upstreams = tuple(dict.fromkeys(key for one in task.waits_for for key in bridged.get(one, (one,))))
        if table.of(task).options:
            kept.append(replace(task, waits_for=upstreams, is_ready=not upstreams))
        else:
            bridged[task.key] = upstreams
    return replace(run, tasks=tuple(kept))


def alternatives(decision: Decision) -> tuple[str, ...]:
    """The next best nodes for the chosen option, as the decision ranked them."""
    ranked = (one for one in decision.candidates if one.node != decision.node and one.option == decision.option)
    return tuple(one.node for one in ranked if one.score is not None)[:MOST_ALTERNATIVES]


def _left_open(task: WaitingTask, refusal: str, table: NeedsTable | None) -> str:
    """Why a task goes without a node, and which group of nodes could grow one for it."""
    if table is not None and not refusal:
        needs = table.of(task)
        groups = _groups(table, needs.options)
        if groups:
            return f"left to the autoscaler: node group {', '.join(groups)} could grow a node for it"
        refusal = "" if needs.options else no_node_reason(needs, len(table.nodes))
    return f"left to the platform's own scheduler{f': {refusal}' if refusal else ''}"


def _groups(table: NeedsTable, indexes: Iterable[int]) -> list[str]:
    """The groups of those nodes that are not there yet."""
    nodes = [table.nodes[index] for index in indexes]
    return sorted({node.group or node.name for node in nodes if node.is_virtual})


def _holds(
    run: WaitingRun, chosen: Mapping[TaskRef, Placement], now: datetime, max_hold_seconds: float | None
) -> Iterator[tuple[str, TaskHeld]]:
    """What the first tasks of a run are told that waits here, and not in the platform's own queue."""
    if max_hold_seconds is None:
        return
    until = f"it goes at {run.goes_at(max_hold_seconds):%H:%M:%S} UTC at the latest"
    for task in run.tasks:
        if task.is_ready:
            reason = f"held {_gain(chosen.get(task.ref))}; {until}"
            yield run.run_id, TaskHeld(at=now, key=task.key, attempt=task.attempt, reason=reason)


def _barred(run: WaitingRun, reason: str, now: datetime) -> Iterator[tuple[str, TaskHeld]]:
    for task in run.tasks:
        if task.is_ready:
            yield run.run_id, TaskHeld(at=now, key=task.key, attempt=task.attempt, reason=reason)


def _gain(placement: Placement | None) -> str:
    """What is waited for, and what that is expected to bring."""
    if placement is None:
        return "until a node can take it; expected gain: unknown, nothing is planned for it yet"
    start = placement.planned_start_at
    where = f"for room on node {placement.node}{f', expected at {start:%H:%M} UTC' if start else ''}"
    if placement.gain_seconds is not None:
        return f"{where}; expected gain: it ends {placement.gain_seconds:.0f} s sooner than on what is free now"
    return f"{where}; expected gain: 0 s, no node has room now; it is placed on what is free then"


__all__ = ["MOST_ALTERNATIVES", "alternatives", "next_release", "placeable_part", "whole_runs"]
