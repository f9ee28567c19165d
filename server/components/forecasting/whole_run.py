"""A run as it would be if nothing about it were open: every task that may come, as a strategy sees it.

Loops over items that are only known later have as many iterations as in an earlier run, or one where there was none;
conditions that are not decided count as true. What was assumed is said in sentences. Plans and ends of live runs count
alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from mlopx.spec import LoopScope
from server.domain.placement import WaitingRun, WaitingTask
from server.domain.request import Defaults, waiting_run, waiting_task
from server.domain.run import Run, TaskKey, TaskRun, loop_key, loop_of


@dataclass(frozen=True, slots=True)
class WholeRun:
    """All tasks that may come, and what was assumed about them."""

    run: WaitingRun
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoopWidths:
    """How many items loops had, by their names, and in which run."""

    items: Mapping[str, int] = field(default_factory=dict)
    run_id: str = ""


UNKNOWN_WIDTHS = LoopWidths()


def whole_run(
    run: Run,
    defaults: Defaults,
    input_bytes: Mapping[str, float] | None = None,
    widths: LoopWidths = UNKNOWN_WIDTHS,
) -> WholeRun:
    """The run with the tasks that its loops, conditions and exit task still bring.

    `input_bytes`: how much tasks of a component (by digest) read before, for those whose inputs are not there yet.
    """
    view = with_coming(run, waiting_run(run, defaults), defaults, widths, input_bytes)
    return WholeRun(view, tuple(_assumptions(run, widths)))


def with_coming(
    run: Run,
    view: WaitingRun,
    defaults: Defaults,
    widths: LoopWidths,
    input_bytes: Mapping[str, float] | None = None,
) -> WaitingRun:
    """The view with the tasks that are to come, and all of its tasks waiting for those that they will wait for."""
    coming = [waiting_task(run, TaskRun(key), defaults) for key in keys_to_come(run, widths)]
    tasks = [*view.tasks, *coming]
    keys = _Keys([task.key for task in tasks] + [task.key for task in view.bound])
    known, new = input_bytes or {}, {task.key for task in coming}
    linked = (_linked(run, task, keys, known, is_coming=task.key in new) for task in tasks)
    return replace(view, tasks=tuple(linked))


def open_loops(run: Run) -> list[str]:
    """Loops that have, or may have, an iteration of a loop around them in which their items are not known yet."""
    around = dict.fromkeys(tuple(loops) for loops in run.graph.loops.values() if loops)
    return list(dict.fromkeys(loop for loops in around for loop in _open_among(run, loops)))


def keys_to_come(run: Run, widths: LoopWidths) -> Iterator[TaskKey]:
    """The tasks that a run does not have yet: of loops whose items are not known, and its exit task."""
    for path in run.graph.order:
        yield from (TaskKey(path, found) for found in _iterations(run, run.graph.loops[path], widths))
    exit_task = run.graph.spec.exit_task
    if exit_task is not None and TaskKey(exit_task) not in run.tasks:
        yield TaskKey(exit_task)


def widths_of(run: Run) -> LoopWidths:
    """How many items its loops had; of loops inside others the mean, rounded."""
    counts: dict[str, list[int]] = {}
    for key, expansion in run.expansions.items():
        if expansion.items is not None:
            counts.setdefault(loop_of(key), []).append(len(expansion.items))
    return LoopWidths({loop: round(fmean(found)) for loop, found in counts.items()}, run.id)


class _Keys:
    """Tasks by their path and the first numbers of their iteration."""

    def __init__(self, keys: Sequence[TaskKey]) -> None:
        self._found: dict[tuple[str, tuple[int, ...]], list[TaskKey]] = {}
        for key in keys:
            for depth in range(len(key.iteration) + 1):
                self._found.setdefault((key.path, key.iteration[:depth]), []).append(key)

    def at(self, path: str, prefix: tuple[int, ...]) -> Sequence[TaskKey]:
        """The tasks at a path in all iterations that begin so."""
        return self._found.get((path, prefix), ())


def _open_among(run: Run, loops: Sequence[str]) -> Iterator[str]:
    """Of loops inside each other, outermost first, those that are open, and all inside these."""
    prefixes: list[tuple[int, ...]] = [()]
    is_open = False
    for depth, loop in enumerate(loops, 1):
        found = [(prefix, run.expansions.get(loop_key(loop, prefix))) for prefix in prefixes]
        is_open = is_open or any(expansion is None for _, expansion in found)
        if is_open:
            yield loop
        if depth < len(loops):
            prefixes = [
                (*prefix, index) for prefix, one in found if one is not None for index in range(len(one.items or ()))
            ]


def _iterations(
    run: Run, loops: Sequence[str], widths: LoopWidths, prefix: tuple[int, ...] = (), *, is_assumed: bool = False
) -> Iterator[tuple[int, ...]]:
    """Of tasks inside these loops, the iterations that are assumed."""
    if len(prefix) == len(loops):
        if is_assumed:
            yield prefix
        return
    loop = loops[len(prefix)]
    expansion = run.expansions.get(loop_key(loop, prefix))
    is_known = expansion is not None
    if is_known and len(prefix) + 1 == len(loops):
        return
    count = len(expansion.items or ()) if expansion is not None else widths.items.get(loop, 1)
    for index in range(count):
        yield from _iterations(run, loops, widths, (*prefix, index), is_assumed=is_assumed or not is_known)


def _linked(
    run: Run, task: WaitingTask, keys: _Keys, input_bytes: Mapping[str, float], *, is_coming: bool
) -> WaitingTask:
    """The task waiting for every task of the run that it comes after."""
    waits = [key for path in _upstreams(run, task) for key in _matching(run, task.key, path, keys)]
    waits += _turns(run, task.key, keys) if is_coming else task.waits_for
    bytes_known = task.input_bytes or input_bytes.get(task.component_digest, 0.0)
    if not waits or task.is_ready:
        return replace(task, input_bytes=bytes_known)
    share = bytes_known / len(waits)
    return replace(
        task,
        waits_for=tuple(dict.fromkeys(waits)),
        input_bytes=bytes_known,
        edge_bytes=task.edge_bytes or {key: share for key in waits if share},
    )


def _upstreams(run: Run, task: WaitingTask) -> tuple[str, ...]:
    if task.key.path == run.graph.spec.exit_task:
        return tuple(path for path in run.graph.order if path != task.key.path)
    return run.graph.waits_for[task.key.path]


def _matching(run: Run, key: TaskKey, path: str, keys: _Keys) -> Sequence[TaskKey]:
    """Tasks at the path in the same iterations of the loops that both are in."""
    own, other = run.graph.loops[key.path], run.graph.loops[path]
    shared = next((i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))
    return keys.at(path, key.iteration[:shared])


def _turns(run: Run, key: TaskKey, keys: _Keys) -> list[TaskKey]:
    """The tasks whose iteration has to end before a loop's width lets that of this task begin."""
    found: list[TaskKey] = []
    for depth, (loop, index) in enumerate(zip(run.graph.loops[key.path], key.iteration, strict=True)):
        scope = run.graph.spec.scopes[loop]
        if isinstance(scope, LoopScope) and scope.width is not None and index >= scope.width:
            before = (*key.iteration[:depth], index - scope.width)
            inside = (path for path, loops in run.graph.loops.items() if loop in loops)
            found += (one for path in inside for one in keys.at(path, before))
    return found


