"""Pipelines as a simulation knows them: the graph that the server sees, and the seconds that each task really takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlopx.spec import (
    Accelerator,
    ArtifactInput,
    ArtifactOutput,
    Component,
    ContainerCode,
    Option,
    OutputRef,
    PipelineSpec,
    Requirement,
    Resources,
    Retry,
    Task,
    Toleration,
    WorkloadHints,
)
from mlopx.spec.base import slug
from server.domain.graph import Graph, compile_graph
from server.domain.placement import DEFAULT_OPTION
from server.domain.resources import Resources as Amounts

KIND_LABEL = "mlopx.dev/node-class"
"""Label that carries a simulated node's kind; estimators group nodes by it."""

OUTPUT = "data"
"""The port under which a task hands over its bytes."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a task can run: what it requests, and its true seconds by kind of node (absent: it cannot).

    `measured_on` names the kinds whose seconds are measured, where others are predicted; for the record.
    """

    seconds: Mapping[str, float]
    cpu_millicores: int | None = None
    memory_bytes: int | None = None
    accelerator: str | None = None
    accelerators: int = 1
    name: str = DEFAULT_OPTION
    measured_on: tuple[str, ...] = ()

    def amounts(self) -> Amounts:
        """As nodes count it."""
        return Amounts.of(
            cpu_millicores=self.cpu_millicores or 0,
            memory_bytes=self.memory_bytes or 0,
            accelerators={self.accelerator: self.accelerators} if self.accelerator else None,
            pods=1,
        )

    def requests(self) -> Resources:
        """As the pipeline's definition says it."""
        accelerator = Accelerator(accelerator=self.accelerator, count=self.accelerators) if self.accelerator else None
        return Resources(cpu_millicores=self.cpu_millicores, memory_bytes=self.memory_bytes, accelerator=accelerator)


@dataclass(frozen=True, slots=True)
class TaskWork:
    """One task: its ways, what it waits for (indices into the pipeline's tasks), and what it hands over.

    Attributes:
        output_bytes: what each dependent reads of it, from the node where it ran.
        image, image_bytes: pulled once per node where the scenario says that pulling takes time.
        retries: how often a failed attempt is tried again.
        failure_probability: of one attempt; None takes the scenario's.
        told_factor, told_spread: told over true seconds, and the spread told along, where it is known what was told;
            None takes the scenario's.
        component: what tasks of several pipelines have in common, for estimators that learn; None: the pipeline's name
            and the task's.
    """

    name: str
    ways: tuple[Way, ...]
    after: tuple[int, ...] = ()
    output_bytes: float = 0.0
    image: str | None = None
    image_bytes: float = 0.0
    retries: int = 0
    failure_probability: float | None = None
    tolerations: tuple[Toleration, ...] = ()
    hints: WorkloadHints | None = None
    told_factor: float | None = None
    told_spread: float | None = None
    component: str | None = None

    def way(self, option: str | None) -> Way:
        """The way with that name, the first for None."""
        return next((way for way in self.ways if way.name == option), self.ways[0])

    def best_seconds(self) -> float:
        """The least it can take."""
        return min(seconds for way in self.ways for seconds in way.seconds.values())


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A pipeline: the compiled graph, the truth about each of its tasks by path, and its length alone on the best
    nodes (the critical path), which slowdowns are counted against."""

    name: str
    graph: Graph
    tasks: Mapping[str, TaskWork]
    digest_of: Mapping[str, str] = field(repr=False)
    best_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A pipeline is submitted, so many seconds after the start."""

    seconds: float
    run_id: str
    work: Work
    priority: int = 0
    project: str = "default"
    deadline_seconds: float | None = None


def make_work(name: str, tasks: Sequence[TaskWork], *, kinds: Sequence[str] = (), identity: str | None = None) -> Work:
    """Build the pipeline that the server is given. `kinds` are all kinds of nodes in the cluster.

    Two pipelines of one name whose tasks take different seconds need an `identity` each. A kind on which no way of a
    task has seconds is forbidden to it by a requirement on the node's label.
    """
    paths = _paths(tasks)
    reads = [_reads(task, tasks, paths) for task in tasks]
    components = {
        path: _component(identity or name, path, task, ports)
        for path, task, ports in zip(paths, tasks, reads, strict=True)
    }
    spec = PipelineSpec(
        version="1.0",
        name=slug(name) or "pipeline",
        components=components,
        tasks={
            path: _definition(path, task, paths, kinds, ports)
            for path, task, ports in zip(paths, tasks, reads, strict=True)
        },
    )
    graph = compile_graph(spec)
    truth = dict(zip(paths, tasks, strict=True))
    digest_of = {path: graph.component_digests[path] for path in paths}
    return Work(name, graph, truth, digest_of, _critical_path(graph, truth))


def _paths(tasks: Sequence[TaskWork]) -> list[str]:
    """A valid path for every task's name, each once."""
    found: dict[str, None] = {}
    for index, task in enumerate(tasks):
        path = slug(task.name)[:50].strip("-") or "task"
        path = path if path[0].isalpha() else f"t{path}"
        found[path if path not in found else f"{path}-{index}"] = None
    return list(found)


def _reads(task: TaskWork, tasks: Sequence[TaskWork], paths: Sequence[str]) -> dict[str, OutputRef]:
    """By port, the outputs that a task reads: of all it comes after that write any."""
    return {
        f"input_{index}": OutputRef(task=paths[index], port=OUTPUT) for index in task.after if tasks[index].output_bytes
    }


def _component(identity: str, path: str, task: TaskWork, reads: Iterable[str]) -> Component:
    return Component(
        name=path,
        code=ContainerCode(command=("simulated", identity, path)),
        image=task.image,
        inputs={port: ArtifactInput(type="Dataset") for port in reads},
        outputs={OUTPUT: ArtifactOutput(type="Dataset")} if task.output_bytes else {},
    )


def _definition(
    path: str, task: TaskWork, paths: Sequence[str], kinds: Sequence[str], reads: Mapping[str, OutputRef]
) -> Task:
    forbidden = sorted(set(kinds) - {kind for way in task.ways for kind in way.seconds})
    is_plain = len(task.ways) == 1 and task.ways[0].name == DEFAULT_OPTION
    return Task(
        component=path,
        arguments=dict(reads),
        after=tuple(paths[index] for index in task.after),
        resources=task.ways[0].requests() if is_plain else Resources(),
        options=() if is_plain else tuple(Option(name=way.name, resources=way.requests()) for way in task.ways),
        requirements=(Requirement(label=KIND_LABEL, operator="NotIn", values=tuple(forbidden)),) if forbidden else (),
        retry=Retry(max_retries=task.retries) if task.retries else None,
        tolerations=task.tolerations,
        hints=task.hints,
        cache=False,
    )


def _critical_path(graph: Graph, tasks: Mapping[str, TaskWork]) -> float:
    ends: dict[str, float] = {}
    for path in graph.order:
        begin = max((ends[upstream] for upstream in graph.waits_for[path]), default=0.0)
        ends[path] = begin + tasks[path].best_seconds()
    return max(ends.values(), default=0.0)


__all__ = ["KIND_LABEL", "OUTPUT", "Arrival", "TaskWork", "Way", "Work", "make_work"]
