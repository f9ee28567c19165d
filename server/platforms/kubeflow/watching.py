"""Sees what becomes of runs: Workflows and pods by watch where we may, else what KFP tells of tasks, or of whole runs.

Three sources, one place where they meet: `digest` makes the events of a run from all that is known of it now. Every
source may be late, missing or wrong alone; nothing is told from one that another is about to contradict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from server.domain.errors import MlopxError
from server.domain.run import TaskKey
from server.domain.states import RunState
from server.kube.client import KubeClient
from server.kube.mirror import Name
from server.kube.reading import PodSeen
from server.platforms.kubeflow.client import KfpRun
from server.platforms.kubeflow.endings import lost_ending, record_ending, workflow_ending
from server.platforms.kubeflow.follower import Ending, Follower
from server.platforms.kubeflow.mirrors import GRACE, Mirrors, named
from server.platforms.kubeflow.namespaces import in_kubernetes
from server.platforms.kubeflow.orphans import Orphans
from server.platforms.kubeflow.outbox import Outbox
from server.platforms.kubeflow.pod_events import PodEvents, is_silent
from server.platforms.kubeflow.polling import Poller
from server.platforms.kubeflow.shown import Shown
from server.platforms.kubeflow.sight import TaskSight, WorkflowSeen, joined, read_driver
from server.platforms.kubeflow.task_records import read_tasks, tells_tasks
from server.platforms.kubeflow.watchdog import why_driver_waits, why_waiting

log = logging.getLogger(__name__)

EVENTS_SECONDS = 10.0
"""How often events are asked for at most."""

ASKED_AGAIN = timedelta(hours=1)
"""When a server that does not tell of tasks is asked for them again: it may have been updated."""

OnEnded = Callable[[Follower, TaskKey, int, tuple[str, str]], None]
OnWaiting = Callable[[Follower, TaskKey, str | None, tuple[str, str] | None], None]


class Watcher:
    """Follows all our runs.

    Args:
        on_ended: an attempt's pod has ended: keep its log, and say so (`log_came`); that is asked for again after a
            restart, and a run's end is not told before, unless it takes long.
        on_waiting: a task waits, for this reason, or (None) for nothing any more.
    """

    def __init__(
        self,
        *,
        kube: KubeClient | None,
        pollers: Mapping[str, Poller],
        outbox: Outbox,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        update_seconds: float,
        on_ended: OnEnded,
        on_waiting: OnWaiting,
    ) -> None:
        self._pollers, self._outbox, self._now, self._sleep = pollers, outbox, now, sleep
        self._update_seconds, self._on_ended, self._on_waiting = update_seconds, on_ended, on_waiting
        self.followers: dict[str, Follower] = {}
        self.mirrors = Mirrors(
            kube, pollers, now=now, sleep=sleep, on_workflow=self._workflow_changed, on_pod=self._pod_changed
        )
        self._events = PodEvents(kube, now) if kube is not None else None
        self._shown = Shown(self.followers)
        self._orphans = Orphans(kube, now)
        self._records: dict[str, KfpRun] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._tells_tasks_from = now()
        self._on_runs: Callable[[Iterable[KfpRun]], None] | None = None
        self._poll_problems: dict[str, MlopxError] = {}

    def parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What must run in the background."""
        found: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "poll": self.poll_forever,
            "digest": self.digest_forever,
            **self.mirrors.parts(),
        }
        if self._events is not None:
            found["events"] = self.ask_events_forever
        return found

    def problems(self) -> dict[str, str]:
        """What cannot be seen now, and why."""
        found = {named("kubeflow", name): problem.message for name, problem in self._poll_problems.items()}
        told = self._events.problems if self._events is not None else {}
        events = {named("events", namespace): problem for namespace, problem in told.items()}
        return found | self.mirrors.problems() | events

    def tell_all(self, on_runs: Callable[[Iterable[KfpRun]], None], since: datetime | None = None) -> None:
        """Look at everybody's runs from now on (those that ended, from `since` on), and tell of what was seen."""
        self._on_runs = on_runs
        for poller in self._pollers.values():
            poller.is_all = True
            if since is not None:
                poller.catch_up(since)

    def follow(self, follower: Follower) -> None:
        """Follow a run from now on."""
        if follower.platform_run_id not in self.followers:
            follower.is_seen |= self._shown.workflow(follower.platform_run_id) is not None
            self.followers[follower.platform_run_id] = follower
            self._pollers[follower.namespace].catch_up(follower.since)
            self._mark(follower.platform_run_id)

    def forget(self, run_id: str) -> None:
        """A run's end is stored: nothing more of it is needed."""
        for platform_run_id, follower in list(self.followers.items()):
            if follower.run_id == run_id:
                del self.followers[platform_run_id]
                self._records.pop(platform_run_id, None)
                self._orphans.note(platform_run_id, is_missing=False)
                self._shown.forget(platform_run_id)

    def was_stopped(self, platform_run_id: str) -> bool | None:
        """Whether a run was asked to end, or has ended, in Kubeflow; None while nobody knows."""
        told = [self._shown.workflow(platform_run_id), self._records.get(platform_run_id)]
        known = [one for one in told if one is not None]
        return any(one.was_stopped or one.is_over for one in known) if known else None

    def pod_of(self, follower: Follower, key: TaskKey, attempt: int) -> tuple[str, str] | None:
        """The pod of an attempt, while it is there."""
        for sight in self.sights(follower.platform_run_id):
            if key in follower.keys_of(sight) and follower.attempt_of(key, sight.number) == attempt:
                return sight.pod
        return None

    def sights(self, platform_run_id: str) -> list[TaskSight]:
        """All that is seen of a run's tasks."""
        pods = self._shown.pods(platform_run_id).values()
        follower = self.followers.get(platform_run_id)
        has_pods = self.mirrors.has_pods(follower.namespace if follower is not None else None)
        found = joined(self._shown.workflow(platform_run_id), pods, self._now() - GRACE, has_pods=has_pods)
        record = self._records.get(platform_run_id)
        return read_tasks(record) if not found and record is not None else found

    async def poll_forever(self) -> None:
        """A look every interval; a failure is remembered and the next look sees what this one missed."""
        while True:
            await self.poll()
            await self._sleep(self._update_seconds)

    async def poll(self) -> None:
        """Ask KFP once how our runs stand; namespaces that do not answer keep nobody from seeing the others."""
        self._outbox.repeat_old()
        seen: list[KfpRun] = []
        for name in self._pollers:
            seen.extend(await self._poll(name))
        if self._on_runs is not None and len(self._poll_problems) < len(self._pollers):
            self._on_runs(seen)

    async def _poll(self, namespace: str) -> Iterable[KfpRun]:
        """Ask how those of a namespace stand; what was seen."""
        followers = {run_id: one for run_id, one in self.followers.items() if one.namespace == namespace}
        wanted = [run_id for run_id, follower in followers.items() if not follower.has_ended]
        if not wanted and self._on_runs is None and namespace not in self._poll_problems:
            return ()
        poller = self._pollers[namespace]
        poller.is_full = not self.mirrors.shows_pods(namespace) and self._now() >= self._tells_tasks_from
        try:
            found, gone = await poller.look(wanted)
        except MlopxError as error:
            if namespace not in self._poll_problems:
                log.warning("runs%s cannot be followed now: %s", f" in {namespace}" if namespace else "", error.message)
            self._poll_problems[namespace] = error
            return ()
        self._poll_problems.pop(namespace, None)
        ended = [run for run in found.values() if run.is_over]
        if poller.is_full and ended and not any(map(tells_tasks, ended)):
            self._tells_tasks_from = self._now() + ASKED_AGAIN
        for run_id in (run_id for run_id in wanted if run_id in self.followers):  # its end may be stored meanwhile
            if run_id in found:
                before = self._records.get(run_id)
                was_stopped = found[run_id].was_stopped or (before is not None and before.was_stopped)
                self._records[run_id] = replace(found[run_id], was_stopped=was_stopped)  # its history may leave it out
                await self._end_if_lost(run_id)
            elif run_id in gone:
                ending = Ending(RunState.FAILED, self._now(), "it was deleted in Kubeflow before its end was seen")
                self._end(self.followers[run_id], ending)
            self._mark(run_id)
        return found.values()

    async def _end_if_lost(self, run_id: str) -> None:
        """End a run that KFP has just called live, and whose Workflow is gone."""
        record, follower = self._records[run_id], self.followers[run_id]
        if not record.is_over and await self._orphans.is_lost(run_id, in_kubernetes(follower.namespace)):
            self._end(follower, lost_ending(follower, record, self._now()))

    async def ask_events_forever(self) -> None:
        """Ask what events say of pods that are on their node and say nothing themselves, while there are any."""
        while True:
            await self._sleep(max(self._update_seconds, EVENTS_SECONDS))
            await self.ask_events()

    async def ask_events(self) -> None:
        """One list of warnings for each namespace that has such pods."""
        now = self._now()
        runs = [run_id for run_id, follower in self.followers.items() if not follower.has_ended]
        pods = {run_id: [one for one in self._shown.pods(run_id).values() if is_silent(one, now)] for run_id in runs}
        if self._events is not None:
            await self._events.look([one for found in pods.values() for one in found])
        for run_id in (run_id for run_id, found in pods.items() if found):
            self._mark(run_id)

    def _told(self, pod: PodSeen | None) -> str | None:
        return self._events.said_of(pod) if self._events is not None and pod is not None else None

    async def digest_forever(self) -> None:
        """Tell what is new of every run of which something new was seen."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for run_id in self._take_dirty():
                try:
                    self.digest(run_id)
                except Exception:
                    log.exception("run %s could not be followed", run_id)
            await asyncio.sleep(0)

    def digest(self, platform_run_id: str) -> None:
        """Tell what is new of one run."""
        follower = self.followers.get(platform_run_id)
        if follower is None or follower.has_ended or self.mirrors.is_unseen(follower.namespace):
            return
        now, sights = self._now(), self.sights(platform_run_id)
        self._outbox.put(follower.run_id, follower.news(sights, now))
        for sight in sights:
            self._look_after(follower, sight, now)
        self._look_after_drivers(follower, now)
        ending = self._ending(follower, sights, now)
        if ending is not None:
            follower.over_since = follower.over_since or now
            if all(follower.logs.values()) or now - follower.over_since > GRACE:
                self._end(follower, ending)

    def log_came(self, follower: Follower, key: TaskKey, attempt: int) -> None:
        """An attempt's log is kept, or never will be: its run may end."""
        follower.logs[key, attempt] = True
        self._mark(follower.platform_run_id)

    def _look_after(self, follower: Follower, sight: TaskSight, now: datetime) -> None:
        for key in follower.keys_of(sight):
            attempt = follower.attempt_of(key, sight.number)
            is_over = sight.phase in ("succeeded", "failed") and attempt > 0
            if is_over and sight.pod is not None and (key, attempt) not in follower.logs:
                follower.logs[key, attempt] = False
                self._on_ended(follower, key, attempt, sight.pod)
            if sight.phase != "queued":
                continue
            pod = self._shown.pods(follower.platform_run_id).get(sight.pod) if sight.pod else None
            reason = why_waiting(sight, pod, self._told(pod))
            news = follower.hold(key, reason, now) if reason is not None else follower.go_on(key, now)
            self._outbox.put(follower.run_id, news)
            if news:
                self._on_waiting(follower, key, reason, sight.pod)

    def _look_after_drivers(self, follower: Follower, now: datetime) -> None:
        """A task whose driver cannot start has no pod of its own that could say so."""
        waiting = []
        for pod in self._shown.pods(follower.platform_run_id).values():
            place = read_driver(pod) if not pod.is_over else None
            reason = why_driver_waits(pod, self._told(pod)) if place is not None else None
            if place is not None and reason is not None:
                waiting.append((place, reason))
        self._outbox.put(follower.run_id, follower.hold_for_drivers(waiting, now))

    def _end(self, follower: Follower, ending: Ending) -> None:
        self._outbox.put(follower.run_id, follower.end(ending))

    def _ending(self, follower: Follower, sights: list[TaskSight], now: datetime) -> Ending | None:
        """How the run ended, once every source had the time to say what it knows of its tasks."""
        workflow, record = self._shown.workflow(follower.platform_run_id), self._records.get(follower.platform_run_id)
        patience = self.mirrors.patience(follower.namespace)
        is_open = any(sight.phase in ("queued", "running") for sight in sights)
        if workflow is not None and workflow.phase:
            at = workflow.finished_at or now
            is_settled = not is_open or now - at > patience
            return workflow_ending(follower, workflow, record, at) if is_settled else None
        if record is not None and record.is_over:
            at = record.finished_at or now
            is_told = workflow is None and patience <= GRACE and bool(sights) and not is_open
            is_settled = is_told or not patience or now - at > patience
            return record_ending(follower, record, at) if is_settled else None
        self._orphans.note(follower.platform_run_id, is_missing=workflow is None and self._should_be_seen(follower))
        return None

    def _should_be_seen(self, follower: Follower) -> bool:
        """Whether Kubernetes would show a run's Workflow if there was one: it showed this run, or others there."""
        is_shown = self.mirrors.shows_workflows(follower.namespace)
        return is_shown and (follower.is_seen or len(self.mirrors.workflows[follower.namespace]) > 0)

    def _workflow_changed(self, name: Name, seen: WorkflowSeen | None) -> None:
        run_id = self._shown.workflow_changed(name, seen)
        if seen is not None and run_id in self.followers:
            self.followers[run_id].is_seen = True
        self._mark(run_id)

    def _pod_changed(self, name: Name, seen: PodSeen | None) -> None:
        self._mark(self._shown.pod_changed(name, seen))

    def _mark(self, run_id: str) -> None:
        if run_id in self.followers:
            self._dirty.add(run_id)
            self._wake.set()

    def _take_dirty(self) -> list[str]:
        taken, self._dirty = list(self._dirty), set()
        return taken


__all__ = ["Watcher"]