def loops_counted(run: Run, widths: LoopWidths) -> str:
    """How often the open loops of a run are counted, in words; empty where an earlier run does not tell of all."""
    counts = [widths.items.get(loop) for loop in open_loops(run)]
    if not counts or None in counts:
        return ""
    said = " and ".join("once" if count == 1 else f"{count} times" for count in counts)
    return f"its loop{'s run' if len(counts) > 1 else ' runs'} {said}, as in {widths.run_id}"


def _assumptions(run: Run, widths: LoopWidths) -> Iterator[str]:
    for loop in open_loops(run):
        count = widths.items.get(loop)
        counted = "one iteration is" if count in (None, 1) else f"{count} iterations are" if count else "none is"
        source = f", as in {widths.run_id}" if count is not None else ""
        yield f"the items of {loop} are only known while it runs: {counted} counted{source}"
    undecided = {name for names in run.graph.conditions.values() for name in names} - {
        loop_of(key) for key in run.conditions
    }
    if undecided:
        yield "conditions are only decided while it runs: all branches are counted"


__all__ = [
    "UNKNOWN_WIDTHS",
    "LoopWidths",
    "WholeRun",
    "keys_to_come",
    "loops_counted",
    "open_loops",
    "whole_run",
    "widths_of",
    "with_coming",
]
