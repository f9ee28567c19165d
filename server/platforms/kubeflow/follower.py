"""Follows one run: from what is seen of it to the events that were not told yet. Pure; the platform does the looking.

Kubernetes keeps whole seconds, so a task may seem to start before its run was handed over: instants are never told
before `since`, nor before what was told of the same task already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from server.domain import events as happened
from server.domain.events import Event
from server.domain.graph import Graph
from server.domain.run import Run, TaskError, TaskKey
from server.domain.states import RunState, TaskState
from server.platforms.kubeflow.artifacts import with_artifacts
from server.platforms.kubeflow.notes import Note, read_note
from server.platforms.kubeflow.sight import Place, TaskSight
from server.platforms.kubeflow.watchdog import DRIVER_GOES_ON, DRIVER_WAITS

REASONS = {"OOMKilled": "oom", "DeadlineExceeded": "timeout", "Evicted": "lost", "NodeLost": "lost"}
SKIPS = {"skipped": "condition", "omitted": "upstream-failed"}
_HINTS = {
    "oom": "the task needs more memory than its limit: ask for more",
    "timeout": "the task took longer than its timeout",
    "lost": "its pod was taken away; retry the run",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, by the platform's word."""

    state: RunState
    at: datetime
    error: str = ""


@dataclass(slots=True)
class Told:
    """What was told of one task: our attempt, Kubeflow's number of the try, how far it came, and when that was."""

    attempt: int = 1
    number: int = 0
    state: TaskState = TaskState.PENDING
    at: datetime | None = None

    def move(self, state: TaskState, at: datetime, floor: datetime) -> datetime:
        """Note the next state; returns when it began: never before what was told, nor before `floor`."""
        self.state, self.at = state, max(at, floor, self.at or floor)
        return self.at


