"""The best plan there is, proved, for queues that are small enough; and it says so."""

from __future__ import annotations

from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest
from server.placers.interface import PlacerInterface
from server.placers.online import Online
from server.placers.saying import reasons_of
from server.placers.warming import small_requests
from server.planning.answering import plan_of
from server.planning.queue import Queue
from server.planning.schedule import UNPLACED, Schedule
from server.planning.stating import Statement, state

MOST_TASKS = 20
"""Of longer queues nothing can be proved in time; they get the plan of `online`."""

SHARE = 0.6
"""Of the time limit, what the solver may take."""


class Exact(PlacerInterface):
    """Constraint programming on the request's objective: makespan, or else mean turnaround."""

    name: ClassVar[str] = "exact"
    summary: ClassVar[str] = "Proves the best plan for up to twenty waiting tasks, and takes the best known for more."
    source: ClassVar[str] = "OR-tools CP-SAT; optional intervals as in Laborie, CPAIOR 2009"

    def warm(self) -> None:
        """Load the solver, and compile what `online` needs."""
        for request in small_requests():
            self.place(request)

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """The proved optimum, or `online`'s plan with the reason why it is not proved.

        Raises MissingSolverError where OR-tools is not installed (extra `exact`).
        """
        statement = state(request)
        if not statement.tasks or not request.snapshot.nodes:
            return Online().place(request)
        known = Online().schedule(statement, Queue(statement.problem, statement.finish_of_bound))
        why = _out_of_reach(statement, known)
        schedule, said = _proved(statement, known) if why is None else (known, why)
        return plan_of(statement, schedule, *reasons_of(statement, schedule, said))


def _out_of_reach(statement: Statement, known: Schedule) -> str | None:
    """Why nothing is proved about this queue, if so."""
    if len(statement.tasks) > MOST_TASKS:
        return f"best plan known; {len(statement.tasks)} tasks are too many to prove it"
    if len(set(statement.problem.runs.priority.tolist())) > 1:
        return "best plan known; with several priorities nothing is proved"
    if (known.node == UNPLACED).any():
        return "best plan known; while something cannot run nothing is proved"
    return None


def _proved(statement: Statement, known: Schedule) -> tuple[Schedule, str]:
    from server.planning.exact import Goal, prove

    request = statement.request
    goal = Goal.MAKESPAN if request.objective == "makespan" else Goal.TURNAROUND
    proof = prove(statement.problem, seconds=SHARE * request.time_limit_seconds, hint=known, goal=goal, seed=1)
    what = f"{goal.value} of {proof.value:.3g} s"
    if proof.is_proved:
        return proof.schedule, f"best plan there is, proved: {what}"
    return known, f"best plan known; not proved in time, the bound is {proof.lower_bound:.3g} s"
