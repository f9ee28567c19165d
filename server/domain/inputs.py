"""How much a task is handed over: the artifacts that its arguments name, not all that its upstreams write.

A task that splits a table writes two parts; who trains on one of them reads that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mlopx.spec import OneOf
from server.domain.graph import references
from server.domain.resolve import NeverError, NotYetError, instances, shared_iteration
from server.domain.run import Run, TaskKey, TaskRun
from server.domain.states import TaskState


def upstreams(run: Run, key: TaskKey) -> list[TaskRun]:
    """All task runs that a task waits for, by data, `after` or conditions, as far as its loops are expanded."""
    return [task for path in run.graph.waits_for[key.path] for task in _seen(run, key, path)]


def handed_over(run: Run, key: TaskKey) -> Mapping[TaskKey, float]:
    """Bytes that each finished upstream of a task hands over to it; those without any are left out.

    Where a foreign document holds the data's ways (Kubeflow's own YAML), all that upstreams wrote counts.
    """
    if run.graph.spec.foreign is not None:
        sizes = {task.key: sum(_size(task, port) for port in task.outputs) for task in upstreams(run, key)}
    else:
        sizes = {}
        for task, port in _read(run, key):
            sizes[task.key] = sizes.get(task.key, 0.0) + _size(task, port)
    return {upstream: size for upstream, size in sizes.items() if size > 0}


def is_all_there(run: Run, key: TaskKey, upstreams: Sequence[TaskRun]) -> bool:
    """Whether all upstreams that a task gets data from are over."""
    sources, seen = run.graph.sources[key.path], {one.key.path for one in upstreams}
    return seen.issuperset(sources) and all(one.state.is_end for one in upstreams if one.key.path in sources)


def _read(run: Run, key: TaskKey) -> list[tuple[TaskRun, str]]:
    """The outputs that a task's arguments name, each once: what is given twice is handed over once."""
    found: dict[tuple[TaskKey, str], TaskRun] = {}
    for value in run.graph.task(key.path).arguments.values():
        for reference in references(value):
            seen = [task for task in _seen(run, key, reference.task) if task.state is TaskState.SUCCEEDED]
            found.update({(task.key, reference.port): task for task in seen})
            if isinstance(value, OneOf) and seen:
                break
    return [(task, port) for (_, port), task in found.items()]


def _seen(run: Run, key: TaskKey, path: str) -> Iterator[TaskRun]:
    """The task runs at a path as seen from a task; none where a loop is not expanded, or will not run."""
    shared = shared_iteration(run, path, run.graph.loops[key.path], key.iteration)
    try:
        yield from instances(run, path, shared)
    except (NotYetError, NeverError):
        return


def _size(task: TaskRun, port: str) -> float:
    output = task.outputs.get(port)
    if task.state is not TaskState.SUCCEEDED or output is None or output.artifact is None:
        return 0.0
    return float(output.artifact.size_bytes or 0)


__all__ = ["handed_over", "is_all_there", "upstreams"]
