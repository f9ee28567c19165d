"""Where an argument's value comes from.

A value is a constant, a pipeline parameter, an upstream output, the current item of a loop, the collected outputs of
all of a loop's iterations, the first produced of several, a path inside a mounted volume, or a fact of the run itself.
"""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from mlopx.spec.base import JsonValue, Name, PortName, SpecModel, TaskPath
from mlopx.spec.foreign import ParameterName


class Const(SpecModel):
    """A JSON value written in the pipeline's definition."""

    kind: Literal["const"] = "const"
    value: JsonValue = None


class Param(SpecModel):
    """A pipeline parameter, by name."""

    kind: Literal["param"] = "param"
    name: ParameterName


class OutputRef(SpecModel):
    """An output of another task: of the same iteration where both lie in the same loop."""

    kind: Literal["output"] = "output"
    task: TaskPath
    port: PortName


class Item(SpecModel):
    """The current item of an enclosing loop, or the entry `key` of it when the items are objects."""

    kind: Literal["item"] = "item"
    loop: str
    key: str | None = None


class Collect(SpecModel):
    """The outputs of a task inside a loop, of all iterations, as one list in iteration order; skipped ones left out."""

    kind: Literal["collect"] = "collect"
    task: TaskPath
    port: PortName


class OneOf(SpecModel):
    """The first of several outputs whose task was not skipped: what joins the branches of a condition."""

    kind: Literal["one-of"] = "one-of"
    candidates: tuple[OutputRef, ...] = Field(min_length=1)


class VolumePath(SpecModel):
    """A path inside a volume of the task; the platform turns it into where the volume really is mounted."""

    kind: Literal["volume-path"] = "volume-path"
    volume: Name
    path: str = ""


class RunFact(SpecModel):
    """A fact of the run: its id and name anywhere; its state and error in the exit task only."""

    kind: Literal["run"] = "run"
    fact: Literal["id", "name", "state", "error", "failed_tasks"]


Value = Annotated[
    Union[Const, Param, OutputRef, Item, Collect, OneOf, VolumePath, RunFact],  # noqa: UP007 - a discriminated union
    Field(discriminator="kind"),
]


class Clause(SpecModel):
    """One comparison of a condition. Numbers compare as numbers, anything else by JSON equality."""

    left: Value
    operator: Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
    right: Value
