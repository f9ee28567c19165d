"""Search by reinsertion, for the last finish on exclusive nodes with a contention-free network: see
`server.planning.kernels.reinsertion`. `search.anytime` runs it where it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from server.planning.problem import Floats, Ints, Problem, Sharing
from server.planning.schedule import UNPLACED, Schedule

if TYPE_CHECKING:
    from server.planning.kernels.ground import Ground

HOT, COLD = (0.3, 1.0, 3.0), 0.01
"""Heat at the beginning of one cycle after the other, in turn, and at the end of each, in usual seconds of running plus
usual seconds of a transfer. Where a few tasks take most of the time, only hot cycles move them past each other."""
COLDER = 0.3
"""Where transfers cost nothing next to running, a cooling ends this much colder: differences are finer there."""
PULL, CRITICAL, GROUPED, EXCHANGED = 0.2, 0.75, 0.3, 0.5
"""The share of steps that move groups where transfers cost much, and that exchange tasks where they cost nothing."""
POWER = 8.0
"""At one second of transfer for ten of running, half of the exchanges are left; at one for one, next to none."""
MORE_COOLINGS = 2.0
"""Where transfers cost nothing, this many times as many again as whole coolings fit."""
CYCLE = 300
"""Steps per task of one cooling."""
GRAIN = 20_000
"""Tasks looked at, about, between two looks at the clock."""
SLICES = 20
"""A cooling has at least so many heats, however small the problem."""


def can_anneal(problem: Problem, start: Schedule) -> bool:
    """Whether webs can hold this problem and this schedule of it."""
    from server.planning.kernels.ground import DENSE_LIMIT, ground

    network = problem.network
    return (
        len(np.unique(problem.runs.priority)) < 2
        and (network.sharing is Sharing.CONTENTION_FREE or network.is_free)
        and problem.task_count * problem.node_count <= DENSE_LIMIT
        and bool((start.node != UNPLACED).all())
        and not ground(problem).is_shared
    )


class Annealer:
    """The web of one problem, and the best one so far. Heats are given as shares, see HOT.

    `lightness` (0 to 1) says how little transfers cost next to running. Where they cost much, no task can leave its
    neighbours alone, and groups move; where they cost little, nodes are full to the end, and tasks change places.
    """

    def __init__(self, problem: Problem, *, seed: int = 0) -> None:
        from server.planning.kernels import ground, ranks, reinsertion, web

        self._kernels = reinsertion
        self.problem = problem
        seconds, self._mode = ground.dense_seconds(problem)
        fixed = ground.ground(problem)
        out_first, target = ranks.by_sender(fixed.first, fixed.source)
        kind, rate = fixed.kind, fixed.rate
        if kind == ground.CARDS:
            kind, rate = ground.PAIRS, np.maximum(rate[0][:, None], rate[0][None, :])
        self.land = web.Land(
            seconds=seconds,
            first=fixed.first,
            source=fixed.source,
            bytes=fixed.bytes,
            out_first=out_first,
            out_edge=np.argsort(fixed.source, kind="stable").astype(np.int32),
            target=target,
            kind=kind,
            rate=rate,
            rate_back=np.ascontiguousarray(rate.T),
            latency=fixed.latency,
            floor=_floor(problem, fixed),
        )
        self.web = web.empty_web(problem.task_count, problem.node_count, len(fixed.source))
        running, moved = _usual_seconds(seconds, fixed)
        self.heat_unit = running + moved
        self.lightness = (running / self.heat_unit) ** POWER if running else 0.0
        self._topological = ranks.topological(fixed.first, fixed.source)
        self._state = seeded(seed)
        self._cycles, self._has_run = 0, False
        self.best = np.inf
        self._best_order = np.zeros(problem.task_count, np.int32)
        self._best_node = np.zeros(problem.task_count, np.int32)

    @property
    def cycle(self) -> int:
        """Steps of one cooling."""
        return CYCLE * self.problem.task_count

    @property
    def grain(self) -> int:
        """Steps between two looks at the clock."""
        return max(1, min(GRAIN // max(1, self.problem.task_count), self.cycle // SLICES))

    def coolings(self, steps: float) -> int:
        """Into how many coolings so many steps are best divided: where tasks change places, several shorter ones reach
        more than a long one, if there is time for that one."""
        whole = steps / self.cycle
        return max(1, round(whole * (1 + MORE_COOLINGS * self.lightness))) if whole >= 1 else 1

    def start(self, schedule: Schedule) -> None:
        """Go on from a schedule in which every task is placed."""
        position = np.empty(len(self._topological))
        position[self._topological] = np.arange(len(position))
        order = np.lexsort((position, schedule.start)).astype(np.int32)
        self._lay(order, np.require(schedule.node, np.int32, ["C", "W"]))

    def restart(self) -> None:
        """Go on from the best."""
        self._cycles, self._has_run = self._cycles + self._has_run, False
        self._lay(self._best_order.copy(), self._best_node.copy())

    def run(self, steps: int, progress: float, fullness: float) -> None:
        """Move so many tasks, `progress` (0 to 1) into a cooling that has only a share `fullness` of the steps that a
        whole one wants, and so begins less hot."""
        self._has_run = True
        cold = COLD * COLDER**self.lightness
        hot = max(cold, HOT[self._cycles % len(HOT)] * min(1.0, fullness) ** 0.5)
        heat = self.heat_unit * hot * (cold / hot) ** progress
        self.anneal(steps, heat, GROUPED * (1 - self.lightness), EXCHANGED * self.lightness)

    def anneal(self, steps: int, heat: float, grouped: float, exchanged: float) -> None:
        """Move so many tasks at a heat in seconds, with these shares of groups and of exchanges."""
        self.best = self._kernels.anneal(
            self.land,
            self.web,
            steps,
            heat,
            PULL,
            CRITICAL,
            grouped,
            exchanged,
            self._state,
            self.best,
            self._best_order,
            self._best_node,
        )

    def schedule(self) -> Schedule:
        """The best found."""
        self.restart()
        web = self.web
        mode = self._mode[np.arange(len(web.node)), web.node]
        return Schedule(web.node.copy(), mode, web.head.copy(), web.head + web.takes)

    def _lay(self, order: Ints, node: Ints) -> None:
        makespan = float(self._kernels.start_web(self.land, self.web, order, node))
        if makespan < self.best:
            self.best, self._best_order[:], self._best_node[:] = makespan, order, node


def seeded(seed: int) -> Ints:
    """The state of a kernel's series of random numbers."""
    mixed: Ints = np.array([(seed * 2654435761 + 88172645463325252) & (2**48 - 1)], np.int64)
    return mixed


