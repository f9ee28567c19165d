"""Room that runs which were handed over whole will take later on: their tasks have nodes, and wait for others.

Until such a task is about to begin (`underway`), nobody holds its room; but whoever plans ahead as if that room were
free sends what comes next to the same nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.placement import UNKNOWN_SECONDS, Promise
from server.domain.resources import Resources
from server.domain.run import Attempt, Run, TaskKey
from server.domain.states import Binding
from server.domain.underway import HANDED_OVER, UNBEGUN, underway

_UNKNOWN = timedelta(seconds=UNKNOWN_SECONDS)


@dataclass(frozen=True, slots=True)
class _Step:
    """An open task of the run, after those it waits for, which `upstreams` names by number."""

    key: TaskKey
    node: str | None
    requests: Resources | None
    started_at: datetime | None
    planned_at: datetime | None
    lasts: timedelta
    upstreams: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is left of one run that was handed over, without the hour."""

    run_id: str
    steps: tuple[_Step, ...]

    def promises(self, now: datetime) -> Iterator[Promise]:
        """The room that it will take: as planned, or later where what comes before is late."""
        ends: list[datetime] = []
        for step in self.steps:
            planned_at = now if step.planned_at is None else step.planned_at
            begins_at = step.started_at or max((now, planned_at, *(ends[number] for number in step.upstreams)))
            ends.append(max(begins_at + step.lasts, now))
            if step.node is not None and step.requests is not None:
                yield Promise(step.node, step.requests, self.run_id, step.key, begins_at, ends[-1])


def outlook(run: Run, requests_of: Callable[[TaskKey, Attempt], Resources], reused: Container[TaskKey] = ()) -> Outlook:
    """What a run will take beside what its tasks hold already: nothing if it was not handed over.

    What is `reused` takes neither room nor time; a task whose condition is not decided counts.
    """
    if run.options.binding is not Binding.AT_SUBMISSION or run.state not in HANDED_OVER:
        return Outlook(run.id, ())
    holding = {key for key, _ in underway(run, reused)}
    steps: list[_Step] = []
    numbers: dict[str, list[int]] = {}
    for key in sorted(run.tasks, key=_in_order(run)):
        attempt = run.tasks[key].current
        is_waiting = attempt.state in UNBEGUN and key not in reused and key not in holding
        if key not in holding and not is_waiting:
            continue
        upstreams = tuple(number for path in run.graph.waits_for[key.path] for number in numbers.get(path, ()))
        numbers.setdefault(key.path, []).append(len(steps))
        steps.append(
            _Step(
                key,
                attempt.node if is_waiting else None,
                requests_of(key, attempt) if is_waiting and attempt.node is not None else None,
                attempt.started_at,
                attempt.planned_start_at,
                _length(attempt),
                upstreams,
            )
        )
    return Outlook(run.id, tuple(steps))


def _in_order(run: Run) -> Callable[[TaskKey], tuple[int, tuple[int, ...]]]:
    rank = {path: index for index, path in enumerate(run.graph.order)}
    return lambda key: (rank[key.path], key.iteration)


def _length(attempt: Attempt) -> timedelta:
    start, finish = attempt.planned_start_at, attempt.planned_finish_at
    return _UNKNOWN if start is None or finish is None else max(finish - start, timedelta())


__all__ = ["Outlook", "outlook"]
