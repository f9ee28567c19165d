"""A run as it would be if nothing about it were open: every task that may come, as a strategy sees it.

Loops over items that are only known later count as one iteration, and conditions that are not decided as true. What
was assumed is said in sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mlopx.spec import LoopScope
from server.domain.placement import WaitingRun, WaitingTask
from server.domain.request import Defaults, waiting_run, waiting_task
from server.domain.run import Run, TaskKey, TaskRun, loop_key


@dataclass(frozen=True, slots=True)
class WholeRun:
    """All tasks that may come, and what was assumed about them."""

    run: WaitingRun
    assumptions: tuple[str, ...]


def whole_run(run: Run, defaults: Defaults, input_bytes: Mapping[str, float] | None = None) -> WholeRun:
    """The run with the tasks that its loops, conditions and exit task still bring.

    `input_bytes`: how much tasks of a component (by digest) read before, for those whose inputs are not there yet.
    """
    view = waiting_run(run, defaults)
    coming = [waiting_task(run, TaskRun(key), defaults) for key in _keys_to_come(run)]
    tasks = [*view.tasks, *coming]
    keys: dict[str, list[TaskKey]] = {}
    for key in [task.key for task in tasks] + [task.key for task in view.bound]:
        keys.setdefault(key.path, []).append(key)
    known = input_bytes or {}
    return WholeRun(
        replace(view, tasks=tuple(_linked(run, task, keys, known) for task in tasks)), tuple(_assumptions(run))
    )


def paths_to_come(run: Run) -> list[str]:
    """Paths of tasks inside loops whose items are not known yet."""
    present = {key.path for key in run.tasks}
    missing = [path for path in run.graph.order if path not in present and run.graph.loops[path]]
    return [path for path in missing if loop_key(_first_open(run, path), ()) not in run.expansions]


def _keys_to_come(run: Run) -> Iterator[TaskKey]:
    for path in paths_to_come(run):
        yield TaskKey(path, (0,) * len(run.graph.loops[path]))
    exit_task = run.graph.spec.exit_task
    if exit_task is not None and TaskKey(exit_task) not in run.tasks:
        yield TaskKey(exit_task)


def _first_open(run: Run, path: str) -> str:
    """The outermost loop around the path that was not expanded; the innermost if all were."""
    loops = run.graph.loops[path]
    return next((loop for loop in loops if loop_key(loop, ()) not in run.expansions), loops[-1])


def _linked(
    run: Run, task: WaitingTask, keys: Mapping[str, list[TaskKey]], input_bytes: Mapping[str, float]
) -> WaitingTask:
    """The task waiting for every task of the run that it comes after."""
    waits = tuple(dict.fromkeys(key for path in _upstreams(run, task) for key in _matching(run, task.key, path, keys)))
    bytes_known = task.input_bytes or input_bytes.get(task.component_digest, 0.0)
    if not waits or task.is_ready:
        return replace(task, input_bytes=bytes_known)
    share = bytes_known / len(waits)
    return replace(
        task,
        waits_for=waits,
        input_bytes=bytes_known,
        edge_bytes=task.edge_bytes or {key: share for key in waits if share},
    )


def _upstreams(run: Run, task: WaitingTask) -> tuple[str, ...]:
    if task.key.path == run.graph.spec.exit_task:
        return tuple(path for path in run.graph.order if path != task.key.path)
    return run.graph.waits_for[task.key.path]


def _matching(run: Run, key: TaskKey, path: str, keys: Mapping[str, list[TaskKey]]) -> Iterator[TaskKey]:
    """Tasks at the path in the same iterations of the loops that both are in."""
    own, other = run.graph.loops[key.path], run.graph.loops[path]
    shared = next((i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))
    for found in keys.get(path, ()):
        if found.iteration[:shared] == key.iteration[:shared]:
            yield found


def _assumptions(run: Run) -> Iterator[str]:
    for loop in dict.fromkeys(_first_open(run, path) for path in paths_to_come(run)):
        yield f"the items of {loop} are only known while it runs: one iteration is counted"
    undecided = {name for names in run.graph.conditions.values() for name in names} - {
        key.split(".", 1)[0] for key in run.conditions
    }
    if undecided:
        yield "conditions are only decided while it runs: all branches are counted"
    if any(isinstance(scope, LoopScope) and scope.width for scope in run.graph.spec.scopes.values()):
        yield "the widths of loops are not counted: all iterations may run side by side"


__all__ = ["WholeRun", "paths_to_come", "whole_run"]
