"""What people are told about a place in a computed schedule: why this node, and what waiting for it gains."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from server.planning.answering import Saying
from server.planning.problem import Floats, Problem
from server.planning.schedule import UNPLACED, Schedule
from server.planning.stating import Statement

Booleans = npt.NDArray[np.bool_]

MOST_COMPARED = 2_000
"""Of longer queues only the first so many ready tasks are told what waiting gains."""

STARTS = "ends first there, by the whole plan"
PLANNED = "planned there"


def reasons_of(statement: Statement, schedule: Schedule, starts: str = STARTS) -> tuple[Saying, Mapping[int, float]]:
    """Words for each task: that it starts now, or what waiting gains over the best node with room now; and by task the
    seconds gained."""
    problem = statement.problem
    waiting = [
        task
        for task in np.flatnonzero((schedule.start > 0) & (schedule.node != UNPLACED)).tolist()
        if statement.tasks[task].is_ready
    ]
    gains = _gains(statement, schedule, waiting[:MOST_COMPARED]) if waiting else {}
    now = (schedule.start <= 0).tolist()
    names = problem.node_names

    def say(task: int) -> str:
        if now[task]:
            return starts
        found = gains.get(task)
        if found is None:
            return PLANNED
        node, seconds = found
        return f"ends about {in_words(seconds)} sooner than if it started on {names[node]} now"

    return say, {task: seconds for task, (_, seconds) in gains.items()}


def in_words(seconds: float) -> str:
    """A span rounded so far that it does not change with every cycle: `40 s`, `5 min`, `3 h`."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{_rounded(seconds / size):g} {unit}"
    return f"{_rounded(seconds):g} s"


def _rounded(value: float) -> float:
    if value < 1:
        return 1.0
    digits = 10.0 ** math.floor(math.log10(value))
    return math.floor(value / digits) * digits


def _gains(statement: Statement, schedule: Schedule, tasks: list[int]) -> dict[int, tuple[int, float]]:
    """For tasks that wait although a node has room for them now: that node and how much sooner the plan ends."""
    problem = statement.problem
    room = room_now(problem, schedule)
    found = {}
    for task in tasks:
        best, node = math.inf, -1
        for mode in range(problem.first_mode[task], problem.first_mode[task + 1]):
            seconds = statement.medians[problem.row_of_mode[mode]]
            can = np.isfinite(problem.seconds[problem.row_of_mode[mode]]) & _fits(problem.demand[mode], room)
            if can.any():
                at = int(np.argmin(np.where(can, seconds, np.inf)))
                if seconds[at] < best:
                    best, node = float(seconds[at]), at
        row = problem.row_of_mode[problem.first_mode[task] + schedule.mode[task]]
        gain = best - float(schedule.start[task] + statement.medians[row, schedule.node[task]])
        if node >= 0 and gain > 0:
            found[task] = (node, gain)
    return found


def room_now(problem: Problem, schedule: Schedule) -> Floats:
    """[m, r] what every node has free now, without what the schedule starts there now."""
    room = np.array(problem.capacity, np.float64)
    np.subtract.at(room, problem.held.node, problem.held.demand)
    starting = np.flatnonzero((schedule.start <= 0) & (schedule.node != UNPLACED))
    np.subtract.at(
        room, schedule.node[starting], problem.demand[problem.first_mode[starting] + schedule.mode[starting]]
    )
    room[problem.opens > 0] = -1.0
    return room


def _fits(demand: Floats, room: Floats) -> Booleans:
    """[m] whether a demand fits; what is not asked for is not compared."""
    found: Booleans = ((demand <= room) | (demand == 0)).all(axis=1)
    return found


__all__ = ["PLANNED", "STARTS", "in_words", "reasons_of", "room_now"]
