"""An independent checker of schedules: reads the problem literally and trusts nothing that a decoder computed.

It shares no code with the kernels, decoders and searches, and is written to be read, not to be fast (it still takes a
thousand tasks in milliseconds). Transfers are held to what they cost alone: where cards are shared, that is a bound
that every true schedule keeps.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from server.planning.links import alone_seconds
from server.planning.problem import Floats, Ints, Problem, taken_on
from server.planning.schedule import UNPLACED, Schedule

TOLERANCE = 1e-9
"""Slack, as a share of the largest finite time (and of the capacity) at hand: rounding of sums in double precision."""


def flaws(problem: Problem, schedule: Schedule, *, tolerance: float = TOLERANCE) -> list[str]:
    """Every way in which the schedule breaks the problem, one sentence each; nothing when it is sound.

    Looked at: shapes; tasks left out although something could run them; nodes and modes that cannot run their task;
    run times; starts before release, before the node opens, or before an upstream's output can have come; capacity at
    every instant, with what is held, and with what is promised where a task starts beside it: a promise is foretold,
    and what began before it may end later than foretold too. `tolerance` is relative, see TOLERANCE.
    """
    wrong = list(_misshapen(problem, schedule))
    return wrong or list(_Check(problem, schedule, tolerance).all())


def can_run(problem: Problem, task: int) -> tuple[Ints, Ints, Floats]:
    """Where a task can run at all: nodes, modes and seconds of every fitting pair, modes in order.

    A node fits when the mode has a time there, the node opens some day, and the demand fits beside what is held for
    ever.
    """
    modes = np.arange(problem.first_mode[task], problem.first_mode[task + 1])
    seconds = np.asarray(problem.seconds[problem.row_of_mode[modes]], float)[:, problem.column_of_node]
    left = np.array(problem.capacity, float)
    for_ever = np.isinf(problem.held.until)
    np.subtract.at(left, problem.held.node[for_ever], problem.held.demand[for_ever])
    demand = np.asarray(problem.demand, float)[modes]
    fits = ((demand[:, None, :] <= left * (1 + TOLERANCE)) | (demand[:, None, :] == 0)).all(axis=2)
    mode, node = np.nonzero(fits & np.isfinite(seconds) & np.isfinite(problem.opens))
    return node.astype(np.int32), mode.astype(np.int32), seconds[mode, node]


class _Check:
    def __init__(self, problem: Problem, schedule: Schedule, tolerance: float) -> None:
        self.problem, self.schedule, self.tolerance = problem, schedule, tolerance
        self.start, self.finish = np.asarray(schedule.start, float), np.asarray(schedule.finish, float)
        self.is_placed = np.asarray(schedule.node) != UNPLACED
        self.slack = tolerance * self._largest()
        self.is_running_somewhere = self.is_placed.copy()

    def all(self) -> Iterator[str]:
        for task in range(self.problem.task_count):
            if not self.is_placed[task]:
                yield from self._left_out(task)
            elif (said := self._misplaced(task)) is not None:
                self.is_running_somewhere[task] = False
                yield said
            else:
                yield from self._mistimed(task)
                yield from self._too_early(task)
        for node in range(self.problem.node_count):
            yield from self._overfull(node)

    def _largest(self) -> float:
        times = np.concatenate([self.start, self.finish, self.problem.release, [0.0]])
        return float(np.abs(times[np.isfinite(times)]).max()) or 1.0

    def _left_out(self, task: int) -> Iterator[str]:
        edges = self.problem.edges
        upstreams = edges.task[edges.first[task] : edges.first[task + 1]]
        is_blocked = np.isinf(self.problem.release[task]) or not self.is_placed[upstreams].all()
        nodes, _, _ = can_run(self.problem, task)
        if len(nodes) and not is_blocked:
            yield f"{self._task(task)} is not placed, although {self._node(int(nodes[0]))} can run it"
        if np.isfinite(self.finish[task]):
            yield f"{self._task(task)} is not placed, yet has a finish"

    def _misplaced(self, task: int) -> str | None:
        node, mode = int(self.schedule.node[task]), int(self.schedule.mode[task])
        count = int(self.problem.first_mode[task + 1] - self.problem.first_mode[task])
        if not 0 <= node < self.problem.node_count:
            return f"{self._task(task)} is placed on node {node}, and nodes are 0 to {self.problem.node_count - 1}"
        if not 0 <= mode < count:
            return f"{self._task(task)} takes mode {mode}, and it has {count}"
        nodes, modes, _ = can_run(self.problem, task)
        if not ((nodes == node) & (modes == mode)).any():
            return f"{self._task(task)} is placed on {self._node(node)}, which cannot run it in mode {mode}"
        if not np.isfinite([self.start[task], self.finish[task]]).all():
            return f"{self._task(task)} is placed without a finite start and finish"
        return None

    def _mistimed(self, task: int) -> Iterator[str]:
        problem, node = self.problem, self.schedule.node[task]
        row = problem.row_of_mode[problem.first_mode[task] + self.schedule.mode[task]]
        takes = float(problem.seconds[row, problem.column_of_node[node]])
        planned = self.finish[task] - self.start[task]
        if abs(planned - takes) > self.slack:
            yield f"{self._task(task)} is planned for {planned:g} s on {self._node(node)} and takes {takes:g} s there"

    def _too_early(self, task: int) -> Iterator[str]:
        problem, node = self.problem, self.schedule.node[task]
        floor = {"the plan begins": 0.0, "it is released": float(problem.release[task])}
        floor[f"{self._node(int(node))} opens"] = float(problem.opens[node])
        for senders, came, sizes, kind in self._incoming(task):
            costs = alone_seconds(problem.network, sizes, senders, node)
            for sender, at, cost, name in zip(senders, came, costs, kind, strict=True):
                floor[f"{name} can have come from {self._node(int(sender))}"] = at + cost
        what, earliest = max(floor.items(), key=lambda item: item[1])
        if self.start[task] < earliest - self.slack:
            yield f"{self._task(task)} starts at {self.start[task]:g} s, before {what} ({earliest:g} s)"

    def _incoming(self, task: int) -> Iterator[tuple[Ints, Floats, Floats, list[str]]]:
        edges, inputs = self.problem.edges, self.problem.inputs
        upstreams = edges.task[edges.first[task] : edges.first[task + 1]]
        came = np.where(self.is_placed[upstreams], self.finish[upstreams], np.inf)
        names = [f"the output of {self._task(int(upstream))}" for upstream in upstreams]
        yield self.schedule.node[upstreams], came, edges.bytes[edges.first[task] : edges.first[task + 1]], names
        here = slice(inputs.first[task], inputs.first[task + 1])
        nodes = inputs.task[here]
        yield nodes, np.zeros(len(nodes)), inputs.bytes[here], ["its input"] * len(nodes)

    def _overfull(self, node: int) -> Iterator[str]:
        """Amounts only grow where a task starts, so those instants are looked at."""
        problem = self.problem
        is_here = (self.schedule.node == node) & self.is_running_somewhere
        tasks = np.flatnonzero(is_here & (self.finish > self.start + self.slack))
        if not len(tasks):
            return
        start, end = self.start[tasks], self.finish[tasks] - self.slack
        demand = np.asarray(problem.demand, float)[problem.first_mode[tasks] + self.schedule.mode[tasks]]
        since, until, holds = (np.asarray(part, float) for part in taken_on(problem, node))
        lasts = until > since + self.slack
        since, until, holds = since[lasts], until[lasts] - self.slack, holds[lasts]
        used = _sum_up_to(start, demand, start) - _sum_up_to(end, demand, start)
        used += _sum_up_to(since, holds, start) - _sum_up_to(until, holds, start)
        room = np.asarray(problem.capacity, float)[node]
        over = (used > room + self.tolerance * np.maximum(room, used.max(axis=0))) & (demand > 0)
        for which, resource in zip(*np.nonzero(over), strict=True):
            task, amount = self._task(int(tasks[which])), used[which, resource]
            said = f"{amount:g} of resource {resource} is in use, of {room[resource]:g}"
            yield f"{self._node(node)} is overfull at {start[which]:g} s, when {task} starts: {said}"

    def _task(self, task: int) -> str:
        names = self.problem.task_names
        return f"task {names[task] if names else task}"

    def _node(self, node: int) -> str:
        names = self.problem.node_names
        return f"node {names[node] if names else node}"


def _misshapen(problem: Problem, schedule: Schedule) -> Iterator[str]:
    for name in ("node", "mode", "start", "finish"):
        found = np.shape(getattr(schedule, name))
        if found != (problem.task_count,):
            yield f"`{name}` has the shape {found} instead of ({problem.task_count},)"


def _sum_up_to(times: Floats, amounts: Floats, at: Floats) -> Floats:
    """[len(at), r] the amounts whose time is no later than each instant."""
    order = np.argsort(times, kind="stable")
    sums = np.concatenate([np.zeros((1, amounts.shape[1])), np.cumsum(amounts[order], axis=0)])
    found: Floats = sums[np.searchsorted(times[order], at, side="right")]
    return found


__all__ = ["TOLERANCE", "can_run", "flaws"]
