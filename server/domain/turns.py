"""Which earlier iterations an iteration waits for, where a loop's width lets only so many run at once."""

from __future__ import annotations

from mlopx.spec import LoopScope
from server.domain.resolve import NeverError, NotYetError, instances
from server.domain.run import Run, TaskKey, TaskRun


def turn_of(run: Run, key: TaskKey) -> list[TaskRun]:
    """The unfinished tasks whose end lets the iteration of a task begin; none where nothing but its data is missing.

    An iteration begins when fewer than `width` earlier ones are unfinished. Which of these end first is not known, so
    it waits for the one that is `width` places before it among them. A task whose iteration is not known yet (its loop
    is not expanded) waits for no turn.
    """
    found: list[TaskRun] = []
    for depth, (loop, index) in enumerate(zip(run.graph.loops[key.path], key.iteration, strict=False)):
        scope = run.graph.spec.scopes[loop]
        if isinstance(scope, LoopScope) and scope.width is not None:
            found.extend(_before(run, loop, key.iteration[:depth], index, scope.width))
    return found


def _before(run: Run, loop: str, prefix: tuple[int, ...], index: int, width: int) -> list[TaskRun]:
    left = width
    for earlier in range(index - 1, -1, -1):
        is_unfinished, tasks = _unfinished(run, loop, (*prefix, earlier))
        left -= is_unfinished
        if left == 0:
            return tasks
    return []


def _unfinished(run: Run, loop: str, iteration: tuple[int, ...]) -> tuple[bool, list[TaskRun]]:
    """Whether an iteration is unfinished, and its tasks that are known and not over."""
    is_unfinished, found = False, list[TaskRun]()
    for path in run.graph.loop_children[loop]:
        try:
            found.extend(task for task in instances(run, path, iteration) if not task.state.is_end)
        except NotYetError:
            is_unfinished = True
        except NeverError:
            continue
    return is_unfinished or bool(found), found


__all__ = ["turn_of"]
