"""What of an ended run stands in the run that tries it again, and what is done once more.

Two ways: here, finished tasks are handed on with their outputs; a platform that takes whole runs (Kubeflow) runs the
whole graph, and what it does not do again comes from its own cache.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from server.components.replacing import may_be_cached
from server.domain.errors import NotFoundError
from server.domain.graph import Graph
from server.domain.run import Output, Run, TaskKey
from server.domain.states import TaskState


@dataclass(frozen=True, slots=True)
class Retried:
    """The new run, and sentences on what the platform will do once more that nobody asked to be done again."""

    run: Run
    notes: tuple[str, ...] = ()


def from_there(graph: Graph, from_task: str | None) -> frozenset[str]:
    """Paths of a task and of all that comes after it. Raises NotFoundError if the pipeline has no such task."""
    start = from_task.split(".")[0] if from_task else None
    if start is None:
        return frozenset()
    if start not in graph.spec.tasks:
        raise NotFoundError(
            f"the pipeline has no task {start!r}", hint="its tasks are: " + ", ".join(sorted(graph.spec.tasks))
        )
    found = {start}
    for path in graph.order:
        if any(upstream in found for upstream in graph.waits_for[path]):
            found.add(path)
    return frozenset(found)


def again(old: Run, new: Run) -> tuple[str, ...]:
    """What a platform that reuses by its own cache will do once more though it is finished, as sentences."""
    finished = [key for key, task in old.tasks.items() if task.state is TaskState.SUCCEEDED]
    return tuple(
        f"task {key} is finished and not cached: it runs again, since the platform reuses by its own cache only"
        for key in finished
        if key.path in new.graph.spec.tasks and key.path not in new.options.anew and not may_be_cached(new, key)
    )


def reusable(old: Run, graph: Graph, anew: Collection[str] = ()) -> dict[TaskKey, Mapping[str, Output]]:
    """Outputs of the old run's tasks that stand in the new one, in graph order; none of those that are run `anew`."""
    fresh: set[str] = set()
    kept: dict[TaskKey, Mapping[str, Output]] = {}
    for path in graph.order:
        is_fresh = path in anew or any(upstream in fresh for upstream in graph.waits_for[path])
        if is_fresh or path == graph.spec.exit_task or not _is_same(old.graph, graph, path):
            fresh.add(path)
            continue
        runs = [task for key, task in old.tasks.items() if key.path == path]
        if not runs or any(task.state not in (TaskState.SUCCEEDED, TaskState.SKIPPED) for task in runs):
            fresh.add(path)
        kept.update({task.key: task.outputs for task in runs if task.state is TaskState.SUCCEEDED})
    return kept


def _is_same(old: Graph, new: Graph, path: str) -> bool:
    if path not in old.spec.tasks:
        return False
    before, after = old.task(path), new.task(path)
    return (
        old.component_digests[before.component] == new.component_digests[after.component]
        and before.arguments == after.arguments
        and before.scope == after.scope
        and old.spec.scopes == new.spec.scopes
    )


__all__ = ["Retried", "again", "from_there", "reusable"]