@dataclass(slots=True)
class Follower:
    """One run on its way.

    `paths` leads from our task paths to Kubeflow's. `logs` has the attempts whose logs are wanted, with whether they
    came or never will. `is_seen` once Kubernetes told of the run; `over_since` is when its end was first seen here.
    """

    run_id: str
    platform_run_id: str
    namespace: str
    graph: Graph
    paths: Mapping[str, str]
    since: datetime
    tasks: dict[TaskKey, Told] = field(default_factory=dict)
    expected: Mapping[str, Sequence[TaskKey]] = field(default_factory=dict)
    holds: dict[TaskKey, str] = field(default_factory=dict)
    logs: dict[tuple[TaskKey, int], bool] = field(default_factory=dict)
    is_stopping: bool = False
    is_seen: bool = False
    over_since: datetime | None = None
    has_ended: bool = False

    @classmethod
    def of(cls, run: Run, platform_run_id: str, namespace: str, paths: Mapping[str, str]) -> Follower:
        """Go on with a run as the journal has it."""
        tasks = {
            key: Told(task.current.number, task.losses, task.state, task.current.started_at or task.current.queued_at)
            for key, task in run.tasks.items()
            if task.state not in (TaskState.PENDING, TaskState.READY, TaskState.PLACED) or task.losses
        }
        since = run.dispatched_at or run.submitted_at
        is_stopping = run.cancel_requested_at is not None
        expected: dict[str, list[TaskKey]] = {}
        for key in run.tasks:
            expected.setdefault(key.path, []).append(key)
        found = cls(
            run.id, platform_run_id, namespace, run.graph, paths, since, tasks, expected, is_stopping=is_stopping
        )
        found.is_seen = any(task.current.actual_node for task in run.tasks.values())
        found.holds = {
            key: task.hold
            for key, task in run.tasks.items()
            if task.hold and (task.state is TaskState.QUEUED or task.hold.startswith(DRIVER_WAITS))
        }
        return found

    def news(self, sights: Iterable[TaskSight], now: datetime) -> list[Event]:
        """What was not told yet."""
        found: list[Event] = []
        for sight in sights:
            for key in self.keys_of(sight):
                found.extend(self._task(key, self.tasks.setdefault(key, Told()), sight, now))
        return found

    def end(self, ending: Ending) -> list[Event]:
        """The run is over; told once."""
        if self.has_ended:
            return []
        self.has_ended = True
        last = max((told.at for told in self.tasks.values() if told.at), default=self.since)
        at = max(ending.at, last, self.since)
        return [happened.RunEnded(at=at, state=ending.state, error=ending.error)]

    def hold(self, key: TaskKey, reason: str, now: datetime) -> list[Event]:
        """Say why a task waits, if that is new."""
        told = self.tasks.get(key, Told())
        if self.holds.get(key) == reason or told.state not in (TaskState.PENDING, TaskState.QUEUED):
            return []
        self.holds[key] = reason
        return [happened.TaskHeld(at=max(now, self.since), key=key, attempt=told.attempt, reason=reason)]

    def go_on(self, key: TaskKey, now: datetime) -> list[Event]:
        """Say that what a task's own pod waited for is there, if it was said to wait."""
        before = self.holds.get(key, "")
        return self.hold(key, "", now) if before and not before.startswith(DRIVER_WAITS) else []

    def hold_for_drivers(self, waiting: Iterable[tuple[Place, str]], now: datetime) -> list[Event]:
        """Say why tasks wait of which the driver's pod does not start: those there that wait for nothing else.

        `waiting` has all such drivers; of tasks that were held for one and are no more, that is said.
        """
        found: list[Event] = []
        held: set[TaskKey] = set()
        for place, reason in waiting:
            for key in self.keys_of(TaskSight(place, "queued", is_subtree=True)):
                if key not in held and all(told.state.is_end for told in self._upstreams(key)):
                    held.add(key)
                    found.extend(self.hold(key, reason, now))
        for key, reason in list(self.holds.items()):
            if reason.startswith(DRIVER_WAITS) and reason != DRIVER_GOES_ON and key not in held:
                found.extend(self.hold(key, DRIVER_GOES_ON, now))
        return found

    def _upstreams(self, key: TaskKey) -> list[Told]:
        """What was told of what a task waits for; of what was not seen yet, that it is pending."""
        paths = self.graph.waits_for[key.path]
        return [self.tasks.get(one, Told()) for path in paths for one in self.expected.get(path, [TaskKey(path)])]

    def keys_of(self, sight: TaskSight) -> Iterator[TaskKey]:
        """Our tasks that a sight speaks of; of a loop that did not run, those that were expected in it."""
        place, depth = sight.place, len(sight.place.iteration)
        for ours, theirs in self.paths.items():
            is_below = sight.is_subtree and (not place.path or theirs.startswith(f"{place.path}/"))
            is_it = theirs == place.path or is_below
            if is_it and len(self.graph.loops.get(ours, ())) == depth:
                yield TaskKey(ours, place.iteration)
            elif is_it and sight.is_subtree:
                yield from (key for key in self.expected.get(ours, ()) if key.iteration[:depth] == place.iteration)

    def attempt_of(self, key: TaskKey, number: int) -> int:
        """Which attempt of ours a try of Kubeflow's is; below 1 if it was never told as one."""
        told = self.tasks.get(key, Told())
        return told.attempt - (told.number - number)

    def _task(self, key: TaskKey, told: Told, sight: TaskSight, now: datetime) -> Iterator[Event]:
        if told.state.is_end or sight.number < told.number:
            return
        if sight.number > told.number:
            yield from self._next_try(key, told, sight, now)
        if sight.phase in SKIPS:
            at = told.move(TaskState.SKIPPED, now, self.since)
            yield happened.TaskSkipped(at=at, key=key, attempt=told.attempt, reason=SKIPS[sight.phase])
        elif sight.phase == "cached":
            at = told.move(TaskState.SUCCEEDED, sight.finished_at or now, self.since)
            yield happened.TaskSucceeded(at=at, key=key, attempt=told.attempt, from_cache=True)
        else:
            yield from self._begin(key, told, sight, now)
            if sight.phase == "succeeded" or (sight.phase == "failed" and sight.is_final):
                yield self._ended(key, told, sight, now)

    def _next_try(self, key: TaskKey, told: Told, sight: TaskSight, now: datetime) -> Iterator[Event]:
        """What ran before came to nothing; Kubeflow tries again by itself."""
        if told.state in (TaskState.QUEUED, TaskState.RUNNING):
            at = told.move(TaskState.READY, sight.queued_at or now, self.since)
            yield happened.TaskLost(at=at, key=key, attempt=told.attempt, reason="Kubeflow tries it again")
            told.attempt += 1
        told.number = sight.number

    def _begin(self, key: TaskKey, told: Told, sight: TaskSight, now: datetime) -> Iterator[Event]:
        if told.state not in (TaskState.QUEUED, TaskState.RUNNING):
            self.holds.pop(key, None)
            at = told.move(TaskState.QUEUED, sight.queued_at or sight.started_at or now, self.since)
            yield happened.TaskQueued(at=at, key=key, attempt=told.attempt, node=sight.node)
        has_started = sight.phase == "running" or (sight.phase != "queued" and sight.started_at is not None)
        if told.state is TaskState.RUNNING or not has_started:
            return
        scheduled_at = max(sight.scheduled_at, told.at or self.since) if sight.scheduled_at else None
        self.holds.pop(key, None)
        at = told.move(TaskState.RUNNING, sight.started_at or now, scheduled_at or self.since)
        yield happened.TaskStarted(at=at, key=key, attempt=told.attempt, node=sight.node, scheduled_at=scheduled_at)

    def _ended(self, key: TaskKey, told: Told, sight: TaskSight, now: datetime) -> Event:
        note = read_note(sight.note)
        peak = note.peak_memory_bytes
        if sight.phase == "succeeded":
            at = told.move(TaskState.SUCCEEDED, sight.finished_at or now, self.since)
            outputs = with_artifacts(note.outputs, sight.artifacts)
            return happened.TaskSucceeded(
                at=at,
                key=key,
                attempt=told.attempt,
                outputs=outputs,
                peak_memory_bytes=peak,
                inputs_at=note.inputs_at,
            )
        if self.is_stopping:
            at = told.move(TaskState.CANCELLED, sight.finished_at or now, self.since)
            return happened.TaskCancelled(at=at, key=key, attempt=told.attempt, reason="the run was stopped")
        at = told.move(TaskState.FAILED, sight.finished_at or now, self.since)
        error = _error(sight, note)
        return happened.TaskFailed(
            at=at, key=key, attempt=told.attempt, error=error, peak_memory_bytes=peak, inputs_at=note.inputs_at
        )


def _error(sight: TaskSight, note: Note) -> TaskError:
    if note.error is not None:
        return note.error
    kind = REASONS.get(sight.reason, "")
    if not kind:
        kind = "lost" if "deleted" in sight.message else "exit-code" if sight.exit_code else "platform"
    message = sight.message or _ending(sight) or "the task failed"
    return TaskError(kind, message, hint=_HINTS.get(kind, ""), exit_code=sight.exit_code)


def _ending(sight: TaskSight) -> str:
    """How its container ended, in Argo's words, where Argo has not said it yet."""
    return f"{sight.reason or 'Error'} (exit code {sight.exit_code})" if sight.exit_code else sight.reason


__all__ = ["Ending", "Follower", "Told"]
