"""Looks at everybody's runs in Kubeflow: what they teach, and what MLOpX would have done. Get, list and watch only.

What was observed is kept in a file of lines (JSON): for each task where it ran and where it would have been placed. A
run is observed once, also across restarts.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from server.domain.errors import MlopxError
from server.domain.placement import WaitingRun
from server.platforms.kubeflow.client import KfpClient, KfpRun
from server.platforms.kubeflow.namespaces import Namespaces
from server.platforms.kubeflow.observing import Lesson, lessons, pipeline_of, waiting
from server.platforms.kubeflow.sight import TaskSight
from server.platforms.kubeflow.submitting import our_id

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=30)
"""How long after a run's end its Workflow and pods may still be behind."""

BLIND_PATIENCE = timedelta(hours=1)
"""How long it is waited for Kubernetes, where that does not answer."""

MOST_UNSETTLED = 1000
"""More runs are not waited with: they teach what is known of them."""

LONGEST_AWAY = timedelta(days=1)
"""What ended longer ago, while no server was there, left neither Workflow nor pods; `learn --since` reads it."""

Teach = Callable[[Sequence[Lesson]], Awaitable[None]]
Shadow = Callable[[WaitingRun], Awaitable[Mapping[str, str]]]
"""Where a strategy would put the tasks of a run: node by task path."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What one look brought."""

    runs: int = 0
    tasks: int = 0
    without_nodes: int = 0


class Observer:
    """Observes the runs of the namespaces. `away_since`: what ended since then may not have been observed.

    Args:
        sights: what is seen of a run's tasks.
        is_blind: whether tasks cannot be seen now, and may be later.
        teach: takes what was learned.
        shadow: what would have been decided; None records nothing of it.
    """

    def __init__(
        self,
        client: KfpClient,
        *,
        namespaces: Namespaces,
        file: Path,
        sights: Callable[[str], list[TaskSight]],
        teach: Teach,
        shadow: Shadow | None,
        now: Callable[[], datetime],
        is_blind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client, self._namespaces, self._file, self._sights = client, namespaces, file, sights
        self._teach, self._shadow, self._now, self._is_blind = teach, shadow, now, is_blind
        self._would: dict[str, Mapping[str, str]] = {}
        self._unsettled: dict[str, KfpRun] = {}
        observed = read_observed(file)
        self._done = {str(line["run"]) for line in observed}
        self.away_since = _away_since(observed, now())
        self._offered: list[KfpRun] = []
        self._news = asyncio.Event()

    def offer(self, runs: Iterable[KfpRun]) -> None:
        """Runs that somebody just saw: so that nobody has to ask for them twice."""
        self._offered = list(runs)
        self._news.set()

    async def observe_forever(self) -> None:
        """Observe what is offered, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.take(self._offered)
            except MlopxError as error:
                log.warning("runs of others could not be observed: %s", error.message)

    async def take(self, runs: Iterable[KfpRun]) -> Learned:
        """Note what would be done with runs that begin, and learn from those that ended."""
        found = [run for run in runs if our_id(run.name) is None]
        for run in found:
            if not run.is_over:
                await self._foresee(run)
        ended = {**self._unsettled, **{run.id: run for run in found if run.is_over}}
        return await self._learn_from(ended.values())

    async def learn(self, since: datetime) -> Learned:
        """Learn from all runs that ended since then and were not learned from before."""
        text = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        predicate = {"operation": "GREATER_THAN_EQUALS", "key": "finished_at", "timestampValue": text}
        lists = [await self._client.list([predicate], namespace=name) for name in self._namespaces.names]
        return await self.take(run for found in lists for run in found)

    async def _learn_from(self, ended: Iterable[KfpRun]) -> Learned:
        runs = tasks = unknown = 0
        for run in ended:
            if run.id in self._done:
                continue
            sights = self._sights(run.id)
            found = lessons(run, pipeline_of(run), sights)
            is_told = bool(found) and not any(sight.phase in ("queued", "running") for sight in sights)
            if not is_told and self._may_be_told(run):
                self._unsettled[run.id] = run
                continue
            self._unsettled.pop(run.id, None)
            await self._keep(run, found)
            runs, tasks, unknown = runs + 1, tasks + len(found), unknown + (not found)
        return Learned(runs, tasks, unknown)

    def _may_be_told(self, run: KfpRun) -> bool:
        """Whether more may become known of an ended run's tasks."""
        is_many = run.id not in self._unsettled and len(self._unsettled) >= MOST_UNSETTLED
        if run.finished_at is None or is_many:
            return False
        return self._now() - run.finished_at < (BLIND_PATIENCE if self._is_blind() else PATIENCE)

    async def _foresee(self, run: KfpRun) -> None:
        """Ask once, when a run is first seen, where its tasks would have been placed."""
        if self._shadow is None or run.id in self._would or run.id in self._done:
            return
        self._would[run.id] = {}
        pipeline = pipeline_of(run)
        if pipeline is not None and pipeline.placeable():
            self._would[run.id] = await self._shadow(waiting(run, pipeline, self._now()))

    async def _keep(self, run: KfpRun, found: Sequence[Lesson]) -> None:
        if found:
            await self._teach(found)
        would = self._would.pop(run.id, {})
        lines = [_line(one, would.get(one.task.split(".")[0])) for one in found] or [{"run": run.id, "name": run.name}]
        await asyncio.to_thread(_append, self._file, lines)
        self._done.add(run.id)


def read_observed(file: Path) -> list[dict[str, Any]]:
    """Everything observed so far; a last line that was cut off is left out."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _away_since(observed: Iterable[Mapping[str, Any]], now: datetime) -> datetime | None:
    """Since when nobody may have looked; None where nobody ever did."""
    ends = (datetime.fromisoformat(line["finished_at"]) for line in observed if "finished_at" in line)
    last = max(ends, default=None)
    return max(last, now - LONGEST_AWAY) if last is not None else None


def _line(lesson: Lesson, would: str | None) -> dict[str, Any]:
    return {
        "run": lesson.run_id,
        "name": lesson.run_name,
        "task": lesson.task,
        "state": lesson.state,
        "node": lesson.node,
        "would_have_been": would,
        "queue_seconds": lesson.queue_seconds,
        "pull_seconds": lesson.pull_seconds,
        "run_seconds": lesson.run_seconds,
        "finished_at": lesson.finished_at.isoformat(),
    }


def _append(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a", encoding="utf-8") as target:
        target.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


__all__ = ["Learned", "Observer", "read_observed"]
