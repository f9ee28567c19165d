"""What a pipeline function works with instead of data: handles to values that only the run will know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mlopx.dsl.unknown import unknown_attribute
from mlopx.dsl.where import here
from mlopx.dsl.wrong import said
from mlopx.errors import DefinitionError
from mlopx.spec import Clause, Collect, Const, Item, OneOf, OutputRef, Param, RunFact, Value, VolumePath


@dataclass(frozen=True, eq=False)
class Handle:
    """A value of the run. `type` is a parameter or artifact type, or None where only the run can tell.

    Compare it (`==`, `!=`, `<`, `<=`, `>`, `>=`) to make a condition for `If`; pass it as an argument to a task.
    """

    value: Value
    type: str | None
    is_artifact: bool = False
    is_list: bool = False

    def __eq__(self, other: object) -> Comparison:  # type: ignore[override]  # comparing makes a condition
        return Comparison(self, "==", other)

    def __ne__(self, other: object) -> Comparison:  # type: ignore[override]  # likewise
        return Comparison(self, "!=", other)

    def __lt__(self, other: object) -> Comparison:
        return Comparison(self, "<", other)

    def __le__(self, other: object) -> Comparison:
        return Comparison(self, "<=", other)

    def __gt__(self, other: object) -> Comparison:
        return Comparison(self, ">", other)

    def __ge__(self, other: object) -> Comparison:
        return Comparison(self, ">=", other)

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            hint = "what is in a value, only the run will know: pass it to a task as an argument and look there"
            raise unknown_attribute("a value of the run", name, self, hint=hint)

    def is_in(self, choices: list[Any]) -> Comparison:
        """A condition: the value is one of `choices`."""
        if not isinstance(choices, list | tuple | Handle):
            raise DefinitionError(
                f"is_in takes a list of choices, not {said(choices)}", hint="write is_in([1, 2])", where=here()
            )
        return Comparison(self, "in", choices)

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise _not_yet("used in a Python `if` or `and`", "use `with If(value == ...):`, which the run decides")

    def __iter__(self) -> NoReturn:
        raise _not_yet("looped over in Python", "use `with Loop(value) as item:`, which the run expands")

    def __str__(self) -> NoReturn:
        raise _not_yet("put into a text", "pass it to a task as an argument and format it there")

    def __format__(self, spec: str) -> NoReturn:
        raise _not_yet("put into a text", "pass it to a task as an argument and format it there")


class StandsForOutput:
    """What compares as its only output does: a task, or a nested pipeline. Python itself cannot decide by it."""

    @property
    def output(self) -> Handle:
        """The only output."""
        raise NotImplementedError

    def __eq__(self, other: object) -> Any:
        if other is None or isinstance(other, StandsForOutput):
            return self is other
        return self.output == other

    def __ne__(self, other: object) -> Any:
        if other is None or isinstance(other, StandsForOutput):
            return self is not other
        return self.output != other

    def __lt__(self, other: object) -> Comparison:
        return self.output < other

    def __le__(self, other: object) -> Comparison:
        return self.output <= other

    def __gt__(self, other: object) -> Comparison:
        return self.output > other

    def __ge__(self, other: object) -> Comparison:
        return self.output >= other

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise _not_yet("used in a Python `if` or `and`", "use `with If(task.output == ...):`, which the run decides")


class ItemHandle(Handle):
    """The current item of a loop; `item["key"]` is an entry of an item that is an object."""

    def __getitem__(self, key: str) -> Handle:
        item = self.value
        if not isinstance(item, Item) or item.key is not None:
            raise DefinitionError("only a loop's whole item has entries", where=here())
        return Handle(Item(loop=item.loop, key=key), None)

    def __getattr__(self, name: str) -> Handle:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A condition: a handle compared with a handle or a constant."""

    left: Handle
    operator: str
    right: Any

    def __bool__(self) -> NoReturn:
        raise _not_yet("used in a Python `if` or `and`", "use `with If(a == 1, b == 2):`, which the run decides")

    def clause(self) -> Clause:
        """The condition as the spec says it."""
        return Clause(left=self.left.value, operator=self.operator, right=value_of(self.right))


