"""What a strategy answers to a problem file, checked and bounded: the work of `mlopx-server solve`.

The constructors, `anytime` and `exact` work on the problem itself, as do strategies that compute on the whole queue;
every other one is asked with requests (see `server.solving.rolling`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from server.components.placer_registry import foreign_placers, load_placer, placers
from server.domain.errors import ConfigurationError
from server.exchange.errors import UnreadableError
from server.exchange.reading import Question
from server.placers.whole_queue import WholeQueuePlacer
from server.planning.bounds import mean_turnaround
from server.planning.checking import flaws
from server.planning.constructors import CONSTRUCTORS
from server.planning.exact import PROVED, Goal, MissingSolverError, prove
from server.planning.needs import NeedsTable
from server.planning.objectives import OBJECTIVES
from server.planning.prediction import predict
from server.planning.problem import Problem, Sharing
from server.planning.queue import Queue
from server.planning.schedule import UNPLACED, Schedule
from server.planning.stating import Statement
from server.planning.warming import warm
from server.solving.objectives import figure, objective_bound, require_objective, searched, without_empty_runs
from server.solving.rolling import completed, rolled_out
from server.solving.stating import Asking, Wishes

SEARCHES = ("anytime", "exact")
_OWN = {*SEARCHES, *CONSTRUCTORS}
HINT_SHARE = 0.2
"""Of the time limit, what `exact` gives to `anytime` for a schedule to start from."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to solve: `placer`, `objective`, `seconds` at most (searches only), `seed`, and a clock that only goes on."""

    placer: str
    objective: str
    seconds: float
    seed: int
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Attributes: the `schedule`; its `value` under the objective; a `bound` of that; `shared_makespan` as predicted
    when network cards are shared fairly, None where the network has no cards; `seconds_used`; `flaws` found."""

    schedule: Schedule
    value: float
    bound: float
    shared_makespan: float | None
    seconds_used: float
    flaws: list[str]

    @property
    def is_proved(self) -> bool:
        """Whether no schedule is better, by more than rounding."""
        return self.value - self.bound <= PROVED * abs(self.value)


def known_placers() -> tuple[str, ...]:
    """What `solve` can be asked for by name; any other strategy as `package.module:Class`."""
    return (*SEARCHES, *CONSTRUCTORS, *(name for name in (*placers, *foreign_placers()) if name not in _OWN))


def solve(question: Question, wish: Wish) -> Answer:
    """Solve it. Raises UnreadableError where that cannot be asked, or the strategy fails."""
    require_objective(question.problem, wish.objective)
    if not question.problem.task_count:
        nothing = np.zeros(0)
        empty = Schedule(np.zeros(0, np.int32), np.zeros(0, np.int32), nothing, nothing)
        return Answer(empty, 0.0, 0.0, None, 0.0, [])
    question = without_empty_runs(question)
    problem = question.problem
    if wish.placer in SEARCHES:
        warm()  # compiling is not searching
    began = wish.monotonic()
    schedule, bound = _solved(question, wish)
    used = wish.monotonic() - began
    if problem.network.sharing is Sharing.MAX_MIN:
        schedule = predict(problem, schedule)
    shared = predict(problem, schedule).makespan if problem.network.cards is not None else None
    value = figure(problem, schedule, wish.objective)
    if bound is None:
        bound = objective_bound(problem, wish.objective)
    return Answer(schedule, value, min(bound, value), shared, used, flaws(problem, schedule))


def as_json(question: Question, wish: Wish, answer: Answer) -> dict[str, Any]:
    """The answer as `mlopx-server solve --json` prints it."""
    return {
        "placer": wish.placer,
        "objective": wish.objective,
        "objective_value": answer.value,
        "makespan_seconds": answer.schedule.makespan,
        "mean_turnaround_seconds": mean_turnaround(question.problem, answer.schedule),
        "lower_bound": answer.bound,
        "proved": answer.is_proved,
        "seconds_used": answer.seconds_used,
        "makespan_with_sharing_seconds": answer.shared_makespan,
        "seed": wish.seed,
        "flaws": answer.flaws,
        "tasks": [_row(question, answer.schedule, task) for task in range(question.problem.task_count)],
    }


def as_lines(question: Question, wish: Wish, answer: Answer) -> list[str]:
    """The answer for people, at most 80 columns wide."""
    found = as_json(question, wish, answer)
    rows: list[tuple[str, ...]] = [("task", "node", "option", "start s", "finish s")]
    rows += [
        (row["task"], row["node"], row["option"], f"{row['start']:.3f}", f"{row['finish']:.3f}")
        for row in sorted(found["tasks"], key=lambda row: (row["start"], row["finish"]))
    ]
    if all(row[2] == "default" for row in rows[1:]):
        rows = [(*row[:2], *row[3:]) for row in rows]
    left = len(rows[0]) - 2
    widths = _widths(rows, left)
    lines = [_line(row, widths, left) for row in rows]
    said = "proved: nothing is better" if answer.is_proved else f"nothing is below {answer.bound:.6g}"
    lines += [
        "",
        f"{wish.placer}: {wish.objective} {answer.value:.6g} s ({said}), found in {answer.seconds_used:.3g} s",
    ]
    lines.append(f"makespan {answer.schedule.makespan:.6g} s, mean turnaround {found['mean_turnaround_seconds']:.6g} s")
    if answer.shared_makespan is not None:
        lines.append(f"makespan as predicted when network cards are shared fairly: {answer.shared_makespan:.6g} s")
    return [*lines, *(f"FLAW: {flaw}" for flaw in answer.flaws)]


def _solved(question: Question, wish: Wish) -> tuple[Schedule, float | None]:
    problem = question.problem
    if wish.placer == "anytime":
        return _searched(problem, wish, wish.seconds), None
    if wish.placer == "exact":
        return _proved(problem, wish)
    if wish.placer in CONSTRUCTORS:
        return CONSTRUCTORS[wish.placer](problem), None
    try:
        placer = load_placer(wish.placer)()
    except ConfigurationError as error:
        raise UnreadableError("; ".join([str(error.args[0]), *([error.hint] if error.hint else [])])) from None
    asking = Asking(question)
    wishes = Wishes(wish.objective, wish.seed, wish.seconds)
    if not isinstance(placer, WholeQueuePlacer):
        return rolled_out(asking, placer, wish.placer, wishes), None
    statement = _stated(asking, wishes)
    try:
        found = placer.schedule(statement, Queue(problem, statement.finish_of_bound))
        return completed(problem, found), None
    except Exception as error:
        raise UnreadableError(f"the placer {wish.placer!r} failed: {type(error).__name__}: {error}") from error


def _stated(asking: Asking, wishes: Wishes) -> Statement:
    """The problem itself, as strategies take it that compute on the whole queue."""
    problem, request = asking.problem, asking.request(asking.begin(), wishes)
    known = {task.key: task for task in request.tasks()}
    tasks = [known[key] for key in asking.keys]
    table = NeedsTable(request.snapshot.nodes)
    place = {name: number for number, name in enumerate(asking.question.runs)}
    return Statement(
        request=replace(request, runs=tuple(sorted(request.runs, key=lambda run: place[run.run_id]))),
        problem=problem,
        medians=problem.seconds,
        tasks=tasks,
        needs=[table.of(task) for task in tasks],
        options=[option for task in tasks for option in task.options],
        finish_of_bound=np.zeros(len(problem.runs.submitted)),
    )


def _proved(problem: Problem, wish: Wish) -> tuple[Schedule, float | None]:
    if wish.objective == "cost":
        return _searched(problem, wish, wish.seconds), None
    if problem.network.sharing is not Sharing.CONTENTION_FREE and not problem.network.is_free:
        raise UnreadableError("the placer 'exact' knows only contention-free networks; this one shares its links")
    provable = (*(goal.value for goal in Goal), "cost")
    if wish.objective not in provable:
        known = ", ".join(provable)
        raise UnreadableError(f"the placer 'exact' proves {known}, not {wish.objective!r}; ask 'anytime' for that")
    if len(np.unique(problem.runs.priority)) > 1:
        raise UnreadableError("the placer 'exact' knows no priorities; give all runs the same one")
    hint = _searched(problem, wish, HINT_SHARE * min(wish.seconds, 1.0))
    left = (1 - HINT_SHARE) * wish.seconds
    try:
        proof = prove(problem, seconds=left, hint=hint, goal=Goal(wish.objective), seed=wish.seed)
    except MissingSolverError as error:
        raise UnreadableError(str(error)) from None
    return proof.schedule, proof.lower_bound


def _searched(problem: Problem, wish: Wish, seconds: float) -> Schedule:
    return searched(problem, wish.objective, seconds=seconds, monotonic=wish.monotonic, seed=wish.seed)


def _row(question: Question, schedule: Schedule, task: int) -> dict[str, Any]:
    problem, node = question.problem, int(schedule.node[task])
    return {
        "task": problem.task_names[task],
        "task_index": task,
        "run": question.runs[problem.runs.of_task[task]],
        "node": problem.node_names[node] if node != UNPLACED else None,
        "node_index": node if node != UNPLACED else None,
        "option": question.options[task][schedule.mode[task]],
        "start": float(schedule.start[task]),
        "finish": float(schedule.finish[task]),
    }


def _widths(rows: list[tuple[str, ...]], left: int) -> list[int]:
    """Column widths that fit 80 columns; the names give way."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    room = 80 - sum(widths[left:]) - 2 * (len(widths) - 1)
    while sum(widths[:left]) > room and max(widths[:left]) > 8:
        widths[widths.index(max(widths[:left]))] -= 1
    return widths


def _line(row: tuple[str, ...], widths: list[int], left: int) -> str:
    cells = [f"{_short(text, width):<{width}}" for text, width in zip(row[:left], widths, strict=False)]
    cells += [f"{text:>{width}}" for text, width in zip(row[left:], widths[left:], strict=True)]
    return "  ".join(cells)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"…{text[1 - width :]}"


__all__ = ["OBJECTIVES", "Answer", "Wish", "as_json", "as_lines", "known_placers", "solve"]
