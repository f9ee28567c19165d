"""A pipeline in a platform's own format, kept word for word beside the graph of tasks that was read from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mlopx.spec.base import SpecModel, TaskPath

ParameterName = Annotated[str, StringConstraints(pattern=r"^[^\s=]([^\n=]{0,253}[^\s=])?$")]
"""Name of a pipeline parameter. Our own pipelines name theirs as Python does; other formats have more freedom."""


class ForeignDocument(SpecModel):
    """The original.

    `file` is what messages call it, `text` what was sent, to the letter. `paths` leads from our task paths to those of
    the format. Only a server makes this: it reads the tasks of the spec from the text.
    """

    format: Literal["kubeflow"]
    file: str
    text: str
    paths: dict[TaskPath, str] = {}


class ForeignCode(SpecModel):
    """Code that stands in the foreign document; `digest` tells different code apart.

    A step that is not `placeable` has no container of its own, so no node is chosen for it; `executor` says what it is.
    """

    kind: Literal["foreign"] = "foreign"
    executor: str = "container"
    digest: str = Field(default="", max_length=80)
    placeable: bool = True


__all__ = ["ForeignCode", "ForeignDocument", "ParameterName"]
