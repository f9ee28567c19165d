"""A lower bound of the makespan where transfers share network cards: what no plan can beat, however it is searched.

The model of `exact_model` (transfers alone) gets what any sharing of full-duplex cards obeys, fair or not:

1. All that a task receives from other nodes comes through its node's card: for every set of its upstreams, it starts no
   sooner than the first of them ends plus the time that the card needs for what comes from elsewhere.
2. The same for what a task sends: the last of any set of its dependents starts no sooner than that.
3. All that a node receives (or sends) fits between the first end of a sender and the last start of a receiver.

Cards that run one transfer at a time, or any at all at any rates, obey these; so the bound holds for the replay
(`prediction`), for SimGrid's fluid model, and for clever sharing that neither has.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from server.planning.bounds import makespan_bound
from server.planning.exact_model import Model, Target, solver
from server.planning.links import cards_of
from server.planning.problem import Problem
from server.planning.schedule import UNPLACED, Schedule
from server.planning.ways import Ways

MOST_IN_ALL_SETS = 4
"""Up to so many neighbours every set of them is looked at; of more, the pairs and all together."""

Transfer = tuple[int, float]
"""The task at the other end, and bytes."""


def makespan_bound_on_cards(problem: Problem, known: Schedule, *, seconds: float) -> float:
    """Seconds that no plan for shared cards ends before, found within so many seconds; `known` is one with its replayed
    times, and if the answer is its makespan (to a millionth), it is the best there is.

    Raises:
        MissingSolverError: OR-tools is not installed.
        ValueError: the known plan leaves a task out.
    """
    if (known.node == UNPLACED).any():
        raise ValueError("a bound on cards needs a plan that places every task")
    sat, least, ways = solver(), makespan_bound(problem), Ways.of(problem)
    if not len(ways.tasks):
        return 0.0
    one_run = np.zeros(problem.task_count, np.int32)
    model = CardModel(sat, problem, ways, known, Target(np.ones(1), one_run, known.makespan, np.array([least])))
    return min(max(least, model.solve(seconds, 0).lower_bound), known.makespan)


class CardModel(Model):
    """The model with what cards cannot do at the same time."""

    def __init__(self, sat: Any, problem: Problem, ways: Ways, hint: Schedule, target: Target) -> None:
        super().__init__(sat, problem, ways, hint, target)
        if not self.is_open:
            return
        self._card = cards_of(problem.network, problem.node_count)
        receivers = np.repeat(np.arange(problem.task_count), np.diff(problem.edges.first)).tolist()
        self._moves = list(zip(problem.edges.task.tolist(), receivers, problem.edges.bytes.tolist(), strict=True))
        incoming: dict[int, list[Transfer]] = {}
        outgoing: dict[int, list[Transfer]] = {}
        for upstream, task, size in self._moves:
            incoming.setdefault(task, []).append((upstream, size))
            outgoing.setdefault(upstream, []).append((task, size))
        for task, transfers in incoming.items():
            self._receives(task, transfers)
        for task, transfers in outgoing.items():
            self._sends(task, transfers)
        for node in range(problem.node_count):
            self._carries(node)

    def _receives(self, task: int, transfers: list[Transfer]) -> None:
        for chosen in _sets(transfers):
            first = self.model.new_int_var(0, self._horizon, "")
            self.model.add_min_equality(first, [self.end[upstream] for upstream, _ in chosen])
            for node, is_here in self._on_nodes(task).items():
                self.model.add(self.start[task] >= first + self._moved(chosen, node)).only_enforce_if(is_here)

    def _sends(self, task: int, transfers: list[Transfer]) -> None:
        for chosen in _sets(transfers):
            last = self.model.new_int_var(0, self._horizon, "")
            self.model.add_max_equality(last, [self.start[dependent] for dependent, _ in chosen])
            for node, is_here in self._on_nodes(task).items():
                self.model.add(last >= self.end[task] + self._moved(chosen, node)).only_enforce_if(is_here)

    def _carries(self, node: int) -> None:
        """What goes through a node's card in either direction, in all."""
        for side in (0, 1):
            busy, head, tail = [], [], []
            for move in self._moves:
                here = self._on_nodes(move[1 - side]).get(node)
                if here is None:
                    continue
                crosses = self.model.new_bool_var("")
                self.model.add(crosses >= here - self._on_nodes(move[side]).get(node, 0))
                busy.append(self._units(move[2], node) * crosses)
                head.append(int((self.head + self.took)[self.of_task[move[0]]].min()))
                tail.append(int((self.took + self.tail)[self.of_task[move[1]]].min()))
            if busy:
                self.model.add(sum(busy) + min(head) + min(tail) <= self.last[0])

    def _moved(self, chosen: tuple[Transfer, ...], node: int) -> Any:
        """Units that a node's card needs for what is exchanged with tasks elsewhere."""
        return sum(self._units(size, node) * (1 - self._on_nodes(other).get(node, 0)) for other, size in chosen)

    def _units(self, size: float, node: int) -> int:
        """Rounded down, so that the bound stays one."""
        return int(size * self._card[node] * self.scale)

    @property
    def _horizon(self) -> int:
        return 4 * self.upper


def _sets(transfers: list[Transfer]) -> list[tuple[Transfer, ...]]:
    count = len(transfers)
    sizes = range(2, count + 1) if count <= MOST_IN_ALL_SETS else sorted({2, count})
    return [chosen for size in sizes for chosen in combinations(transfers, size)]


__all__ = ["CardModel", "makespan_bound_on_cards"]
