"""Between pictures of a moment and what past forecasts taught: bands are corrected, and judged when what they foretell
comes. The live server and the simulator both ask here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from server.components.explaining.scene import Scene
from server.components.explaining.track import KINDS, ForecastTrack, Kind, Subject
from server.components.explaining.values import Band
from server.domain.events import TaskEvent
from server.domain.lifecycle import Change
from server.domain.placement import TaskRef
from server.domain.run import Run
from server.domain.states import RunState

COMES: Mapping[str, tuple[Kind, ...]] = {
    "task-started": ("task-starts",),
    "task-succeeded": ("task-ends", "running-ends"),
}
"""What each event of a task brings about."""

PASSES = ("task-failed", "task-lost", "task-cancelled", "task-skipped")
"""Events after which nothing that was foretold of the task comes by itself."""

OF_TASKS: tuple[Kind, ...] = ("task-starts", "task-ends", "running-ends")


class Correct(Protocol):
    """Bands of one kind under a strategy, as past forecasts allow."""

    def __call__(
        self, kind: Kind, strategy: str, bands: Mapping[Subject, Band], now: datetime, /
    ) -> Mapping[Subject, Band]: ...


@dataclass(frozen=True, slots=True)
class Foretold:
    """Starts and ends of tasks, and ends of runs; what each task waits for, and by run the one after all its others."""

    starts: Mapping[TaskRef, Band]
    ends: Mapping[TaskRef, Band]
    run_ends: Mapping[str, Band]
    waits_for: Mapping[TaskRef, Sequence[TaskRef]] = field(default_factory=dict)
    last: Mapping[str, TaskRef] = field(default_factory=dict)


def calibrated(scene: Scene, track: ForecastTrack, silent: Container[str]) -> Scene:
    """The picture with all starts and ends as past forecasts allow, noted to be judged; `silent` runs stay as is. What
    stands on an assumption teaches nothing, and is not noted."""
    raw = Foretold(scene.starts, scene.ends, scene.run_ends, scene.waits_for, scene.last)
    told = {run for run in scene.runs if run not in silent}
    unsure = scene.runs - told | scene.assumed.keys()
    found = corrected(raw, track.corrected, scene.strategy, scene.now, unsure)
    shown = _by_kind(found, raw, scene.now, unsure)
    for kind, bands in _by_kind(raw, raw, scene.now, unsure).items():
        track.note(kind, scene.strategy, bands, shown[kind], scene.now)
    if told & scene.assumed.keys():
        rest = scene.runs - (told & scene.assumed.keys())
        found = corrected(found, track.around, scene.strategy, scene.now, rest)
    return replace(scene, starts=found.starts, ends=found.ends, run_ends=found.run_ends)


def corrected(raw: Foretold, correct: Correct, strategy: str, now: datetime, silent: Container[str]) -> Foretold:
    """What is foretold, corrected by kind, so that no part contradicts another; runs that are `silent` stay as they
    are."""
    kinds = _by_kind(raw, raw, now, silent)
    shown = {kind: correct(kind, strategy, bands, now) for kind, bands in kinds.items()}
    starts = {**raw.starts, **_of_tasks(shown["task-starts"])}
    ends = {**raw.ends, **_of_tasks(shown["task-ends"]), **_of_tasks(shown["running-ends"])}
    for ref in sorted(ends, key=lambda ref: (raw.starts[ref].p50, raw.ends[ref].p50)):
        for before in raw.waits_for.get(ref, ()):
            starts[ref] = _not_before(starts[ref], ends.get(before, starts[ref]))
        ends[ref] = _not_before(ends[ref], starts[ref])
    run_ends = {**raw.run_ends, **{run: band for (run, _), band in shown["run-ends"].items()}}
    left = Counter(run for run, _ in ends)
    last = {run: ref for run, ref in raw.last.items() if run in run_ends and ref in ends and run not in silent}
    run_ends |= {run: ends[ref] for run, ref in last.items() if left[run] == 1}
    for (run, _), band in ends.items():
        if run in run_ends:
            run_ends[run] = _not_before(run_ends[run], band)
    ends |= {ref: run_ends[run] for run, ref in last.items()}
    return Foretold(starts, ends, run_ends, raw.waits_for, raw.last)


def _by_kind(told: Foretold, raw: Foretold, now: datetime, silent: Container[str]) -> dict[Kind, dict[Subject, Band]]:
    """What is `told`, by kind; which tasks run, the `raw` starts say."""
    kinds: dict[Kind, dict[Subject, Band]] = {kind: {} for kind in KINDS}
    kinds["run-ends"] = {(run, None): band for run, band in told.run_ends.items() if run not in silent}
    for ref, band in told.ends.items():
        if ref[0] in silent:
            continue
        if raw.starts[ref].p50 < now:
            kinds["running-ends"][ref] = band
        else:
            kinds["task-ends"][ref] = band
            kinds["task-starts"][ref] = told.starts[ref]
    return kinds


def came(change: Change) -> Iterator[tuple[Kind, Subject, datetime]]:
    """What came by itself with a change, that may have been foretold."""
    run = change.run
    for event in change.events:
        if isinstance(event, TaskEvent) and not _is_reused(run, event):
            for kind in COMES.get(event.kind, ()):
                yield kind, (run.id, event.key), event.at
    if run.state.is_end and run.state is not RunState.CANCELLED and run.finished_at is not None:
        yield "run-ends", (run.id, None), run.finished_at


def judge(change: Change, track: ForecastTrack) -> None:
    """Judge what was foretold of what came; what was stopped says nothing."""
    for kind, subject, at in came(change):
        track.came(kind, subject, at)
    for event in change.events:
        if isinstance(event, TaskEvent) and (event.kind in PASSES or _is_reused(change.run, event)):
            for kind in OF_TASKS:
                track.forget(kind, (change.run.id, event.key))
    if change.run.state.is_end:
        track.forget_run(change.run.id)


def _of_tasks(bands: Mapping[Subject, Band]) -> dict[TaskRef, Band]:
    return {(run, key): band for (run, key), band in bands.items() if key is not None}


def _is_reused(run: Run, event: TaskEvent) -> bool:
    task = run.tasks.get(event.key)
    return task is not None and task.from_cache


def _not_before(later: Band, earlier: Band) -> Band:
    """No share of what comes later, a task's end after its start or a run's after its tasks', comes before the same
    share of the earlier."""
    return Band(max(later.p10, earlier.p10), max(later.p50, earlier.p50), max(later.p90, earlier.p90))


__all__ = ["Foretold", "calibrated", "came", "corrected", "judge"]
