"""Remembers what finished attempts teach: run times for the estimators, outputs for the cache.

Works behind the journal: nothing waits for it, and what it missed while the server was down is no loss of truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from server.components.caching import cache_key
from server.components.images import ImagesKnown
from server.domain import events as happened
from server.domain.lifecycle import Change
from server.domain.node import Node
from server.domain.placement import TaskOption
from server.domain.request import Defaults, defaults_for, options_of, waiting_task
from server.domain.run import Attempt, Run, TaskKey
from server.domain.states import Binding
from server.estimators.classes import node_class
from server.estimators.interface import Observation, Profile
from server.stores.interface import CacheEntry, FinishedAttempt, RunStoreInterface

log = logging.getLogger(__name__)

MOST_TAUGHT = 50_000
"""So many of the latest attempts are taught at start; the estimators would keep no more of older ones."""

Learn = Callable[[Sequence[Observation]], None]


class Historian:
    """Writes finished attempts and cache entries in the background, then teaches the estimators.

    `learn` is told of every attempt as it ends, `teach` of many past ones at start. `images` tells which of them had
    to pull their images, and must hear of a change first.
    """

    def __init__(
        self,
        *,
        store: RunStoreInterface,
        learn: Learn,
        teach: Learn,
        node_of: Callable[[str], Node | None],
        defaults: Defaults,
        images: ImagesKnown | None = None,
    ) -> None:
        self._store, self._learn, self._teach, self._images = store, learn, teach, images
        self._node_of, self._defaults = node_of, defaults
        self._waiting: asyncio.Queue[tuple[list[FinishedAttempt], list[CacheEntry]]] = asyncio.Queue()

    async def load(self) -> None:
        """Teach the estimators the latest of what is on record, at start."""
        after = max(await asyncio.to_thread(self._store.last_finished_id) - MOST_TAUGHT, 0)
        while page := await asyncio.to_thread(self._store.finished, after=after):
            self._teach([observation_of(one) for one in page])
            after = page[-1].id

    def notice(self, change: Change) -> None:
        """Take note of attempts that ended in this change."""
        finished: list[FinishedAttempt] = []
        entries: list[CacheEntry] = []
        for event in change.events:
            if isinstance(event, happened.TaskSucceeded) and not event.from_cache:
                finished.extend(self._finished(change.run, event.key, event.attempt, "succeeded"))
                entries.extend(_cache_entry(change.run, event))
            elif isinstance(event, happened.TaskFailed):
                state = event.error.kind if event.error.kind in ("oom", "timeout") else "failed"
                finished.extend(self._finished(change.run, event.key, event.attempt, state))
        if finished or entries:
            self._waiting.put_nowait((finished, entries))

    async def keep(self, finished: Sequence[FinishedAttempt]) -> None:
        """Keep what was learned elsewhere, and teach it."""
        await asyncio.to_thread(self._store.add_finished, finished)
        self._learn([observation_of(one) for one in finished])

    async def write_forever(self) -> None:
        """Write what was noted, until cancelled."""
        while True:
            finished, entries = await self._waiting.get()
            while not self._waiting.empty():
                more_finished, more_entries = self._waiting.get_nowait()
                finished.extend(more_finished)
                entries.extend(more_entries)
            if finished:
                await asyncio.to_thread(self._store.add_finished, finished)
                self._learn([observation_of(one) for one in finished])
            if entries:
                await asyncio.to_thread(self._store.put_cache, entries)

    def _finished(self, run: Run, key: TaskKey, number: int, state: str) -> list[FinishedAttempt]:
        task = run.tasks[key]
        attempt = next((one for one in task.attempts if one.number == number), None)
        if attempt is None or attempt.run_seconds is None or attempt.finished_at is None:
            return []
        if attempt.actual_node is None and run.options.binding is Binding.AT_SUBMISSION:
            return []  # nobody saw where it ran, nor exactly when
        name = attempt.actual_node or attempt.node or ""
        node = self._node_of(name)
        view = waiting_task(run, task, self._defaults)
        option = _option_of(run, key, attempt, self._defaults)
        begun = self._images.begun(run.id, key, number) if self._images is not None else None
        return [
            FinishedAttempt(
                id=0,
                run_id=run.id,
                task=str(key),
                component=view.component,
                component_digest=view.component_digest,
                option=option.name,
                node=name,
                node_class=node_class(node) if node else "",
                node_speed=node.speed if node else 1.0,
                cpu_millicores=option.requests.cpu_millicores,
                accelerators=option.requests.accelerators,
                input_bytes=view.input_bytes,
                run_seconds=attempt.run_seconds,
                state=state,
                finished_at=attempt.finished_at,
                peak_memory_bytes=attempt.peak_memory_bytes,
                workload=view.workload,
                parameters=view.parameters,
                given=view.given,
                node_speeds=node.speeds if node else {},
                node_cores=node.allocatable.cpu_millicores / 1000 if node else 0.0,
                start_seconds=_start_seconds(attempt),
                queue_seconds=attempt.queue_seconds,
                pull_seconds=attempt.pull_seconds,
                image=begun.image if begun else "",
                image_bytes=begun.size_bytes if begun else None,
                had_image=begun.had_image if begun else None,
            )
        ]


def _start_seconds(attempt: Attempt) -> float | None:
    """From handing the attempt over to its start: queue at the platform, image, process."""
    handed_over = attempt.placed_at or attempt.queued_at
    if handed_over is None or attempt.started_at is None:
        return None
    return max((attempt.started_at - handed_over).total_seconds(), 0.0)


def _option_of(run: Run, key: TaskKey, attempt: Attempt, defaults: Defaults) -> TaskOption:
    filled = defaults_for(run.options.project, defaults)
    choices = options_of(run.graph.task(key.path), run.graph.component(key.path), filled)
    return next((choice for choice in choices if choice.name == attempt.option), choices[0])


def _cache_entry(run: Run, event: happened.TaskSucceeded) -> list[CacheEntry]:
    found = cache_key(run, event.key)
    if found is None:
        return []
    return [CacheEntry(found, run.id, str(event.key), dict(event.outputs), event.at)]


def observation_of(one: FinishedAttempt) -> Observation:
    """What the estimators learn of a finished attempt."""
    profile = Profile(
        component=one.component,
        component_digest=one.component_digest,
        option=one.option,
        cpu_millicores=one.cpu_millicores,
        accelerators=one.accelerators,
        input_bytes=one.input_bytes,
        workload=one.workload,
        parameters=one.parameters,
        given=one.given,
    )
    return Observation(
        profile=profile,
        node=one.node,
        node_class=one.node_class,
        node_speed=one.node_speed,
        run_seconds=one.run_seconds,
        state=one.state,
        finished_at=one.finished_at,
        peak_memory_bytes=one.peak_memory_bytes,
        node_speeds=one.node_speeds,
        node_cores=one.node_cores,
        start_seconds=one.start_seconds,
        queue_seconds=one.queue_seconds,
        pull_seconds=one.pull_seconds,
        image=one.image,
        image_bytes=one.image_bytes,
        had_image=one.had_image,
    )
