"""Turning a spec's values into data, as far as a run has got. Nothing here changes a run.

A look-up has three answers: the data, *not yet* (an upstream task is still open), or *never* (it was skipped or
failed).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlopx.spec import (
    Clause,
    Collect,
    Const,
    Item,
    LoopScope,
    OneOf,
    OutputRef,
    Param,
    RunFact,
    Value,
    VolumePath,
)
from server.domain.run import Artifact, Run, TaskKey, TaskRun, loop_key
from server.domain.states import TaskState


class NotYetError(Exception):
    """An upstream task is still open."""


class NeverError(Exception):
    """What is asked for will not come: `reason` is `condition`, `upstream-failed` or `cancelled`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadValueError(Exception):
    """The data is there but of the wrong shape, such as a loop over something that is no list."""


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """A path inside a volume, left to the platform to translate."""

    volume: str
    path: str


Data = Any
"""A JSON value, an `Artifact`, a list of either, or a `VolumeFile`."""


def skip_reason(task: TaskRun) -> str:
    """Why nothing will come of an ended task that did not succeed."""
    if task.state is TaskState.SKIPPED:
        return task.reason or "condition"
    return "cancelled" if task.state is TaskState.CANCELLED else "upstream-failed"


def instances(run: Run, path: str, iteration: tuple[int, ...]) -> Iterator[TaskRun]:
    """All task runs at `path` as seen from inside `iteration` of the loops that both share, in iteration order.

    Raises:
        NotYetError: a loop around `path` is not expanded yet.
        NeverError: a loop around `path` will not run.
    """
    loops = run.graph.loops[path]
    prefix = iteration[: len(loops)]
    if len(prefix) == len(loops):
        task = run.tasks.get(TaskKey(path, prefix))
        if task is None:
            raise NotYetError
        yield task
        return
    expansion = run.expansions.get(loop_key(loops[len(prefix)], prefix))
    if expansion is None:
        raise NotYetError
    if expansion.items is None:
        raise NeverError(expansion.reason)
    for index in range(len(expansion.items)):
        yield from instances(run, path, (*prefix, index))


def shared_iteration(run: Run, path: str, around: tuple[str, ...], iteration: tuple[int, ...]) -> tuple[int, ...]:
    """The part of `iteration` (of the loops `around`) that also holds for `path`."""
    shared = 0
    for ours, theirs in zip(around, run.graph.loops[path], strict=False):
        if ours != theirs:
            break
        shared += 1
    return iteration[:shared]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads values as seen from one place of a run: inside `iteration` of the loops `around`."""

    run: Run
    around: tuple[str, ...] = ()
    iteration: tuple[int, ...] = ()

    def read(self, value: Value) -> Data:
        """The data behind a value. Raises NotYetError, NeverError or BadValueError."""
        if isinstance(value, Const):
            return value.value
        if isinstance(value, Param):
            return self.run.parameters[value.name]
        if isinstance(value, VolumePath):
            return VolumeFile(value.volume, value.path)
        if isinstance(value, Item):
            return self._item(value)
        if isinstance(value, RunFact):
            return run_fact(self.run, value.fact)
        if isinstance(value, OneOf):
            return self._one_of(value)
        if isinstance(value, Collect):
            return self._collect(value)
        return self._output(value)

    def _output(self, value: OutputRef) -> Data:
        shared = shared_iteration(self.run, value.task, self.around, self.iteration)
        (task,) = instances(self.run, value.task, shared)
        return _data_of(task, value.port)

    def _collect(self, value: Collect) -> list[Data]:
        shared = shared_iteration(self.run, value.task, self.around, self.iteration)
        found = []
        for task in instances(self.run, value.task, shared):
            try:
                found.append(_data_of(task, value.port))
            except NeverError as never:
                if never.reason != "condition":
                    raise
        return found

    def _one_of(self, value: OneOf) -> Data:
        reason = "condition"
        for candidate in value.candidates:
            try:
                return self._output(candidate)
            except NeverError as never:
                reason = never.reason if never.reason != "condition" else reason
        raise NeverError(reason)

    def _item(self, value: Item) -> Data:
        depth = self.around.index(value.loop)
        items, index = self._items(value.loop, depth), self.iteration[depth]
        if index >= len(items):
            raise BadValueError(f"loop {value.loop!r} has {len(items)} items, and so no iteration {index}")
        item = items[index]
        if value.key is None:
            return item
        if not isinstance(item, dict) or value.key not in item:
            raise BadValueError(f"loop {value.loop!r}: item {item!r} has no entry {value.key!r}")
        return item[value.key]

    def _items(self, loop: str, depth: int) -> Sequence[Any]:
        """A loop's items: as it was expanded; where the platform expands loops itself (Kubeflow), as they read."""
        expansion = self.run.expansions.get(loop_key(loop, self.iteration[:depth]))
        if expansion is not None:
            if expansion.items is None:
                raise NeverError(expansion.reason)
            return expansion.items
        scope = self.run.graph.spec.scopes[loop]
        if not isinstance(scope, LoopScope):
            raise TypeError(f"scope {loop!r} is no loop")
        items = Reader(self.run, self.around[:depth], self.iteration[:depth]).read(scope.items)
        if not isinstance(items, list | tuple):
            raise BadValueError(f"loop {loop!r} runs over {type(items).__name__}, which is not a list")
        return items

    def holds(self, clause: Clause) -> bool:
        """Whether a comparison is true. Raises as `read` does."""
        left, right = self.read(clause.left), self.read(clause.right)
        try:
            return _COMPARE[clause.operator](left, right)
        except TypeError as error:
            raise BadValueError(f"cannot compare {left!r} {clause.operator} {right!r}") from error


def _data_of(task: TaskRun, port: str) -> Data:
    if not task.state.is_end or task.state is TaskState.LOST:
        raise NotYetError
    if task.state is not TaskState.SUCCEEDED:
        raise NeverError(skip_reason(task))
    output = task.outputs.get(port)
    if output is None:
        raise BadValueError(f"task {task.key} ended without its output {port!r}")
    return output.artifact if output.artifact is not None else output.value


def run_fact(run: Run, fact: str) -> Any:
    """A fact of the run, as an exit task sees it: `state` is what the run would end as."""
    failed = [str(key) for key, task in run.tasks.items() if task.state is TaskState.FAILED]
    if fact == "id":
        return run.id
    if fact == "name":
        return run.name
    if fact == "failed_tasks":
        return failed
    if fact == "error":
        return first_error(run)
    return "cancelled" if run.cancel_requested_at else "failed" if failed or run.problems else "succeeded"


def first_error(run: Run) -> str:
    """One sentence on why the run fails, or an empty text."""
    if run.problems:
        return run.problems[0]
    for key, task in run.tasks.items():
        error = task.current.error
        if task.state is TaskState.FAILED and error is not None:
            return f"task {key} failed: {error.message}"
    return ""


_COMPARE = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
    "in": lambda left, right: bool(left in right),
    "not in": lambda left, right: bool(left not in right),
}

__all__ = [
    "Artifact",
    "BadValueError",
    "Data",
    "NeverError",
    "NotYetError",
    "Reader",
    "VolumeFile",
    "first_error",
    "instances",
    "run_fact",
    "shared_iteration",
    "skip_reason",
]
