"""Reading a spec's structure: the scopes around a task, and the tasks it waits for.

Pure look-ups that the checks below, the server's progress rules and the platform compilers share.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlopx.spec.pipeline import ConditionScope, LoopScope, PipelineSpec, Scope, Task
from mlopx.spec.values import Clause, Collect, Item, OneOf, OutputRef, Value


def scope_chain(spec: PipelineSpec, scope: str | None) -> list[tuple[str, Scope]]:
    """The scopes from the outermost to `scope` itself, as (id, scope). The spec must have been checked for loops."""
    chain: list[tuple[str, Scope]] = []
    while scope is not None:
        found = spec.scopes[scope]
        chain.append((scope, found))
        scope = found.parent
    return chain[::-1]


def loops_around(spec: PipelineSpec, scope: str | None) -> tuple[str, ...]:
    """Ids of the loops around `scope` (itself included), from the outermost."""
    return tuple(name for name, found in scope_chain(spec, scope) if isinstance(found, LoopScope))


def conditions_around(spec: PipelineSpec, scope: str | None) -> tuple[str, ...]:
    """Ids of the conditions around `scope` (itself included), from the outermost."""
    return tuple(name for name, found in scope_chain(spec, scope) if isinstance(found, ConditionScope))


def referenced_tasks(value: Value) -> Iterator[str]:
    """Paths of the tasks whose outputs a value reads."""
    if isinstance(value, OutputRef | Collect):
        yield value.task
    elif isinstance(value, OneOf):
        for candidate in value.candidates:
            yield candidate.task


def clauses_of(scope: ConditionScope) -> Iterator[Clause]:
    """All clauses that a condition needs to know: its own, and those of the branches before it."""
    yield from scope.when
    for group in scope.unless:
        yield from group


def scope_values(scope: Scope) -> Iterator[Value]:
    """The values that a scope itself reads: a loop's items, a condition's operands."""
    if isinstance(scope, LoopScope):
        yield scope.items
    elif isinstance(scope, ConditionScope):
        for clause in clauses_of(scope):
            yield clause.left
            yield clause.right


def data_dependencies(task: Task) -> list[str]:
    """Tasks whose outputs this task's arguments read, in order of first use, each once."""
    found = dict.fromkeys(path for value in task.arguments.values() for path in referenced_tasks(value))
    return list(found)


def dependencies(spec: PipelineSpec, path: str) -> list[str]:
    """All tasks that `path` waits for: by data, by `after`, and through the scopes around it; each once."""
    task = spec.tasks[path]
    found = dict.fromkeys(data_dependencies(task))
    found.update(dict.fromkeys(task.after))
    for _, scope in scope_chain(spec, task.scope):
        for value in scope_values(scope):
            found.update(dict.fromkeys(referenced_tasks(value)))
    return list(found)


def items_used(value: Value) -> Iterator[Item]:
    """Loop items that a value reads."""
    if isinstance(value, Item):
        yield value


def topological_order(spec: PipelineSpec) -> list[str]:
    """Task paths, each after all it waits for; ties in the spec's order. Raises ValueError naming a cycle."""
    waiting = {path: set(dependencies(spec, path)) & set(spec.tasks) for path in spec.tasks}
    order: list[str] = []
    done: set[str] = set()
    while len(order) < len(waiting):
        ready = [path for path in waiting if path not in done and waiting[path] <= done]
        if not ready:
            raise ValueError("the tasks wait for each other in a circle: " + " -> ".join(_cycle(waiting, done)))
        order.extend(ready)
        done.update(ready)
    return order


def _cycle(waiting: dict[str, set[str]], done: set[str]) -> list[str]:
    at = next(path for path in waiting if path not in done)
    walk = [at]
    while True:
        at = min(waiting[at] - done)
        if at in walk:
            return [*walk[walk.index(at) :], at]
        walk.append(at)
