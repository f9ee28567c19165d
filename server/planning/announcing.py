"""Room for which all demand is announced: no run begins there, so whatever will want it is in the queue before."""

from __future__ import annotations

import numpy as np

from server.domain.placement import WaitingRun
from server.planning.problem import Ints, Problem
from server.planning.stating import Statement

OTHERS = 3
"""Before accelerators, amounts are CPU, memory and pods."""


def announced_modes(statement: Statement) -> Ints:
    """[q] 1 for modes that hold an accelerator of a kind that no run asks for to begin with, as far as the runs that
    have finished nothing yet show. All 0 where there are no such runs, and where tasks fill nodes: there whoever begins
    may want any node.

    Starting a long task on an idle node costs those that come unannounced, which no plan of the queue counts.
    """
    none = np.zeros(len(statement.options), np.int32)
    if statement.problem.demand.shape[1] == OTHERS:
        return none
    begins = [kinds for run in statement.request.runs if not run.done_seconds for kinds in _first_kinds(run)]
    if not begins or _fill_nodes(statement.problem):
        return none
    asked = frozenset[str]().union(*begins)
    for mode, option in enumerate(statement.options):
        none[mode] = any(kind not in asked for kind, _ in option.requests.accelerators)
    return none


def _fill_nodes(problem: Problem) -> bool:
    """Whether every mode takes more than half of any node's CPU, memory or pods."""
    least, most = problem.demand[:, :OTHERS].min(axis=0), problem.capacity[:, :OTHERS].max(axis=0)
    return bool((2 * least > most).any())


def _first_kinds(run: WaitingRun) -> list[frozenset[str]]:
    """The kinds of accelerators that each task asks for with which a run begins; of one that has finished nothing."""
    waiting = [task for task in run.tasks if not task.waits_for]
    found = [frozenset(kind for option in task.options for kind, _ in option.requests.accelerators) for task in waiting]
    return found + [frozenset(kind for kind, _ in bound.requests.accelerators) for bound in run.bound]


__all__ = ["announced_modes"]
