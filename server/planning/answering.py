"""Turns a schedule back into the plan that a strategy answers with: planned times, reasons, and holds in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from server.domain.instants import after
from server.domain.placement import Hold, Placement, PlacementPlan
from server.planning.needs import no_node_reason
from server.planning.schedule import UNPLACED, Schedule
from server.planning.stating import Statement

Saying = Callable[[int], str]
"""Why a task, by number, got its place, in words for people."""

NO_GAINS: Mapping[int, float] = {}

NO_ROOM = "waits for room that is held by others without a known end"


def plan_of(
    statement: Statement, schedule: Schedule, say: Saying, gains: Mapping[int, float] = NO_GAINS
) -> PlacementPlan:
    """The plan, in order of planned start, by priority and then by number where tasks start together.

    `gains`: by task, how much sooner it ends for waiting although it could start elsewhere now.
    """
    request, problem = statement.request, statement.problem
    names = problem.node_names
    level = -problem.runs.priority[problem.runs.of_task]
    modes = np.asarray(problem.first_mode[:-1] + schedule.mode)
    seconds = _seconds(statement, schedule, modes)
    starts, finishes = schedule.start.tolist(), (schedule.start + seconds).tolist()
    nodes, mode_numbers = schedule.node.tolist(), modes.tolist()
    placements = []
    for task in np.lexsort((level, schedule.start)).tolist():
        if nodes[task] == UNPLACED:
            continue
        waiting = statement.tasks[task]
        placements.append(
            Placement(
                run_id=waiting.run_id,
                key=waiting.key,
                node=names[nodes[task]],
                option=statement.options[mode_numbers[task]].name,
                planned_start_at=after(request.now, starts[task]),
                planned_finish_at=after(request.now, finishes[task]),
                score=round(finishes[task], 3),
                reason=say(task),
                gain_seconds=gains.get(task),
            )
        )
    return PlacementPlan(tuple(placements), tuple(_holds(statement, schedule)))


def _seconds(statement: Statement, schedule: Schedule, modes: np.ndarray) -> np.ndarray:
    """[n] median run times where the schedule puts the tasks; what the strategy counted on where that is less, so that
    nothing is told to begin before what it waits for ends."""
    problem = statement.problem
    is_placed = schedule.node != UNPLACED
    seconds = np.zeros(problem.task_count)
    rows, columns = problem.row_of_mode[modes[is_placed]], problem.column_of_node[schedule.node[is_placed]]
    medians = statement.medians[rows, columns]
    seconds[is_placed] = np.minimum(medians, schedule.finish[is_placed] - schedule.start[is_placed])
    return seconds


def _holds(statement: Statement, schedule: Schedule) -> list[Hold]:
    held = np.flatnonzero(schedule.node == UNPLACED).tolist()
    refs = {statement.tasks[task].ref for task in held}
    count = statement.problem.node_count
    found = []
    for task in held:
        waiting, needs = statement.tasks[task], statement.needs[task]
        stuck = [str(key) for key in waiting.waits_for if (waiting.run_id, key) in refs]
        if stuck and not waiting.is_ready:
            reason = f"waits for {', '.join(stuck[:3])}, which has no node"
        elif not needs.nodes:
            reason = no_node_reason(needs, count)
        else:
            reason = NO_ROOM
        found.append(Hold(waiting.run_id, waiting.key, reason))
    return found


__all__ = ["NO_ROOM", "Saying", "plan_of"]
