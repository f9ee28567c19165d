"""Offers a new placement to runs of which tasks wait in vain at the platform, and carries it out where nothing is lost.

A platform that took a whole run keeps its placements: only a new run can change them, and what a new run does again may
have side effects. So a user is asked, unless all that is finished is known to come from the platform's cache.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from server.components.clock import Clock
from server.components.journal import Journal
from server.domain.errors import MlopxError
from server.domain.events import ReplacementOffered, TaskSucceeded
from server.domain.lifecycle import Change
from server.domain.placement import WaitingRun
from server.domain.request import Defaults, waiting_run
from server.domain.run import Run, TaskKey, TaskRun
from server.domain.states import Binding, RunState, TaskState

log = logging.getLogger(__name__)

NO_HELP = ("quota", "no pod yet")
"""What a task waits for that no other node would give it; beginnings of the reasons that the platform tells."""

Starts = Callable[[WaitingRun], Awaitable[Mapping[TaskKey, str]]]
"""On which nodes the ready tasks of a run could start now, by the strategy."""

Replace = Callable[[str], Awaitable[Run]]
Stop = Callable[[str, str], Awaitable[None]]


class Replacer:
    """Looks after runs that were handed over whole.

    Args:
        patience_seconds: how long a task waits at the platform before it is reported.
        replace: carries out the offer of a run.
        stop: stops a run (by id) of which another (by id) takes the place.
        is_acting: whether offers without doubts are carried out without asking anybody.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        starts: Starts,
        replace: Replace,
        stop: Stop,
        defaults: Defaults,
        clock: Clock,
        patience_seconds: float,
        is_acting: Callable[[], bool],
    ) -> None:
        self._journal, self._starts, self._replace, self._stop = journal, starts, replace, stop
        self._defaults, self._clock, self._patience = defaults, clock, timedelta(seconds=patience_seconds)
        self._is_acting = is_acting
        self._looked: dict[str, datetime] = {}
        self.has_seen_cache = False

    def notice(self, change: Change) -> None:
        """Remember that the platform's cache works, once it is seen to."""
        if change.run.options.binding is Binding.AT_SUBMISSION and not self.has_seen_cache:
            self.has_seen_cache = any(isinstance(event, TaskSucceeded) and event.from_cache for event in change.events)

    async def look_forever(self, every_seconds: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self._clock.sleep(every_seconds)
            await self.look()

    async def look(self) -> None:
        """Offer what can be offered now; finish what a crash left half done."""
        live = {run.id: run for run in self._journal.live()}
        self._looked = {run_id: at for run_id, at in self._looked.items() if run_id in live}
        for run in live.values():
            try:
                old = live.get(run.retry_of or "")
                if old is not None and not old.replaced_by:
                    await self._stop(old.id, run.id)
                elif is_followed(run):
                    await self._look_at(run)
            except MlopxError as error:
                log.info("run %s is not placed anew: %s", run.id, error.message)

    async def _look_at(self, run: Run) -> None:
        now = self._clock.now()
        waiting = stuck(run, now - self._patience)
        if not waiting or now - self._looked.get(run.id, run.submitted_at) < self._patience / 10:
            return
        self._looked[run.id] = now
        found = await self._starts(as_waiting(run, self._defaults))
        nodes = {str(key): found[key] for key in waiting if key in found and found[key] != run.tasks[key].current.node}
        if not nodes:
            return
        doubts = self._doubts(run)
        await self._journal.apply(
            run.id, ReplacementOffered(at=now, nodes=nodes, reason=_reason(run, nodes, now), doubts=doubts)
        )
        if not doubts and run.retry_of is None and self._is_acting():
            new = await self._replace(run.id)
            log.info("run %s waited in vain; run %s takes its place", run.id, new.id)

    def _doubts(self, run: Run) -> tuple[str, ...]:
        found = repeated(run)
        has_finished = any(task.state is TaskState.SUCCEEDED for task in run.tasks.values())
        if has_finished and not found and not self.has_seen_cache:
            return ("the platform's cache was not seen to work yet: finished tasks may run again",)
        return found


def is_followed(run: Run) -> bool:
    """Whether the platform has the whole run, and nobody stops it."""
    return (
        run.options.binding is Binding.AT_SUBMISSION
        and run.platform_run_id is not None
        and run.state in (RunState.DISPATCHED, RunState.RUNNING)
        and not run.replaced_by
    )


def stuck(run: Run, since: datetime) -> list[TaskKey]:
    """Tasks that wait at the platform since then or longer, for something that another node may give them."""
    return [
        key
        for key, attempt in run.attempts_in(TaskState.QUEUED)
        if attempt.queued_at is not None
        and attempt.queued_at <= since
        and run.tasks[key].hold
        and not run.tasks[key].hold.startswith(NO_HELP)
    ]


def as_waiting(run: Run, defaults: Defaults) -> WaitingRun:
    """The run as if what has not started were not placed yet."""
    unbound = {
        key: TaskRun(key) if task.state is TaskState.QUEUED or not (task.state.is_end or task.state.is_bound) else task
        for key, task in run.tasks.items()
    }
    view = waiting_run(replace(run, tasks=unbound), defaults)
    return replace(view, tasks=tuple(replace(task, is_ready=not task.waits_for) for task in view.tasks))


def repeated(run: Run) -> tuple[str, ...]:
    """What a new run would do once more, in words."""
    found = []
    for key, task in run.tasks.items():
        if task.state is TaskState.RUNNING:
            found.append(f"task {key} runs now, and would begin anew")
        elif task.state is TaskState.FAILED:
            found.append(f"task {key} failed, and would be tried again")
        elif task.state is TaskState.SUCCEEDED and not may_be_cached(run, key):
            found.append(f"task {key} is finished and not cached: it would run again")
    return tuple(found)


def may_be_cached(run: Run, key: TaskKey) -> bool:
    """Whether the platform may take a task of the run, or of one like it, from its cache."""
    return run.options.is_caching and run.graph.task(key.path).cache and key.path not in run.options.anew


def _reason(run: Run, nodes: Mapping[str, str], now: datetime) -> str:
    tasks = {str(key): task for key, task in run.tasks.items()}
    name, node = next(iter(nodes.items()))
    task = tasks[name]
    minutes = ((now - task.current.queued_at).total_seconds() if task.current.queued_at else 0.0) / 60
    more = f" (and {len(nodes) - 1} more)" if len(nodes) > 1 else ""
    return f"task {name} waits since {minutes:.0f} min: {task.hold}; it could start on node {node} now{more}"


__all__ = ["Replacer", "as_waiting", "is_followed", "may_be_cached", "repeated", "stuck"]
