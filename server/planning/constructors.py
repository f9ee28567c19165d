"""The classical constructors: one pass, one schedule. Each cites its paper; all know gaps, modes, shared nodes, what is
held, releases, and runs of different priority (whose tasks are placed first; later ones never delay them).

`PORTFOLIO` is what a search starts from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from server.planning.building import Builder
from server.planning.problem import Problem
from server.planning.schedule import Schedule

Constructor = Callable[[Problem], Schedule]


def heft(problem: Problem) -> Schedule:
    """Heterogeneous earliest finish time: by upward rank, each task where it ends first.

    Topcuoglu, Hariri and Wu, "Performance-effective and low-complexity task scheduling for heterogeneous computing",
    IEEE Transactions on Parallel and Distributed Systems 13(3), 2002.
    """
    build = Builder(problem)
    rank, _ = build.upward()
    return build.by_list(build.ordered(rank))


def peft(problem: Problem) -> Schedule:
    """Predict earliest finish time: each task where its finish plus the least that must still follow is smallest.

    Arabnejad and Barbosa, "List scheduling algorithm for heterogeneous systems by an optimistic cost table", IEEE
    Transactions on Parallel and Distributed Systems 25(3), 2014.
    """
    build = Builder(problem)
    outlook = build.optimistic_costs()
    return build.by_outlook(build.ready_first(outlook.mean(axis=1)), outlook)


def heft_with_outlook(problem: Problem) -> Schedule:
    """HEFT's order with PEFT's choice of node: neither paper's, and often better than both."""
    build = Builder(problem)
    rank, _ = build.upward()
    return build.by_outlook(build.ordered(rank), build.optimistic_costs())


def cpop(problem: Problem) -> Schedule:
    """Critical path on a processor: the whole critical path on the node that runs it quickest, the rest by earliest
    finish, ready tasks by their place on the longest path through them.

    Topcuoglu, Hariri and Wu, 2002 (see `heft`).
    """
    build = Builder(problem)
    up, mean = build.upward()
    priority = up + build.downward(mean)
    path = build.critical_path(priority)
    wanted = np.full(problem.task_count, -1, np.int32)
    wanted[path] = build.quickest_node(path)
    return build.by_list(build.ready_first(priority), wanted)


def min_min(problem: Problem) -> Schedule:
    """Of all tasks of a wave, place the one that would end first, there; repeat. A wave is what is ready once the wave
    before it is placed.

    Ibarra and Kim, "Heuristic algorithms for scheduling independent tasks on nonidentical processors", Journal of the
    ACM 24(2), 1977; in waves (meta-tasks) as in Maheswaran et al. (see `sufferage`).
    """
    return Builder(problem).by_batch("min_min", by_wave=True)


def max_min(problem: Problem) -> Schedule:
    """Of all tasks of a wave, each at its earliest finish, place the one that ends last. Sources as for `min_min`."""
    return Builder(problem).by_batch("max_min", by_wave=True)


def sufferage(problem: Problem) -> Schedule:
    """Of all tasks of a wave, place the one that would lose most if it had to take its second best node.

    Maheswaran, Ali, Siegel, Hensgen and Freund, "Dynamic matching and scheduling of a class of independent tasks onto
    heterogeneous computing systems", Heterogeneous Computing Workshop, 1999.
    """
    return Builder(problem).by_batch("sufferage", by_wave=True)


def eager_sufferage(problem: Problem) -> Schedule:
    """`sufferage` over all ready tasks at any time, not wave by wave."""
    return Builder(problem).by_batch("sufferage", by_wave=False)


def best_single_node(problem: Problem) -> Schedule:
    """Everything on the node that ends it all first, as far as it can run it: no data moves. What data-heavy runs on
    slow networks are to be measured against."""
    build = Builder(problem)
    rank, _ = build.upward()
    order = build.ordered(rank)
    return build.by_list(order, build.one_node())


CONSTRUCTORS: dict[str, Constructor] = {
    "heft": heft,
    "peft": peft,
    "cpop": cpop,
    "min_min": min_min,
    "max_min": max_min,
    "sufferage": sufferage,
}
PORTFOLIO: dict[str, Constructor] = {
    **CONSTRUCTORS,
    "eager_sufferage": eager_sufferage,
    "heft_with_outlook": heft_with_outlook,
    "best_single_node": best_single_node,
}

__all__ = ["CONSTRUCTORS", "PORTFOLIO", "Constructor", "best_single_node", "cpop", "eager_sufferage", "heft"]
__all__ += ["heft_with_outlook", "max_min", "min_min", "peft", "sufferage"]
