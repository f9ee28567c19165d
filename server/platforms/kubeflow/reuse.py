"""Which tasks of a run Kubeflow will take from its cache: they take no time, and a plan should know that before.

Kubeflow recognises equal work by inputs, outputs, command, image and claims, wherever it ran. Here a task's work is its
component with its arguments, and instead of what other tasks hand over, their work: what was taken from the cache hands
over the same again. What ended well once is remembered, in a file too. Where Kubeflow runs such work again all the same
(its cache was emptied, or is turned off), nothing is foreseen until its cache is seen to answer again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from mlopx.spec import Const, Item, Param, RunFact, VolumePath
from server.domain.events import Event, RunEnded, TaskSucceeded
from server.domain.request import Confining, Defaults
from server.domain.resolve import (
    BadValueError,
    NeverError,
    NotYetError,
    Reader,
    VolumeFile,
    instances,
    shared_iteration,
)
from server.domain.run import Run, TaskKey
from server.domain.states import TaskState
from server.domain.underway import UNBEGUN

log = logging.getLogger(__name__)

MOST_KNOWN = 200_000
"""More kinds of work than this are not remembered: the oldest go."""

MOST_RUNS = 2000
"""Of more runs at once the work is not kept."""

MOST_MISSES = 2
"""So often work may run again that was foreseen to come from the cache; then nothing is foreseen any more."""


class CacheMemory:
    """What Kubeflow's cache is known to hold. `version` changes with whether that is believed."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known = dict.fromkeys(_read(file)) if file is not None else {}
        self._work: dict[str, tuple[int, Mapping[TaskKey, str]]] = {}
        self._foreseen: dict[str, frozenset[TaskKey]] = {}
        self._misses = 0
        self.version = 0

    @property
    def is_working(self) -> bool:
        """Whether the cache is not known to have failed."""
        return self._misses == 0

    def completing(self, defaults: Defaults) -> Confining:
        """The same defaults, that also say which tasks of a run will come from the cache."""
        if isinstance(defaults, Confining):
            return Confining(defaults.fill, defaults.confine, lambda: defaults.version() + self.version, self.foresee)
        return Confining(
            lambda asked, project: defaults(asked),
            lambda task, definition, project: task,
            lambda: self.version,
            self.foresee,
        )

    def foresee(self, run: Run) -> frozenset[TaskKey]:
        """The tasks of a run that will come from the cache, as far as that is known."""
        if not self._known or self._misses >= MOST_MISSES:
            return frozenset()
        return frozenset(key for key, work in self._work_of(run).items() if work in self._known)

    def follow(self, run: Run) -> None:
        """A run was handed over: what becomes of its tasks will be told. After a restart some may have begun or ended:
        whether the first come from the cache is decided already, and the others may not have been remembered."""
        if run.id not in self._foreseen:
            foreseen, work = self.foresee(run), self._work_of(run)
            self._foreseen[run.id] = frozenset(key for key in foreseen if run.tasks[key].state in UNBEGUN)
            for key, task in run.tasks.items():
                if task.state is TaskState.SUCCEEDED and key in work and work[key] not in self._known:
                    self._remember(work[key])

    def told(self, run_id: str, event: Event) -> None:
        """Something happened in a run that is followed."""
        if isinstance(event, RunEnded):
            self._work.pop(run_id, None)
            self._foreseen.pop(run_id, None)
        if not isinstance(event, TaskSucceeded):
            return
        if event.from_cache:
            self._change_misses(0)
        elif event.key in self._foreseen.get(run_id, ()):
            self._change_misses(self._misses + 1)
        work = self._work[run_id][1].get(event.key) if run_id in self._work else None
        if work is not None and work not in self._known:
            self._remember(work)

    def _work_of(self, run: Run) -> Mapping[TaskKey, str]:
        """Worked out again only where loops were expanded meanwhile; nothing else changes it."""
        count, work = self._work.get(run.id, (0, {}))
        if count != len(run.tasks):
            work = work_of(run)
            self._work[run.id] = (len(run.tasks), work)
            while len(self._work) > MOST_RUNS:
                self._work.pop(next(iter(self._work)))
        return work

    def _change_misses(self, count: int) -> None:
        if count != self._misses:
            self._misses, self.version = count, self.version + 1

    def _remember(self, work: str) -> None:
        self._known[work] = None
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with open(self._file, "a", encoding="ascii") as target:
                target.write(f"{work}\n")
        except OSError as error:
            log.warning("what Kubeflow's cache holds is not remembered over restarts any more: %s", error)
            self._file = None


def work_of(run: Run) -> dict[TaskKey, str]:
    """What each task's work is recognised by; tasks that must not be cached, or cannot be recognised, are left out."""
    found: dict[TaskKey, str] = {}
    if not run.options.is_caching:
        return found
    rank = {path: index for index, path in enumerate(run.graph.order)}
    foreign = run.graph.spec.foreign
    original = hashlib.sha256(foreign.text.encode()).hexdigest() if foreign is not None else None
    for key in sorted(run.tasks, key=lambda one: (rank[one.path], one.iteration)):
        work = _work(run, key, found, original)
        if work is not None:
            found[key] = work
    return found


def _work(run: Run, key: TaskKey, found: Mapping[TaskKey, str], original: str | None) -> str | None:
    graph, definition = run.graph, run.graph.task(key.path)
    is_fit = definition.cache and key.path != graph.spec.exit_task and key.path not in run.options.anew
    if not is_fit or any(option.image for option in definition.options):
        return None
    component = graph.component(key.path)
    try:
        document = {
            "component": graph.component_digests[component.name],
            "image": definition.image or component.image,
            "environment": definition.environment,
            "volumes": [volume.model_dump(mode="json") for volume in definition.volumes],
            "arguments": _arguments(run, key),
            "before": [found[one] for one in _before(run, key)],
            "original": [original, key.path, key.iteration, run.parameters] if original is not None else None,
        }
        text = json.dumps(document, sort_keys=True, default=dict)
    except (NotYetError, NeverError, BadValueError, LookupError, TypeError, ValueError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _arguments(run: Run, key: TaskKey) -> dict[str, object]:
    """What is known before anything runs, as it is; what another task hands over, as it is written."""
    reader = Reader(run, run.graph.loops[key.path], key.iteration)
    found: dict[str, object] = {}
    for port, value in run.graph.task(key.path).arguments.items():
        if isinstance(value, RunFact):
            raise BadValueError("it is told something of its run: no other run will do the same work")
        if isinstance(value, Const | Param | Item | VolumePath):
            data = reader.read(value)
            found[port] = [data.volume, data.path] if isinstance(data, VolumeFile) else data
        else:
            found[port] = value.model_dump(mode="json")
    return found


def _before(run: Run, key: TaskKey) -> list[TaskKey]:
    """The tasks that a task waits for. Raises NotYetError or NeverError where they are not known."""
    around = run.graph.loops[key.path]
    return [
        one.key
        for path in run.graph.waits_for[key.path]
        for one in instances(run, path, shared_iteration(run, path, around, key.iteration))
    ]


def _read(file: Path) -> list[str]:
    """What was remembered before, the latest of it; the file is made short again where it grew long."""
    try:
        lines = [line for line in file.read_text(encoding="ascii", errors="ignore").splitlines() if len(line) == 64]
    except OSError:
        return []
    if len(lines) > 2 * MOST_KNOWN:
        temporary = file.with_suffix(".part")
        temporary.write_text("".join(f"{line}\n" for line in lines[-MOST_KNOWN:]), encoding="ascii")
        temporary.replace(file)
    return lines[-MOST_KNOWN:]


__all__ = ["CacheMemory", "work_of"]
