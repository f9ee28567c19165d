"""What every part of a `PipelineSpec` shares: frozen, strict about unknown keys, and written without defaults."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer

NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
PATH_PATTERN = r"^[a-z][-a-z0-9]*(/[a-z][-a-z0-9]*)*$"
PORT_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Lower-case DNS-like name of a pipeline, component or task segment, at most 63 characters."""

TaskPath = Annotated[str, StringConstraints(pattern=PATH_PATTERN, max_length=400)]
"""Task name behind the names of the nested pipelines it lies in, joined by `/`."""

PortName = Annotated[str, StringConstraints(pattern=PORT_PATTERN)]
"""Name of a component's input or output: a Python identifier of ASCII letters, digits and underscores."""

JsonValue = Any
"""Anything JSON can say; checked when a document is parsed."""


class SpecModel(BaseModel):
    """Base of all parts: immutable, unknown keys refused, defaults left out of the JSON (`kind` excepted)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        return {
            key: value
            for key, value in written.items()
            if key == "kind"
            or key not in fields
            or getattr(self, key) != fields[key].get_default(call_default_factory=True)
        }


def slug(text: str) -> str:
    """Turn a Python identifier or a title into a `Name`: lower case, everything else to single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")


__all__ = [
    "NAME_PATTERN",
    "PATH_PATTERN",
    "PORT_PATTERN",
    "Field",
    "JsonValue",
    "Name",
    "PortName",
    "SpecModel",
    "TaskPath",
    "slug",
]
