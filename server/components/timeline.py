"""What ran where lately: the newest attempts of all runs, kept at hand so that charts need no database."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.lifecycle import Change
from server.domain.run import Attempt, Run, TaskKey
from server.domain.states import BOUND
from server.stores.interface import RunStoreInterface

MOST_KEPT = 5000


@dataclass(frozen=True, slots=True)
class Stretch:
    """An attempt on a node. `ended_at` is None while it runs, `started_at` too while it has not started."""

    run_id: str
    run_name: str
    key: str
    node: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    planned_start_at: datetime | None = None
    planned_finish_at: datetime | None = None


class Timeline:
    """Keeps the latest attempts that ended, and knows those that are on their way."""

    def __init__(self, *, store: RunStoreInterface, live: Callable[[], Sequence[Run]]) -> None:
        self._store, self._live = store, live
        self._ended: deque[Stretch] = deque(maxlen=MOST_KEPT)

    async def load(self) -> None:
        """Recall what ended before the start."""
        after = 0
        while page := await asyncio.to_thread(self._store.finished, after=after):
            after = page[-1].id
            for one in page:
                name = one.run_id.rpartition("-")[0]
                started_at = one.finished_at - timedelta(seconds=one.run_seconds)
                self._ended.append(
                    Stretch(one.run_id, name, one.task, one.node, one.state, started_at, one.finished_at)
                )

    def notice(self, change: Change) -> None:
        """Keep attempts that ended in this change."""
        for event in change.events:
            key, number = getattr(event, "key", None), getattr(event, "attempt", None)
            task = change.run.tasks.get(key) if isinstance(key, TaskKey) else None
            if task is None or event.kind not in ("task-succeeded", "task-failed", "task-cancelled", "task-lost"):
                continue
            attempt = next((one for one in task.attempts if one.number == number), None)
            if attempt is not None and attempt.started_at is not None and attempt.finished_at is not None:
                self._ended.append(_stretch(change.run, task.key, attempt))

    def since(self, at: datetime) -> list[Stretch]:
        """What ended after `at` or is on its way, oldest start first, what has not started last."""
        ended = [one for one in self._ended if one.ended_at is not None and one.ended_at > at]
        under_way = [_stretch(run, key, attempt) for run in self._live() for key, attempt in run.attempts_in(*BOUND)]
        return sorted([*ended, *under_way], key=lambda one: (one.started_at is None, one.started_at or at))


def _stretch(run: Run, key: TaskKey, attempt: Attempt) -> Stretch:
    return Stretch(
        run_id=run.id,
        run_name=run.name,
        key=str(key),
        node=attempt.actual_node or attempt.node or "",
        state=attempt.state.value,
        started_at=attempt.started_at,
        ended_at=attempt.finished_at,
        planned_start_at=attempt.planned_start_at,
        planned_finish_at=attempt.planned_finish_at,
    )


__all__ = ["Stretch", "Timeline"]