def _not_yet(what: str, hint: str) -> DefinitionError:
    return DefinitionError(f"a value that only the run will know is {what}", hint=hint, where=here())


def value_of(given: Any) -> Value:
    """The spec's value for an argument: a handle's own, or a constant. Raises DefinitionError for what is not JSON."""
    from mlopx.dsl.task import Nested, TaskHandle

    if isinstance(given, Handle):
        return given.value
    if isinstance(given, TaskHandle | Nested):
        return given.output.value
    return Const(value=json_constant(given))


def json_constant(given: Any) -> Any:
    """A constant as JSON data, tuples as lists. Raises DefinitionError naming what is none."""
    if given is None or isinstance(given, str | bool | int):
        return given
    if isinstance(given, float):
        if given != given or given in (float("inf"), float("-inf")):
            raise DefinitionError(
                f"{given!r} cannot be written as JSON",
                hint="write a number, or None where the input is optional",
                where=here(),
            )
        return given
    if isinstance(given, list | tuple):
        return [json_constant(item) for item in given]
    if isinstance(given, dict) and all(isinstance(key, str) for key in given):
        return {key: json_constant(item) for key, item in given.items()}
    from mlopx.dsl.task import Nested, TaskHandle

    if isinstance(given, Handle | TaskHandle | Nested):
        raise DefinitionError(
            "a value that only the run will know lies inside a list or dict",
            where=here(),
            hint="pass it as an argument of its own",
        )
    raise DefinitionError(
        f"{given!r} ({type(given).__name__}) is not JSON"
        if said(given) == repr(given)
        else f"{said(given)} is not JSON",
        hint=f"call it first: {given.__name__}(...)"
        if callable(given) and hasattr(given, "__name__")
        else "arguments are texts, numbers, booleans, lists, dicts, or outputs of other tasks",
        where=here(),
    )


class _ThisRun:
    """Facts of the run itself: `id` and `name` anywhere; `state`, `error`, `failed_tasks` in the exit task."""

    id = Handle(RunFact(fact="id"), "str")
    name = Handle(RunFact(fact="name"), "str")
    state = Handle(RunFact(fact="state"), "str")
    error = Handle(RunFact(fact="error"), "str")
    failed_tasks = Handle(RunFact(fact="failed_tasks"), "list")


this_run = _ThisRun()
"""Facts of the run, to pass as arguments: `report(state=this_run.state)`."""


def collect(output: Handle) -> Handle:
    """The outputs of all iterations of the loops around a task, as one list."""
    from mlopx.dsl.task import TaskHandle

    given = output.output if isinstance(output, TaskHandle) else output
    if not isinstance(given, Handle) or not isinstance(given.value, OutputRef):
        raise DefinitionError(
            "collect takes an output of a task inside a loop", hint="write collect(task.output)", where=here()
        )
    value = Collect(task=given.value.task, port=given.value.port)
    return Handle(value, given.type if given.is_artifact else "list", given.is_artifact, is_list=given.is_artifact)


def one_of(*outputs: Handle) -> Handle:
    """The first of several outputs whose task ran: what joins the branches of `If` and `Else`."""
    from mlopx.dsl.task import TaskHandle

    given = [one.output if isinstance(one, TaskHandle) else one for one in outputs]
    references = [one.value for one in given if isinstance(one, Handle) and isinstance(one.value, OutputRef)]
    if not given or len(references) != len(given):
        raise DefinitionError(
            "one_of takes outputs of tasks", hint="write one_of(first.output, second.output)", where=here()
        )
    if len({(one.type, one.is_artifact) for one in given}) > 1:
        kinds = ", ".join(str(one.type) for one in given)
        raise DefinitionError(f"one_of takes outputs of one type, not {kinds}", where=here())
    return Handle(OneOf(candidates=tuple(references)), given[0].type, given[0].is_artifact)


__all__ = [
    "Comparison",
    "Handle",
    "ItemHandle",
    "Param",
    "VolumePath",
    "collect",
    "json_constant",
    "one_of",
    "this_run",
    "value_of",
]