def _floor(problem: Problem, fixed: Ground) -> Floats:
    """[n, m] the earliest start by release, opening and data of finished tasks; one row of zeros if all are."""
    from server.planning.links import alone_seconds

    if not (fixed.release.any() or fixed.opens.any() or len(fixed.input_node)):
        return np.zeros((1, problem.node_count))
    floor: Floats = np.maximum(fixed.release[:, None], fixed.opens[None, :])
    receivers = np.repeat(np.arange(problem.task_count), np.diff(fixed.input_first))
    nodes = np.arange(problem.node_count, dtype=np.int32)
    came = alone_seconds(problem.network, fixed.input_bytes[:, None], fixed.input_node[:, None], nodes)
    np.maximum.at(floor, receivers, came)
    return floor


def _usual_seconds(seconds: Floats, fixed: Ground) -> tuple[float, float]:
    """A usual run time and a usual transfer."""
    running = _usual(seconds[np.isfinite(seconds)])
    moved = _usual(fixed.bytes) * fixed.mean_rate + fixed.latency if len(fixed.bytes) and fixed.kind else 0.0
    return running, moved


def _usual(values: Floats) -> float:
    """The root mean square, which is above the mean where few tasks take most of the time: a heat that moves only the
    many small ones leaves those where they are."""
    return float(np.sqrt(np.square(values, dtype=np.float64).mean())) if len(values) else 0.0


__all__ = ["SLICES", "Annealer", "can_anneal", "seeded"]
