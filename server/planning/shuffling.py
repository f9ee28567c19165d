"""Search over lists, for whatever webs cannot hold: shared nodes, one-port networks, turnaround, priorities. See
`server.planning.kernels.shuffling`; `search.anytime` runs it."""

from __future__ import annotations

import numpy as np

from server.planning.annealing import SLICES, seeded
from server.planning.building import Builder
from server.planning.problem import Floats, Ints, Problem
from server.planning.schedule import Schedule

HOT, COLD = 0.02, 0.0002
"""Heat at the beginning and end of a cycle, as a share of the objective."""
CYCLE = 200
GRAIN = 20_000


class Shuffler:
    """A list with nodes wanted by some of its tasks, and the best one so far."""

    def __init__(self, problem: Problem, *, is_makespan: bool, seed: int = 0) -> None:
        from server.planning.kernels import shuffling
        from server.planning.kernels.ground import empty_plan

        self._kernels = shuffling
        self.build = Builder(problem)
        self.problem = problem
        self._is_makespan = is_makespan
        runs = problem.runs
        levels, run_level = np.unique(-runs.priority, return_inverse=True)
        self._run_level = run_level.astype(np.int32)
        self._of_task = np.require(runs.of_task, np.int32, ["C", "W"])
        self._weight = np.require(runs.weight, np.float64, ["C", "W"])
        self._receivers_first, self._receivers = self.build.receivers
        self._state = seeded(seed)
        self._plan = empty_plan(problem.task_count)
        self._order, self._wanted = self.build.topological.copy(), self.build.anywhere.copy()
        self._value = np.full(len(levels), np.inf)
        self._best_order, self._best_wanted = self._order.copy(), self._wanted.copy()
        self._best_value = self._value.copy()

    @property
    def cycle(self) -> int:
        """Steps of one cooling."""
        return CYCLE * self.problem.task_count

    @property
    def grain(self) -> int:
        """Steps between two looks at the clock."""
        size = self.problem.task_count * self.problem.node_count
        return max(1, min(GRAIN // max(1, size), self.cycle // SLICES))

    def coolings(self, steps: float) -> int:
        """Into how many coolings so many steps are best divided."""
        return max(1, round(steps / self.cycle))

    def value(self, schedule: Schedule) -> tuple[float, ...]:
        """What a schedule costs, level by level from the highest priority; less is better."""
        value = np.zeros(len(self._value))
        finish = np.require(schedule.finish, np.float64, ["C", "W"])
        self._kernels.value_list(finish, self._of_task, self._run_level, self._weight, self._is_makespan, value)
        return tuple(value.tolist())

    def start(self, schedule: Schedule) -> None:
        """Go on from the list that a schedule amounts to: its tasks by start, each wanting its node."""
        position = np.empty(self.problem.task_count)
        position[self.build.topological] = np.arange(len(position))
        self._order = np.lexsort((position, schedule.start, -self.build.level)).astype(np.int32)
        self._wanted = np.require(schedule.node, np.int32, ["C", "W"]).copy()
        self._value[:] = self.value(self.build.by_list(self._order, self._wanted))
        self._keep()

    def restart(self) -> None:
        """Go on from the best."""
        self._order, self._wanted = self._best_order.copy(), self._best_wanted.copy()
        self._value[:] = self._best_value

    def run(self, steps: int, progress: float, fullness: float) -> None:
        """Try so many moves, `progress` (0 to 1) into a cooling that has only a share `fullness` of the steps that a
        whole one wants, and so begins less hot."""
        hot = max(COLD, HOT * min(1.0, fullness) ** 0.5)
        self._kernels.shuffle(
            self.build.ground,
            self.build.lanes,
            self._plan,
            *self.build.held,
            self._receivers_first,
            self._receivers,
            self.build.level,
            self._of_task,
            self._run_level,
            self._weight,
            self._is_makespan,
            self._order,
            self._wanted,
            self._value,
            steps,
            hot * (COLD / hot) ** progress,
            self._state,
            self._best_order,
            self._best_wanted,
            self._best_value,
        )

    def schedule(self) -> Schedule:
        """The best found."""
        return self.build.by_list(self._best_order, self._best_wanted)

    def _keep(self) -> None:
        if tuple(self._value) < tuple(self._best_value):
            self._best_value[:] = self._value
            self._best_order, self._best_wanted = self._order.copy(), self._wanted.copy()


def by_run(problem: Problem) -> Schedule:
    """Runs one after another, the least mean work per weight first (Smith, 1956), each in HEFT's order: where a search
    for short turnaround starts from."""
    build = Builder(problem)
    rank, mean = build.upward()
    runs = problem.runs
    work = np.bincount(runs.of_task, weights=mean, minlength=len(runs.weight)) / runs.weight
    return build.by_list(_grouped(build.ordered(rank), _after_upstreams(build, work[runs.of_task]), build.level))


def _after_upstreams(build: Builder, key: Floats) -> Floats:
    """[n] the key, raised to that of what a task waits for in other runs: a list names upstreams first."""
    of_task, edges = build.problem.runs.of_task, build.problem.edges
    if (of_task[edges.task] == np.repeat(of_task, np.diff(edges.first))).all():
        return key
    raised = key.copy()
    for task in build.topological:
        upstreams = edges.task[edges.first[task] : edges.first[task + 1]]
        raised[task] = raised[upstreams].max(initial=raised[task])
    return raised


def _grouped(order: Ints, key: Floats, level: Ints) -> Ints:
    by_key = order[np.argsort(key[order], kind="stable")]
    return by_key[np.argsort(-level[by_key], kind="stable")]


__all__ = ["Shuffler", "by_run"]
