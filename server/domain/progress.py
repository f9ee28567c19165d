"""The graph driver shared by platforms without one of their own: which tasks became ready, which will never run.

`advance` looks at the tasks that a change can have touched, expands loops whose items are known, decides conditions,
skips what cannot run and marks what is ready, until nothing moves. It returns the new run and the derived events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from mlopx.spec import ConditionScope, LoopScope, data_dependencies, scope_chain
from server.domain.events import ConditionDecided, Event, LoopExpanded, TaskBecameReady, TaskFailed, TaskSkipped
from server.domain.resolve import (
    BadValueError,
    NeverError,
    NotYetError,
    Reader,
    instances,
    shared_iteration,
    skip_reason,
)
from server.domain.run import Attempt, Expansion, Run, TaskError, TaskKey, TaskRun, loop_key
from server.domain.states import TaskState

MAX_LOOP_ITEMS = 10_000
"""A loop over more items than this fails the run: it is almost always a mistake, and it would drown the queue."""


def advance(run: Run, at: datetime, changed: Iterable[str] | None = None) -> tuple[Run, list[Event]]:
    """Let everything move that can, after the tasks at the paths `changed` ended (None: at the start of the run)."""
    driver = _Driver(run, at)
    driver.drive(run.graph.order if changed is None else driver.touched(changed))
    return driver.result()


def is_over(run: Run) -> bool:
    """Whether every task but the exit task has ended and no loop waits to be expanded."""
    exit_task = run.graph.spec.exit_task
    if any(not task.state.is_end for key, task in run.tasks.items() if key.path != exit_task):
        return False
    for path in run.graph.order:
        if path == exit_task:
            continue
        try:
            for _ in instances(run, path, ()):
                pass
        except NotYetError:
            return bool(run.problems)
        except NeverError:
            continue
    return True


class _Driver:
    """One call of `advance`: works on plain dicts, since a run is frozen."""

    def __init__(self, run: Run, at: datetime) -> None:
        self.graph = run.graph
        self.at = at
        self.events: list[Event] = []
        self.run = replace(run, tasks=dict(run.tasks), expansions=dict(run.expansions), conditions=dict(run.conditions))
        self.tasks: dict[TaskKey, TaskRun] = self.run.tasks  # type: ignore[assignment]  # the copy made above
        self.expansions: dict[str, Expansion] = self.run.expansions  # type: ignore[assignment]  # likewise
        self.conditions: dict[str, bool] = self.run.conditions  # type: ignore[assignment]  # likewise
        self.problems = list(run.problems)
        self.admitted: dict[str, int] = {}

    def result(self) -> tuple[Run, list[Event]]:
        return replace(self.run, problems=tuple(self.problems)), self.events

    def touched(self, changed: Iterable[str]) -> list[str]:
        """Paths whose tasks may move after tasks at `changed` ended: dependents, and neighbours in bounded loops."""
        found: dict[str, None] = {}
        for path in changed:
            found.update(dict.fromkeys(self.graph.dependents[path]))
            for loop in self.graph.loops[path]:
                found.update(dict.fromkeys(self.graph.loop_children[loop]))
                for child in self.graph.loop_children[loop]:
                    found.update(dict.fromkeys(self.graph.dependents[child]))
        return list(found)

    def drive(self, paths: Iterable[str]) -> None:
        """Examine paths until nothing moves; what moves wakes its dependents."""
        waiting = dict.fromkeys(paths)
        while waiting:
            batch = [path for path in self.graph.order if path in waiting]
            waiting = {}
            for path in batch:
                if path != self.graph.spec.exit_task and self._examine(path):
                    waiting.update(dict.fromkeys(self.touched([path])))

    def _examine(self, path: str) -> bool:
        """Move every task run at `path` that can; True if one ended or a loop around it was decided."""
        moved = self._expand(path, self.graph.loops[path], ())
        for iteration in list(self._iterations(path, self.graph.loops[path], ())):
            task = self.tasks.get(TaskKey(path, iteration))
            if task is not None and task.state is TaskState.PENDING:
                moved = self._settle(task) or moved
        return moved

    def _iterations(self, path: str, loops: tuple[str, ...], prefix: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(prefix) == len(loops):
            yield prefix
            return
        expansion = self.expansions.get(loop_key(loops[len(prefix)], prefix))
        for index in range(len(expansion.items) if expansion and expansion.items is not None else 0):
            yield from self._iterations(path, loops, (*prefix, index))

    def _expand(self, path: str, loops: tuple[str, ...], prefix: tuple[int, ...]) -> bool:
        """Create the task runs of `path` under `prefix`, expanding the loops whose items are known."""
        if len(prefix) == len(loops):
            key = TaskKey(path, prefix)
            if key in self.tasks:
                return False
            self.tasks[key] = TaskRun(key)
            return False
        loop = loops[len(prefix)]
        key_text = loop_key(loop, prefix)
        moved = False
        if key_text not in self.expansions:
            expansion = self._expansion(loop, loops[: len(prefix)], prefix)
            if expansion is None:
                return False
            self.expansions[key_text] = expansion
            count = None if expansion.items is None else len(expansion.items)
            self.events.append(LoopExpanded(at=self.at, loop=key_text, count=count, reason=expansion.reason))
            moved = True
        items = self.expansions[key_text].items
        for index in range(len(items) if items is not None else 0):
            moved = self._expand(path, loops, (*prefix, index)) or moved
        return moved

    def _expansion(self, loop: str, around: tuple[str, ...], prefix: tuple[int, ...]) -> Expansion | None:
        """The items of a loop, or None while they are not known."""
        scope = self.graph.spec.scopes[loop]
        if not isinstance(scope, LoopScope):
            raise TypeError(f"scope {loop!r} is no loop")
        try:
            self._require_conditions(scope.parent, prefix)
            items = Reader(self.run, around, prefix).read(scope.items)
            if not isinstance(items, list | tuple):
                raise BadValueError(f"it runs over {type(items).__name__} {items!r}, which is not a list")
            if len(items) > MAX_LOOP_ITEMS:
                raise BadValueError(f"it runs over {len(items)} items; at most {MAX_LOOP_ITEMS} are allowed")
        except NotYetError:
            return None
        except NeverError as never:
            return Expansion(None, never.reason)
        except BadValueError as error:
            self.problems.append(f"loop {loop!r} cannot run: {error}")
            return Expansion(None, "upstream-failed")
        return Expansion(tuple(items))

    def _require_conditions(self, scope: str | None, iteration: tuple[int, ...]) -> None:
        """Raise NeverError unless all conditions from the outermost to `scope` hold in this iteration."""
        around: tuple[str, ...] = ()
        for name, found in scope_chain(self.graph.spec, scope):
            if isinstance(found, LoopScope):
                around = (*around, name)
            elif isinstance(found, ConditionScope) and not self._decide(name, found, around, iteration[: len(around)]):
                raise NeverError("condition")

    def _decide(self, name: str, scope: ConditionScope, around: tuple[str, ...], iteration: tuple[int, ...]) -> bool:
        key = loop_key(name, iteration)
        if key not in self.conditions:
            reader = Reader(self.run, around, iteration)
            verdict = all(reader.holds(clause) for clause in scope.when) and not any(
                all(reader.holds(clause) for clause in group) for group in scope.unless
            )
            self.conditions[key] = verdict
            self.events.append(ConditionDecided(at=self.at, condition=key, is_true=verdict))
        return self.conditions[key]

    def _settle(self, task: TaskRun) -> bool:
        """Make a pending task ready or skip it, if that can be said; True if it ended."""
        key = task.key
        definition = self.graph.task(key.path)
        try:
            self._require_conditions(definition.scope, key.iteration)
            self._require_upstreams(key)
        except NotYetError:
            return False
        except NeverError as never:
            self._end(task, TaskState.SKIPPED, never.reason)
            self.events.append(TaskSkipped(at=self.at, key=key, attempt=1, reason=never.reason))
            return True
        except BadValueError as bad:
            error = TaskError("definition", str(bad), hint="the value comes from the pipeline's own definition or data")
            self._end(task, TaskState.FAILED, "", error)
            self.events.append(TaskFailed(at=self.at, key=key, attempt=1, error=error))
            return True
        if not self._is_admitted(key):
            return False
        ready = replace(task.current, state=TaskState.READY, ready_at=self.at)
        self.tasks[key] = replace(task, attempts=(*task.attempts[:-1], ready), hold="", reason="")
        self.events.append(TaskBecameReady(at=self.at, key=key, attempt=ready.number))
        return False

    def _end(self, task: TaskRun, state: TaskState, reason: str, error: TaskError | None = None) -> None:
        self.admitted.clear()
        ended: Attempt = replace(task.current, state=state, finished_at=self.at, error=error)
        self.tasks[task.key] = replace(task, attempts=(*task.attempts[:-1], ended), reason=reason)

    def _require_upstreams(self, key: TaskKey) -> None:
        """Raise NotYetError or NeverError unless everything the task waits for allows it to run."""
        definition = self.graph.task(key.path)
        around = self.graph.loops[key.path]
        is_lenient = definition.trigger == "all-done"
        reader = Reader(self.run, around, key.iteration)
        optional = self._optional_inputs(key.path)
        for upstream in dict.fromkeys((*definition.after, *data_dependencies(definition))):
            self._require_end(upstream, around, key.iteration, is_lenient or upstream not in definition.after)
        for port, value in definition.arguments.items():
            try:
                reader.read(value)
            except NeverError:
                if not (is_lenient and port in optional):
                    raise

    def _require_end(self, path: str, around: tuple[str, ...], iteration: tuple[int, ...], is_any_end: bool) -> None:
        shared = shared_iteration(self.run, path, around, iteration)
        try:
            for upstream in instances(self.run, path, shared):
                if not upstream.state.is_end or upstream.state is TaskState.LOST:
                    raise NotYetError
                if is_any_end or upstream.state is TaskState.SUCCEEDED:
                    continue
                reason = skip_reason(upstream)
                if reason != "condition":
                    raise NeverError(reason)
        except NeverError as never:
            if not is_any_end and never.reason != "condition":
                raise

    def _optional_inputs(self, path: str) -> set[str]:
        return {port for port, declared in self.graph.component(path).inputs.items() if declared.optional}

    def _is_admitted(self, key: TaskKey) -> bool:
        """Whether the loops' widths let this iteration start: fewer than `width` earlier iterations are unfinished."""
        for depth, loop in enumerate(self.graph.loops[key.path]):
            scope = self.graph.spec.scopes[loop]
            if not isinstance(scope, LoopScope) or scope.width is None:
                continue
            if key.iteration[depth] >= self._admitted(loop, key.iteration[:depth], scope.width):
                return False
        return True

    def _admitted(self, loop: str, prefix: tuple[int, ...], width: int) -> int:
        """How many iterations may have started: up to and including the `width`-th unfinished one."""
        key = loop_key(loop, prefix)
        if key not in self.admitted:
            items = self.expansions[key].items or ()
            unfinished, index = 0, 0
            while index < len(items) and unfinished < width:
                unfinished += self._is_unfinished(loop, (*prefix, index))
                index += 1
            self.admitted[key] = index
        return self.admitted[key]

    def _is_unfinished(self, loop: str, prefix: tuple[int, ...]) -> bool:
        for child in self.graph.loop_children[loop]:
            try:
                for task in instances(self.run, child, prefix):
                    if not task.state.is_end or task.state is TaskState.LOST:
                        return True
            except NotYetError:
                return True
            except NeverError:
                continue
        return False


__all__ = ["MAX_LOOP_ITEMS", "advance", "is_over"]
