"""In which order the tasks of a graph run, and how the graph ends: KFP's backend compiler over Argo's rules.

Since KFP 2.5 a task that runs whatever happened is an exit hook of each task that it waits for; before, it was one of
the graph that waited for any end. A hook does not count for how its graph ends, and nobody can wait for it: Argo takes
no such Workflow. Source: `argocompiler/dag.go` of KFP 2.17, `controller/dag.go` of Argo 3.7 (`assessDAGPhase`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from server.testing.kfp.values import FAILED, OMITTED, SKIPPED, SUCCEEDED, Document, Ended

FINISHED = "ALL_UPSTREAM_TASKS_COMPLETED"


@dataclass(frozen=True, slots=True)
class Order:
    """`before`: what each task of the graph waits for; `hooks`: what runs when a task has ended, by its name."""

    before: Mapping[str, tuple[str, ...]]
    hooks: Mapping[str, str] = field(default_factory=dict)


def order_of(tasks: Mapping[str, Document], *, has_hooks: bool) -> Order:
    """The order of a graph's tasks. Raises ValueError where KFP or Argo takes no such graph."""
    before = {name: tuple(dict.fromkeys(_upstreams(name, task, tasks))) for name, task in tasks.items()}
    if not has_hooks:
        return Order(before)
    final = {name for name in sorted(tasks) if _is_final(tasks[name])}
    hooks = {one: name for name in sorted(final) for one in before[name]}
    kept = {name: upstreams for name, upstreams in before.items() if name not in final}
    for name, upstreams in kept.items():
        for one in upstreams:
            if one in final:
                raise ValueError(f"templates.root.tasks.{name}-driver dependency '{one}' not defined")
    if not kept:
        raise ValueError("a DAG must contain one or more non-exit tasks")
    return Order(kept, hooks)


def phase_of(order: Order, done: Mapping[str, Ended]) -> str:
    """How a graph ends: by the tasks that nobody waits for; one that did not run counts as those before it."""
    waited_for = {one for upstreams in order.before.values() for one in upstreams}
    leaves = [name for name in order.before if name not in waited_for]
    return FAILED if any(_has_failed(name, order, done) for name in leaves) else SUCCEEDED


def _has_failed(name: str, order: Order, done: Mapping[str, Ended]) -> bool:
    state = done[name].state
    if state in (OMITTED, SKIPPED):
        return any(_has_failed(one, order, done) for one in order.before[name])
    return state == FAILED


def _is_final(task: Document) -> bool:
    return (task.get("triggerPolicy") or {}).get("strategy") == FINISHED


def _upstreams(name: str, task: Document, tasks: Mapping[str, Document]) -> Iterator[str]:
    """What a task says that it waits for, and the makers of what it reads."""
    yield from task.get("dependentTasks") or []
    given = task.get("inputs") or {}
    sources = [one.get("taskOutputParameter") for one in (given.get("parameters") or {}).values()]
    sources += [one.get("taskOutputArtifact") for one in (given.get("artifacts") or {}).values()]
    for source in sources:
        if source:
            if source["producerTask"] not in tasks:
                raise ValueError(f"task {name}: unknown producer task {source['producerTask']!r} in DAG")
            yield source["producerTask"]


__all__ = ["FINISHED", "Order", "order_of", "phase_of"]
