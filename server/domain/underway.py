"""Which tasks of a live run hold room on their nodes.

Those that are bound; and those that a platform which took the run as a whole will begin any moment, although it has not
said so: between two looks at the platform, or before it has made their pods, their nodes must not seem free.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from mlopx.spec import ConditionScope, scope_chain
from server.domain.resolve import NeverError, NotYetError, instances, shared_iteration
from server.domain.run import Attempt, Run, TaskKey
from server.domain.states import BOUND, Binding, RunState, TaskState

HANDED_OVER = (RunState.DISPATCHED, RunState.RUNNING)
UNBEGUN = (TaskState.PENDING, TaskState.READY)


def underway(run: Run, reused: Container[TaskKey] = ()) -> Iterator[tuple[TaskKey, Attempt]]:
    """Current attempts that hold room. What is `reused` takes none; whether a condition holds is left to be told."""
    yield from run.attempts_in(*BOUND)
    if run.options.binding is not Binding.AT_SUBMISSION or run.state not in HANDED_OVER:
        return
    for key, attempt in run.attempts_in(*UNBEGUN):
        if attempt.node is not None and key not in reused and _is_due(run, key):
            yield key, attempt


def _is_due(run: Run, key: TaskKey) -> bool:
    """Whether nothing but the platform keeps a task from beginning."""
    graph = run.graph
    around = graph.loops[key.path]
    scopes = scope_chain(graph.spec, graph.task(key.path).scope)
    if key.path == graph.spec.exit_task or len(around) != len(key.iteration):
        return False
    if any(isinstance(scope, ConditionScope) for _, scope in scopes):
        return False
    try:
        return all(
            upstream.state is TaskState.SUCCEEDED
            for path in graph.waits_for[key.path]
            for upstream in instances(run, path, shared_iteration(run, path, around, key.iteration))
        )
    except (NotYetError, NeverError):
        return False


__all__ = ["underway"]
