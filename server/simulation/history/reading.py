"""What is on record of a stretch of time: runs that ended, what was decided about them, and the nodes there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.components.explaining.placed import USER
from server.components.remembering.node_history import NodeLife, read_lives
from server.domain.errors import MlopxError
from server.domain.placement import Decision
from server.domain.run import Attempt, Run, TaskKey
from server.domain.states import TaskState
from server.stores.interface import RunFilter, RunStoreInterface

FEWEST_RUNS = 5
_PAGE = 500
_RAN = (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)


class HistoryError(MlopxError):
    """What is on record does not suffice for a replay."""

    code = "too-little-history"
    status = 409
    title = "Too little history"


@dataclass(frozen=True, slots=True)
class History:
    """A stretch of the past.

    Attributes:
        runs: those that ended and ran something, in submission order.
        decisions: the newest decision about every task that got a node, by run and task.
        strategy: who decided about most tasks of placed runs; None where nobody did (the platform's own scheduler).
        shares: the part of decided tasks by strategy.
        left_out: how many runs are not among `runs`, by reason.
    """

    since: datetime
    until: datetime
    runs: tuple[Run, ...]
    decisions: Mapping[tuple[str, TaskKey], Decision]
    lives: Mapping[str, NodeLife]
    strategy: str | None
    shares: Mapping[str, float]
    left_out: Mapping[str, int]


def read_history(store: RunStoreInterface, *, since: datetime, until: datetime, fewest: int = FEWEST_RUNS) -> History:
    """Read runs submitted in the stretch. Raises HistoryError where fewer than `fewest` are on record."""
    lives = read_lives(store)
    left_out: Counter[str] = Counter()
    runs: list[Run] = []
    for run in _runs(store, since, until):
        why = _why_not(run, lives)
        if why:
            left_out[why] += 1
        else:
            runs.append(run)
    if len(runs) < fewest:
        raise HistoryError(_too_little(len(runs), fewest, left_out, since), hint="look back further: --since 30d")
    runs.sort(key=lambda run: (run.submitted_at, run.id))
    decisions = {
        (run.id, decision.key): decision
        for run in runs
        for decision in store.decisions(run.id)
        if decision.node is not None
    }
    placed = {run.id for run in runs if not run.options.is_holdout}
    counts = Counter(
        decision.strategy
        for (run_id, _), decision in decisions.items()
        if run_id in placed and decision.strategy != USER
    )
    total = sum(counts.values())
    return History(
        since=since,
        until=until,
        runs=tuple(runs),
        decisions=decisions,
        lives=lives,
        strategy=counts.most_common(1)[0][0] if counts else None,
        shares={name: count / total for name, count in counts.most_common()},
        left_out=dict(left_out),
    )


def attempts_that_ran(run: Run, key: TaskKey) -> Sequence[Attempt]:
    """Attempts of a task that took a node's time and came to an end of their own."""
    task = run.tasks[key]
    if task.from_cache:
        return ()
    return [one for one in task.attempts if one.state in _RAN and one.run_seconds is not None and _node(one)]


def _node(attempt: Attempt) -> str | None:
    return attempt.actual_node or attempt.node


def _runs(store: RunStoreInterface, since: datetime, until: datetime) -> Iterator[Run]:
    cursor: str | None = None
    while True:
        page = store.list_runs(RunFilter(submitted_since=since, after=cursor, limit=_PAGE))
        for summary in page.runs:
            if summary.submitted_at < until:
                yield store.load_run(summary.id)
        if page.next is None:
            return
        cursor = page.next


def _why_not(run: Run, lives: Mapping[str, NodeLife]) -> str:
    if not run.state.is_end or run.finished_at is None:
        return "not over"
    ran = [attempt for key in run.tasks for attempt in attempts_that_ran(run, key)]
    if not ran:
        return "ran nothing"
    return "" if all(_node(attempt) in lives for attempt in ran) else "on nodes that are not on record"


def _too_little(count: int, fewest: int, left_out: Mapping[str, int], since: datetime) -> str:
    said = ", ".join(f"{number} {why}" for why, number in left_out.items())
    more = f" ({said})" if said else ""
    runs = "1 run that ended is" if count == 1 else f"{count} runs that ended are"
    return f"{runs} on record since {since:%Y-%m-%d %H:%M} UTC{more}; a replay needs {fewest}"


__all__ = ["FEWEST_RUNS", "History", "HistoryError", "attempts_that_ran", "read_history"]
