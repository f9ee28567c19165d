"""Search where transfers share network cards: plans are judged by replaying them with fair sharing, and starts come
from searches that take transfers for dearer than they are alone.

One port per card (the constructors' model) is a crude picture of sharing; but a plan that is good when every transfer
costs several times what it costs alone is often good when they get into each other's way. So webs are searched at
several surcharges, each plan is replayed, and the best is improved by moves that are replayed themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from server.planning.annealing import Annealer, can_anneal, seeded
from server.planning.building import Builder
from server.planning.constructors import best_single_node, heft
from server.planning.prediction import link_caps, predict, replayable
from server.planning.problem import Floats, Network, Problem, Sharing
from server.planning.schedule import UNPLACED, Schedule

HOT, COLD = 0.05, 0.0005
"""Heat at the beginning and end of a cycle, as a share of the objective."""
CYCLE = 300
GRAIN = 1000
SURCHARGES = (1.0, 2.0, 4.0, 8.0, 16.0, 3.0, 6.0)
WEB_STEPS = 40
"""Steps per task of a search at one surcharge."""


class Contender:
    """A plan with its replay, and the best one so far."""

    def __init__(self, problem: Problem, *, is_makespan: bool, seed: int = 0) -> None:
        from server.planning.kernels import contending, ground

        self._kernels = contending
        self.problem, self._is_makespan, self._seed = problem, is_makespan, seed
        self.build = Builder(problem)
        runs = problem.runs
        levels, run_level = np.unique(-runs.priority, return_inverse=True)
        self._run_level = run_level.astype(np.int32)
        self._of_task = np.require(runs.of_task, np.int32, ["C", "W"])
        self._weight = np.require(runs.weight, np.float64, ["C", "W"])
        self._out_first, self._target = self.build.receivers
        self._chance = seeded(seed)
        self._dense = ground.dense_seconds
        self._value, self._best_value = np.full(len(levels), np.inf), np.full(len(levels), np.inf)
        self.best: Schedule | None = None

    @property
    def cycle(self) -> int:
        """Steps of one cooling."""
        return CYCLE * self.problem.task_count

    @property
    def grain(self) -> int:
        """Steps between two looks at the clock."""
        return max(1, GRAIN // max(1, self.problem.task_count))

    def coolings(self, steps: float) -> int:
        """Into how many coolings so many steps are best divided."""
        return max(1, round(steps / self.cycle))

    def offers(self, start: Schedule) -> Iterator[Schedule]:
        """Plans to start from, for as long as the caller has time: `start`, everything on one node as far as that goes
        (the constructors' time may have ended before), and searches at surcharges."""
        yield start
        together = best_single_node(self.problem)
        if (together.node != UNPLACED).all():
            yield together
        free = replace(self.problem, network=replace(self.problem.network, sharing=Sharing.CONTENTION_FREE))
        if not can_anneal(free, start):
            return
        for surcharge in SURCHARGES:
            dearer = replace(free, network=_dearer(free.network, surcharge))
            webs = Annealer(dearer, seed=self._seed)
            webs.start(self.best or start)
            webs.start(heft(dearer))
            webs.restart()
            slices = 20
            for k in range(slices):
                webs.run(max(1, WEB_STEPS * self.problem.task_count // slices), k / slices, WEB_STEPS / 300)
            yield webs.schedule()

    def value(self, schedule: Schedule) -> tuple[float, ...]:
        """What a plan costs as replayed, level by level from the highest priority; less is better."""
        from server.planning.kernels.shuffling import value_list

        value = np.zeros(len(self._value))
        finish = np.require(schedule.finish, np.float64, ["C", "W"])
        value_list(finish, self._of_task, self._run_level, self._weight, self._is_makespan, value)
        return tuple(value.tolist())

    def offer(self, schedule: Schedule) -> None:
        """Replay a plan and keep it if it is the best."""
        replayed = predict(self.problem, schedule)
        value = self.value(replayed)
        if self.best is None or value < tuple(self._best_value):
            self.best = replayed
            self._best_value[:] = value

    def begin(self) -> None:
        """Get ready to move tasks of the best plan; every task must be placed."""
        assert self.best is not None
        problem, best = self.problem, self.best
        self._ground, self._state = replayable(problem, best)
        modes = problem.first_mode[:-1] + best.mode
        one_each = replace(
            problem,
            first_mode=np.arange(problem.task_count + 1, dtype=np.int32),
            row_of_mode=problem.row_of_mode[modes],
            demand=problem.demand[modes],
        )
        self._seconds = self._dense(one_each)[0]
        self._sizes, self._link_cap = self._state.left.copy(), link_caps(problem)
        position = np.empty(problem.task_count)
        position[self.build.topological] = np.arange(len(position))
        self._order = np.lexsort((position, best.start)).astype(np.int32)
        self._best_order, self._best_node = self._order.copy(), self._ground.node.copy()
        self.restart()

    def restart(self) -> None:
        """Go on from the best."""
        self._order = self._best_order.copy()
        self._ground.node[:] = self._best_node
        self._contend(0, 0.0)

    def run(self, steps: int, progress: float, fullness: float) -> None:
        """Try so many moves, `progress` (0 to 1) into a cooling that has only a share `fullness` of the steps that a
        whole one wants, and so begins less hot."""
        hot = max(COLD, HOT * min(1.0, fullness) ** 0.5)
        self._contend(steps, hot * (COLD / hot) ** progress)

    def schedule(self) -> Schedule:
        """The best found, as replayed."""
        assert self.best is not None
        self.restart()
        found = Schedule(self._ground.node.copy(), self.best.mode, self._state.start.copy(), self._state.finish.copy())
        return found if self.value(found) < self.value(self.best) else self.best

    def _contend(self, steps: int, heat: float) -> None:
        self._kernels.contend(
            self._ground,
            self._state,
            *self.build.held,
            self._seconds,
            self.build.ground.first,
            self.build.ground.source,
            self._out_first,
            self._target,
            self._sizes,
            self._link_cap,
            self.build.level,
            self._of_task,
            self._run_level,
            self._weight,
            self._is_makespan,
            self._order,
            self._value,
            steps,
            heat,
            self._chance,
            self._best_order,
            self._best_node,
            self._best_value,
        )


def can_contend(problem: Problem) -> bool:
    """Whether transfers of this problem get into each other's way."""
    return problem.network.sharing is not Sharing.CONTENTION_FREE and not problem.network.is_free


def _dearer(network: Network, surcharge: float) -> Network:
    def times(rate: Floats | None) -> Floats | None:
        return None if rate is None else np.asarray(rate, np.float64) * surcharge

    uniform = None if network.uniform is None else network.uniform * surcharge
    return replace(network, uniform=uniform, pairs=times(network.pairs), cards=times(network.cards))


__all__ = ["Contender", "can_contend"]
