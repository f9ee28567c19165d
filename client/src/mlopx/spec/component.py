"""A component: a reusable step with typed ports, either a Python function carried as source or a container command."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from mlopx.spec.base import JsonValue, Name, PortName, SpecModel
from mlopx.spec.foreign import ForeignCode

ParameterType = Literal["str", "int", "float", "bool", "list", "dict"]
ArtifactType = Literal["Artifact", "Dataset", "Model", "Metrics", "ClassificationMetrics", "HTML", "Markdown"]


class ParameterInput(SpecModel):
    """An input given as a JSON value. `optional` inputs may be left out and then take `default`."""

    kind: Literal["parameter"] = "parameter"
    type: ParameterType
    optional: bool = False
    default: JsonValue = None
    description: str = ""


class ArtifactInput(SpecModel):
    """An input given as a file or folder; `is_list` takes all artifacts of a fan-in."""

    kind: Literal["artifact"] = "artifact"
    type: ArtifactType
    is_list: bool = False
    optional: bool = False
    description: str = ""


class ParameterOutput(SpecModel):
    """An output that is a JSON value."""

    kind: Literal["parameter"] = "parameter"
    type: ParameterType
    description: str = ""


class ArtifactOutput(SpecModel):
    """An output that is a file or folder with metadata."""

    kind: Literal["artifact"] = "artifact"
    type: ArtifactType
    description: str = ""


Input = Annotated[Union[ParameterInput, ArtifactInput], Field(discriminator="kind")]  # noqa: UP007 - discriminated
Output = Annotated[Union[ParameterOutput, ArtifactOutput], Field(discriminator="kind")]  # noqa: UP007 - discriminated


class FunctionCode(SpecModel):
    """A Python function, carried as the source text of its definition. Run by `mlopx.runtime`, never imported here."""

    kind: Literal["function"] = "function"
    source: str
    entrypoint: PortName
    file: str | None = None
    line: int | None = None


class InputValuePlaceholder(SpecModel):
    """Replaced by an input parameter's value (strings as they are, anything else as JSON)."""

    kind: Literal["input-value"] = "input-value"
    input: PortName


class InputPathPlaceholder(SpecModel):
    """Replaced by the path at which an input artifact can be read."""

    kind: Literal["input-path"] = "input-path"
    input: PortName


class OutputPathPlaceholder(SpecModel):
    """Replaced by the path at which an output must be written (a parameter output as text or JSON)."""

    kind: Literal["output-path"] = "output-path"
    output: PortName


CommandPart = Union[  # noqa: UP007 - pydantic reads the order
    str,
    Annotated[
        Union[InputValuePlaceholder, InputPathPlaceholder, OutputPathPlaceholder],  # noqa: UP007 - discriminated
        Field(discriminator="kind"),
    ],
]


class ContainerCode(SpecModel):
    """A command inside an image."""

    kind: Literal["container"] = "container"
    command: tuple[CommandPart, ...] = ()
    args: tuple[CommandPart, ...] = ()


Code = Annotated[Union[FunctionCode, ContainerCode, ForeignCode], Field(discriminator="kind")]  # noqa: UP007 - likewise


class Component(SpecModel):
    """A step's code and ports. `packages` are pip requirements that must be importable where the task runs."""

    name: Name
    description: str = ""
    code: Code
    image: str | None = None
    packages: tuple[str, ...] = ()
    inputs: dict[PortName, Input] = {}
    outputs: dict[PortName, Output] = {}
