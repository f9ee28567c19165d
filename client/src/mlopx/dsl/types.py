"""The names that component signatures are written with; people who know Kubeflow Pipelines v2 know them.

`Input[Dataset]` is a data set to read, `Output[Model]` a model to write; `list[Input[Model]]` takes all of a fan-in.
"""

from __future__ import annotations

import types as python_types
import typing
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_args, get_origin

from mlopx.errors import DefinitionError
from mlopx.runtime.task import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Markdown,
    Metrics,
    Model,
    TaskInfo,
)

ArtifactT = TypeVar("ArtifactT")

INPUT, OUTPUT = "mlopx-input", "mlopx-output"

Input = Annotated[ArtifactT, INPUT]
"""An artifact that the task reads: `data: Input[Dataset]`."""

Output = Annotated[ArtifactT, OUTPUT]
"""An artifact that the task writes to its `path`: `model: Output[Model]`."""

ARTIFACTS: tuple[type, ...] = (Artifact, Dataset, Model, Metrics, ClassificationMetrics, HTML, Markdown)
PARAMETERS: dict[Any, str] = {str: "str", int: "int", float: "float", bool: "bool", list: "list", dict: "dict"}


def artifact_type(annotation: Any) -> tuple[str, str, bool] | None:
    """(direction, artifact type, is a list) of an annotation, or None if it is no artifact."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        direction = next((mark for mark in marks if mark in (INPUT, OUTPUT)), None)
        if direction is None:
            return None
        if get_origin(inner) is list:
            (inner,) = get_args(inner)
            return (direction, inner.type, True) if inner in ARTIFACTS else None
        return (direction, inner.type, False) if inner in ARTIFACTS else None
    if origin is list:
        arguments = get_args(annotation)
        found = artifact_type(arguments[0]) if arguments else None
        return (found[0], found[1], True) if found else None
    return (INPUT, annotation.type, False) if annotation in ARTIFACTS else None


def parameter_type(annotation: Any) -> str | None:
    """The parameter type of an annotation (`list[int]` is `list`, `float | None` is `float`), or None."""
    origin = get_origin(annotation)
    if origin in (typing.Union, python_types.UnionType):
        inner = [one for one in get_args(annotation) if one is not type(None)]
        return parameter_type(inner[0]) if len(inner) == 1 else None
    if origin in (list, tuple):
        return "list"
    if origin is dict:
        return "dict"
    return PARAMETERS.get(annotation) if isinstance(annotation, type) else None


def hints_of(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """The resolved annotations of a function or NamedTuple, markers kept. Raises DefinitionError at `where`."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # an annotation is code, and may raise anything
        raise DefinitionError(
            f"an annotation of {function.__name__} cannot be resolved: {error}",
            hint="annotate with str, int, float, bool, list, dict, Input[...] or Output[...]",
            where=where,
        ) from error


__all__ = [
    "HTML",
    "Artifact",
    "ClassificationMetrics",
    "Dataset",
    "Input",
    "Markdown",
    "Metrics",
    "Model",
    "Output",
    "TaskInfo",
    "artifact_type",
    "hints_of",
    "parameter_type",
]
