"""A spec compiled for following a run: who waits for whom, inside which loops and conditions. Built once per spec."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlopx.spec import (
    Collect,
    Component,
    Item,
    OneOf,
    OutputRef,
    Param,
    PipelineSpec,
    Task,
    Value,
    conditions_around,
    dependencies,
    loops_around,
    topological_order,
)
from mlopx.spec import digest as spec_digest


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Look-ups over one spec, all keyed by task path.

    Attributes:
        order: paths, each after what it waits for, the exit task last.
        waits_for: all paths a task waits for, by data, `after`, conditions and loop items around it.
        dependents: the reverse of `waits_for`.
        sources: those of `waits_for` that a task gets data from.
        givens: parameters of the run, and items of loops, that went into that data, at any distance.
        loops: ids of the loops around the task, outermost first; an iteration index has one number per loop.
        conditions: ids of the conditions around the task, outermost first.
        loop_children: loop id -> paths of all tasks inside it.
        component_digests: component name -> identity of its code, for learning and caching.
    """

    spec: PipelineSpec
    digest: str
    order: tuple[str, ...]
    waits_for: dict[str, tuple[str, ...]] = field(repr=False)
    dependents: dict[str, tuple[str, ...]] = field(repr=False)
    sources: dict[str, tuple[str, ...]] = field(repr=False)
    givens: dict[str, tuple[Param | Item, ...]] = field(repr=False)
    loops: dict[str, tuple[str, ...]] = field(repr=False)
    conditions: dict[str, tuple[str, ...]] = field(repr=False)
    loop_children: dict[str, tuple[str, ...]] = field(repr=False)
    component_digests: dict[str, str] = field(repr=False)

    def task(self, path: str) -> Task:
        """The definition of the task at `path`."""
        return self.spec.tasks[path]

    def component(self, path: str) -> Component:
        """The component of the task at `path`."""
        return self.spec.components[self.spec.tasks[path].component]


def compile_graph(spec: PipelineSpec) -> Graph:
    """Compile a checked spec."""
    order = [path for path in topological_order(spec) if path != spec.exit_task]
    if spec.exit_task is not None:
        order.append(spec.exit_task)
    waits_for = {path: tuple(dependencies(spec, path)) for path in order}
    dependents: dict[str, list[str]] = {path: [] for path in order}
    for path, upstreams in waits_for.items():
        for upstream in upstreams:
            dependents[upstream].append(path)
    sources = {path: tuple(dict.fromkeys(_read_from(spec.tasks[path]))) for path in order}
    loops = {path: loops_around(spec, spec.tasks[path].scope) for path in order}
    children: dict[str, list[str]] = {}
    for path, around in loops.items():
        for loop in around:
            children.setdefault(loop, []).append(path)
    return Graph(
        spec=spec,
        digest=spec_digest(spec),
        order=tuple(order),
        waits_for=waits_for,
        dependents={path: tuple(paths) for path, paths in dependents.items()},
        sources=sources,
        givens=_givens(spec, order, sources, loops),
        loops=loops,
        conditions={path: conditions_around(spec, spec.tasks[path].scope) for path in order},
        loop_children={loop: tuple(paths) for loop, paths in children.items()},
        component_digests={name: component_digest(component) for name, component in spec.components.items()},
    )


def _read_from(task: Task) -> Iterator[str]:
    for value in task.arguments.values():
        yield from (reference.task for reference in references(value))


def references(value: Value) -> tuple[OutputRef | Collect, ...]:
    """The outputs that a value is made of."""
    if isinstance(value, OutputRef | Collect):
        return (value,)
    return value.candidates if isinstance(value, OneOf) else ()


def _givens(
    spec: PipelineSpec, order: list[str], sources: dict[str, tuple[str, ...]], loops: dict[str, tuple[str, ...]]
) -> dict[str, tuple[Param | Item, ...]]:
    """Of each task; of loops only those around it, which have one item there."""
    found: dict[str, tuple[Param | Item, ...]] = {}
    for path in order:
        given: dict[Param | Item, None] = {}
        for source in sources[path]:
            own = (value for value in spec.tasks[source].arguments.values() if isinstance(value, Param | Item))
            given |= dict.fromkeys((*own, *found.get(source, ())))
        around = loops[path]
        found[path] = tuple(value for value in given if isinstance(value, Param) or value.loop in around)
    return found


def component_digest(component: Component) -> str:
    """Identity of a component's code: name, ports, source or command, image and packages; not its description."""
    return hashlib.sha256(component.model_dump_json(exclude={"description"}).encode()).hexdigest()[:16]


__all__ = ["Graph", "compile_graph", "component_digest", "references"]
