"""Control flow that the run decides: conditions, loops, and the task that always runs last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlopx.dsl.blocks import block, require_build
from mlopx.dsl.build import Build
from mlopx.dsl.handles import Comparison, Handle, ItemHandle, json_constant
from mlopx.dsl.task import Nested, TaskHandle
from mlopx.dsl.where import here
from mlopx.dsl.wrong import said
from mlopx.errors import DefinitionError
from mlopx.spec import Clause, ConditionScope, Const, Item, LoopScope


def _clauses(conditions: tuple[Any, ...]) -> tuple[Clause, ...]:
    if not conditions:
        raise DefinitionError("a condition needs something to decide", hint="write If(task.output > 0.9)", where=here())
    clauses = []
    for given in conditions:
        condition = given.output if isinstance(given, TaskHandle | Nested) else given
        if isinstance(condition, Handle) and condition.type in ("bool", None):
            clauses.append(Comparison(condition, "==", True).clause())
        elif isinstance(condition, Comparison):
            clauses.append(condition.clause())
        else:
            found = f"a value of type {condition.type}" if isinstance(condition, Handle) else said(condition)
            raise DefinitionError(
                f"{found} is not a condition that a run can decide",
                hint="compare an output, parameter or loop item with something: If(task.output > 0.9)",
                where=here(),
            )
    return tuple(clauses)


@block
def If(*conditions: Any) -> Iterator[None]:  # noqa: N802 - reads as the statement it stands for
    """Tasks in here run only if all conditions hold: `with If(check.output > 0.9):`."""
    build = require_build("If")
    clauses = _clauses(conditions)
    scope = ConditionScope(parent=build.scope, when=clauses)
    with build.inside(build.free_scope("if"), scope):
        yield
    build.branches[build.scope] = (clauses,)


@block
def Elif(*conditions: Any) -> Iterator[None]:  # noqa: N802 - reads as the statement it stands for
    """Tasks in here run only if no branch before did and all conditions hold."""
    build = require_build("Elif")
    before = _branches(build, "Elif")
    clauses = _clauses(conditions)
    with build.inside(build.free_scope("if"), ConditionScope(parent=build.scope, when=clauses, unless=before)):
        yield
    build.branches[build.scope] = (*before, clauses)


@block
def Else() -> Iterator[None]:  # noqa: N802 - reads as the statement it stands for
    """Tasks in here run only if no branch before did."""
    build = require_build("Else")
    before = _branches(build, "Else")
    with build.inside(build.free_scope("if"), ConditionScope(parent=build.scope, unless=before)):
        yield
    del build.branches[build.scope]


def _branches(build: Build, what: str) -> tuple[tuple[Clause, ...], ...]:
    if build.scope not in build.branches:
        raise DefinitionError(
            f"{what} without an If before it", hint="it stands right behind the If, at the same depth", where=here()
        )
    return build.branches[build.scope]


@block
def Loop(items: Any, *, width: int | None = None) -> Iterator[ItemHandle]:  # noqa: N802 - reads as the statement
    """Tasks in here run once per item of a list, known now or made by a task; `width` at a time.

    `with Loop([0.1, 0.2]) as rate:`; items that are objects have entries: `item["rate"]`. Read the outputs of all
    iterations afterwards with `collect(task.output)`.
    """
    build = require_build("Loop")
    if width is not None and (not isinstance(width, int) or isinstance(width, bool)):
        raise DefinitionError(
            f"a loop's width is a number of iterations, not {width!r}",
            hint="write width=2, or leave it out",
            where=here(),
        )
    if width is not None and width < 1:
        raise DefinitionError(
            f"a loop of width {width} never runs", hint="leave width out to run all items side by side", where=here()
        )
    name = build.free_scope("loop")
    item_type: str | None = None
    if isinstance(items, TaskHandle | Nested):
        items = items.output
    if isinstance(items, Handle):
        if items.is_artifact or items.type not in ("list", None):
            raise DefinitionError(
                f"a loop runs over a list, not over a {items.type}",
                hint="let the task before return a list",
                where=here(),
            )
        value = items.value
    else:
        value, item_type = _static(items)
    with build.inside(name, LoopScope(parent=build.scope, items=value, width=width)):
        yield ItemHandle(Item(loop=name), item_type)


def _static(items: Any) -> tuple[Const, str | None]:
    if not isinstance(items, list | tuple | range):
        raise DefinitionError(
            f"a loop runs over a list, not over {items!r}", hint="write Loop([...]) or Loop(list(...))", where=here()
        )
    found = json_constant(list(items))
    if not found:
        raise DefinitionError("a loop over an empty list never runs", hint="give it one item or more", where=here())
    kinds = {type(item).__name__ for item in found}
    return Const(value=found), kinds.pop() if len(kinds) == 1 else None


def on_exit(task: TaskHandle) -> TaskHandle:
    """Make a task the exit task: it runs when everything else has ended, however that went."""
    build = require_build("on_exit")
    if not isinstance(task, TaskHandle):
        raise DefinitionError(
            f"on_exit takes a task, not {said(task)}", hint="write on_exit(report(...))", where=here()
        )
    if build.exit_task is not None:
        raise DefinitionError(
            f"the pipeline has an exit task already: {build.exit_task!r}",
            hint="call what is to be done at the end in one task",
            where=here(),
        )
    build.exit_task = task.path
    return task
