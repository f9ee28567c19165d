"""What everything in the queue waits for, in the words in which a single task is explained."""

from __future__ import annotations

from collections.abc import Mapping

from server.components.explaining.scene import Scene
from server.components.explaining.values import Waiting
from server.components.explaining.verdicts import node_verdicts
from server.components.explaining.waiting import goes_first, what_it_waits_for
from server.domain.placement import TaskRef
from server.domain.request import Defaults, waiting_task
from server.domain.run import Run
from server.domain.states import TaskState

MOST_VERDICTS = 5_000
"""Pairs of ready tasks and nodes up to which nodes are asked about tasks; those first in the queue come first."""


def waits_of(runs: Mapping[str, Run], scene: Scene, defaults: Defaults) -> dict[TaskRef, Waiting]:
    """By task of the queue. Ready tasks for which too many nodes would have to be asked are left out."""
    found: dict[TaskRef, Waiting] = {}
    left, nodes = MOST_VERDICTS, len(scene.snapshot.nodes)
    for ref in sorted(scene.positions, key=scene.positions.__getitem__):
        run = runs.get(ref[0])
        task = run.tasks.get(ref[1]) if run is not None else None
        if run is None or task is None:
            continue
        view = waiting_task(run, task, defaults)
        is_asking = task.state is TaskState.READY or goes_first(run, task, view)
        if is_asking and left < nodes:
            continue
        left -= nodes if is_asking else 0
        verdicts = node_verdicts(view, scene.snapshot, scene.estimates) if is_asking else ()
        waiting = what_it_waits_for(run, task, view, verdicts, scene)
        if waiting is not None:
            found[ref] = waiting
    return found


__all__ = ["waits_of"]
