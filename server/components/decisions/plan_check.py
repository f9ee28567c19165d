"""What a plan must be before anybody acts on it, checked against the request it answers. Trusts nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest, TaskRef, WaitingTask
from server.domain.resources import Resources
from server.planning.needs import NeedsTable

MOST_PROBLEMS = 5


def plan_problems(request: PlacementRequest, plan: PlacementPlan, table: NeedsTable) -> list[str]:
    """Broken promises as sentences, at most five; an empty list for a sound plan."""
    tasks = {task.ref: task for task in request.tasks()}
    found: list[str] = []
    for problem in _all_problems(request, plan, table, tasks):
        found.append(problem)
        if len(found) == MOST_PROBLEMS:
            break
    return found


def _all_problems(
    request: PlacementRequest, plan: PlacementPlan, table: NeedsTable, tasks: dict[TaskRef, WaitingTask]
) -> Iterator[str]:
    answers: dict[int, int] = {}
    placed: list[tuple[Placement, WaitingTask]] = []
    given: tuple[Placement | Hold, ...] = (*plan.placements, *plan.holds)
    for answer in given:
        task = tasks.get((answer.run_id, answer.key))
        if task is None:
            yield f"task {name((answer.run_id, answer.key))} is not in the request"
            continue
        answers[id(task)] = answers.get(id(task), 0) + 1
        if isinstance(answer, Placement):
            placed.append((answer, task))
    if len(answers) < len(tasks) or sum(answers.values()) > len(tasks):
        counts = {ref: answers.get(id(task), 0) for ref, task in tasks.items()}
        yield from (f"task {name(ref)} is answered {count} times" for ref, count in counts.items() if count > 1)
        yield from (f"task {name(ref)} is not answered" for ref, count in counts.items() if not count)
    for placement, task in placed:
        for problem in _placement_problems(placement, task, table):
            yield f"task {name(task.ref)} {problem}"
    yield from _overcommitted(request, placed, table)


def _placement_problems(placement: Placement, task: WaitingTask, table: NeedsTable) -> Iterator[str]:
    """What is wrong with one placement, to be said of its task."""
    if placement.node not in table.index:
        yield f"is placed on {placement.node!r}, which is not in the snapshot"
    elif requests_of(task, placement.option) is None:
        yield f"is placed with option {placement.option!r}, which it does not offer"
    elif not table.allows(task, placement.node, placement.option):
        yield f"is placed on {placement.node}, which cannot run it"
    start, finish = placement.planned_start_at, placement.planned_finish_at
    if (start is not None and start.tzinfo is None) or (finish is not None and finish.tzinfo is None):
        yield "has a planned time without a time zone"
    elif start is not None and finish is not None and finish < start:
        yield "is planned to finish before it starts"
    if placement.score is not None and not math.isfinite(placement.score):
        yield f"has the score {placement.score}"


def _overcommitted(
    request: PlacementRequest, placed: list[tuple[Placement, WaitingTask]], table: NeedsTable
) -> Iterator[str]:
    """Nodes on which more is planned to start right now than there is room for."""
    room = request.snapshot.available()
    said: set[str] = set()
    for placement, task in placed:
        start = placement.planned_start_at
        if not task.is_ready or start is None or start.tzinfo is None or start > request.now:
            continue
        asked = requests_of(task, placement.option)
        if asked is None or placement.node not in table.index or placement.node in said:
            continue
        lacking = asked.lacking_in(room[placement.node])
        is_virtual = table.nodes[table.index[placement.node]].is_virtual
        if lacking or is_virtual:
            said.add(placement.node)
            why = "it is not there yet" if is_virtual else ", ".join(lacking)
            yield f"more is planned to start now on {placement.node} than it has room for ({why})"
        room[placement.node] = room[placement.node] - asked


def requests_of(task: WaitingTask, option: str) -> Resources | None:
    """What the task requests with an option, None if it does not offer it."""
    for choice in task.options:
        if choice.name == option:
            return choice.requests
    return None


def name(ref: TaskRef) -> str:
    """A task in words."""
    return f"{ref[1]} of run {ref[0]}"


__all__ = ["MOST_PROBLEMS", "name", "plan_problems", "requests_of"]
