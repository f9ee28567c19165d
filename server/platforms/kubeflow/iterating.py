"""From planned iterations to what can be written of them: one node per iteration of a loop, for all of its tasks.

Pure. A loop of which nothing can be written keeps the reason; its tasks are then left to Kubernetes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.domain.node import Node
from server.platforms.kubeflow.placing import LoopPlacement
from server.platforms.kubeflow.reading import KubeflowPipeline
from server.platforms.kubeflow.reading.loops import loop_items, why_not_apart

NESTED = "it lies in a loop within a loop"
NOT_WANTED = "the file's own document would change: its items carry the nodes"

Planned = Mapping[tuple[str, int], tuple[Node, ...]]
"""By task path and index of the iteration: the chosen node, then its alternatives by rank."""


@dataclass(slots=True)
class Iterations:
    """What can be written of loops.

    Attributes:
        apart: loops by path whose iterations go to nodes of their own.
        together: tasks by path that go to the same nodes in all iterations.
        left: why the others are left to Kubernetes, by loop.
    """

    apart: dict[str, LoopPlacement] = field(default_factory=dict)
    together: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def iterations_of(
    pipeline: KubeflowPipeline,
    parameters: Mapping[str, Any] | None,
    planned: Planned,
    *,
    pinned: Mapping[str, Node] | None = None,
    has_affinity: bool = True,
    is_wanted: bool = True,
) -> Iterations:
    """What can be written of the pipeline's loops in a run with these parameters.

    `pinned` tasks go to their node in all iterations. `is_wanted`: whether the pipeline's own document may be changed.
    """
    found = Iterations()
    pinned = pinned or {}
    found.together.update({task.path: (pinned[task.path],) for task in pipeline.placeable() if task.path in pinned})
    for path in pipeline.loops:
        inside = (task.path for task in pipeline.placeable() if task.loops and task.loops[-1] == path)
        tasks = [task for task in inside if task not in pinned]
        if not tasks:
            continue
        if any(len(pipeline.tasks[one].loops) > 1 for one in tasks):
            found.left[path] = NESTED
            continue
        items = loop_items(pipeline, path, parameters)
        if items and _together(found, planned, tasks, len(items)):
            continue
        why = why_not_apart(pipeline, path, items, has_affinity) or ("" if is_wanted else NOT_WANTED)
        if why or items is None:
            found.left[path] = why
            continue
        placement = _apart(planned, tasks, items)
        if placement is not None:
            found.apart[path] = placement
    return found


def _together(found: Iterations, planned: Planned, tasks: Sequence[str], count: int) -> bool:
    """Note tasks that have the same nodes in all iterations; whether all tasks of the loop do."""
    same = {}
    for task in tasks:
        choices = {tuple(node.name for node in planned.get((task, index), ())[:1]) for index in range(count)}
        if len(choices) == 1 and () not in choices:
            same[task] = planned[task, 0]
    if len(same) < len(tasks):
        return False
    found.together.update(same)
    return True


def _apart(planned: Planned, tasks: Sequence[str], items: Sequence[Any]) -> LoopPlacement | None:
    """The node that most tasks of each iteration can run on; tasks that one of them does not suit are left out."""
    chosen = [_choice([planned.get((task, index), ()) for task in tasks]) for index in range(len(items))]
    kept = [
        task
        for task in tasks
        if any((task, index) in planned for index in range(len(items)))
        and all(
            not nodes or not planned.get((task, index)) or nodes[0] in planned[task, index]
            for index, nodes in enumerate(chosen)
        )
    ]
    if not kept or not any(chosen):
        return None
    return LoopPlacement(items=tuple(items), nodes=tuple(chosen), tasks=frozenset(kept))


def _choice(options: Sequence[tuple[Node, ...]]) -> tuple[Node, ...]:
    """The nodes for one iteration, by what its tasks could have."""
    suits = Counter(node.name for nodes in options for node in nodes)
    wishes = Counter(nodes[0].name for nodes in options if nodes)
    leaders = [nodes for nodes in options if nodes]
    if not leaders:
        return ()
    return max(leaders, key=lambda nodes: (suits[nodes[0].name], wishes[nodes[0].name]))


def counts_of(
    pipeline: KubeflowPipeline, parameters: Mapping[str, Any] | None, *, has_affinity: bool = True
) -> dict[str, int]:
    """How many iterations each loop has that can be placed one by one."""
    found = {}
    for path in pipeline.loops:
        items = loop_items(pipeline, path, parameters)
        if items is not None and not why_not_apart(pipeline, path, items, has_affinity):
            found[path] = len(items)
    return found


__all__ = ["NESTED", "NOT_WANTED", "Iterations", "Planned", "counts_of", "iterations_of"]
