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
Indexes = npt.NDArray[np.int64]

MOST_COMPARED = 2_000
"""Of longer queues only the first so many ready tasks are told what waiting gains."""

STARTS = "the best plan found for the whole queue starts it there"
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
    asked = np.array(tasks, np.int64)
    modes, owner = _modes_of(problem, asked)
    seconds, node = _best_now(statement, modes, room_now(problem, schedule))
    order = np.lexsort((seconds, owner))
    best = order[np.searchsorted(owner[order], np.arange(len(asked)))]
    row = problem.row_of_mode[problem.first_mode[asked] + schedule.mode[asked]]
    gain = seconds[best] - (schedule.start[asked] + statement.medians[row, schedule.node[asked]])
    gains = np.isfinite(gain) & (gain > 0)
    found = zip(asked[gains].tolist(), node[best[gains]].tolist(), gain[gains].tolist(), strict=True)
    return {task: (where, sooner) for task, where, sooner in found}


def _modes_of(problem: Problem, tasks: Indexes) -> tuple[Indexes, Indexes]:
    """All modes of these tasks, and to which of the tasks, by place, each belongs."""
    begin, count = problem.first_mode[tasks], np.diff(problem.first_mode)[tasks]
    owner = np.repeat(np.arange(len(tasks)), count)
    return np.arange(len(owner)) + np.repeat(begin - (np.cumsum(count) - count), count), owner


def _best_now(statement: Statement, modes: Indexes, room: Floats) -> tuple[Floats, Indexes]:
    """For each mode the median on the quickest node with room for it, infinite where there is none, and that node."""
    problem = statement.problem
    rows = problem.row_of_mode[modes]
    demands, kind = np.unique(problem.demand[modes], axis=0, return_inverse=True)
    fits = np.stack([_fits(demand, room) for demand in demands])
    can = np.isfinite(problem.seconds[rows]) & fits[kind.reshape(-1)]
    seconds = np.where(can, statement.medians[rows], np.inf)
    node = seconds.argmin(axis=1)
    return seconds[np.arange(len(modes)), node].astype(np.float64), node


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
