"""Tasks that run whatever happened, as far as Kubeflow can start them: as the exit hook of one task or graph.

Since 2.5 Kubeflow's backend makes such a task a hook of everything that it waits for. So it would run once after each
of several, loops have no hooks, of two after the same task one is lost, and nothing can wait for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ON_COMPLETION = "ALL_UPSTREAM_TASKS_COMPLETED"


def inexpressible_ends(tasks: Mapping[str, Any]) -> Iterator[str]:
    """What of the tasks of one compiled graph, by their names in it, Kubeflow would not do, as sentences."""
    ends = [key for key, task in tasks.items() if task.get("triggerPolicy", {}).get("strategy") == ON_COMPLETION]
    first: dict[str, str] = {}
    for key in ends:
        upstreams = tasks[key].get("dependentTasks", ())
        if len(upstreams) > 1:
            names = ", ".join(upstreams)
            yield f"task {key}: even_if_failed() after {names}: Kubeflow would run it once after each, not after all"
        for one in upstreams:
            if "parameterIterator" in tasks[one]:
                yield f"task {key}: even_if_failed() after the loop {one}: Kubeflow never starts such a task"
            if first.setdefault(one, key) != key:
                yield f"task {key}: even_if_failed() after {one}, like {first[one]}: Kubeflow runs one of them"
    for key, task in tasks.items():
        late = [one for one in task.get("dependentTasks", ()) if one in ends]
        if late and key not in ends:
            yield f"task {key}: waits for {late[0]}, which runs even if something failed: nothing can on Kubeflow"


__all__ = ["ON_COMPLETION", "inexpressible_ends"]
