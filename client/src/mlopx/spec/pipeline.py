"""`PipelineSpec`: one pipeline as the client sends it and the server keeps it.

Tasks are one flat table keyed by path; the structure around them (nested pipelines, conditions, loops) is a tree of
scopes that tasks point into. Flat, because placing looks at tasks; a tree, because platforms want sub-graphs back.
`mlopx.spec.check` holds the rules that span several parts.
"""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from mlopx.spec.base import JsonValue, Name, PortName, SpecModel, TaskPath
from mlopx.spec.component import Component, ParameterType
from mlopx.spec.foreign import ForeignDocument, ParameterName
from mlopx.spec.hints import WorkloadHints
from mlopx.spec.needs import Option, Preference, Requirement, Resources, Retry, SecretEnv, Toleration, Volume
from mlopx.spec.values import Clause, Value

SPEC_VERSION = "1.0"
"""Version written into every spec: readers refuse another major version and accept a newer minor one they can parse."""

ScopeId = Annotated[str, Field(pattern=r"^[a-z][-a-z0-9]*(/[a-z][-a-z0-9]*)*$", max_length=400)]


class PipelineScope(SpecModel):
    """A nested pipeline; its id is the path prefix of the tasks in it."""

    kind: Literal["pipeline"] = "pipeline"
    parent: ScopeId | None = None
    pipeline: Name


class ConditionScope(SpecModel):
    """Tasks that run only if all clauses of `when` hold and none of the groups in `unless` does (else, elif)."""

    kind: Literal["condition"] = "condition"
    parent: ScopeId | None = None
    when: tuple[Clause, ...] = ()
    unless: tuple[tuple[Clause, ...], ...] = ()


class LoopScope(SpecModel):
    """Tasks that run once per item. `width` bounds how many iterations run side by side."""

    kind: Literal["loop"] = "loop"
    parent: ScopeId | None = None
    items: Value
    width: int | None = Field(default=None, ge=1)


Scope = Annotated[Union[PipelineScope, ConditionScope, LoopScope], Field(discriminator="kind")]  # noqa: UP007


class Task(SpecModel):
    """A component used in the pipeline: arguments, place in the structure, and what it needs of a node."""

    component: Name
    scope: ScopeId | None = None
    arguments: dict[PortName, Value] = {}
    after: tuple[TaskPath, ...] = ()
    trigger: Literal["all-succeeded", "all-done"] = "all-succeeded"
    image: str | None = None
    resources: Resources = Resources()
    options: tuple[Option, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    node: str | None = None
    preferences: tuple[Preference, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    volumes: tuple[Volume, ...] = ()
    retry: Retry | None = None
    timeout_seconds: float | None = Field(default=None, gt=0)
    cache: bool = True
    environment: dict[str, str] = {}
    secrets: tuple[SecretEnv, ...] = ()
    interruptible: bool = False
    hints: WorkloadHints | None = None


class Parameter(SpecModel):
    """A pipeline parameter. Required unless `optional`, which takes `default` when nothing is given."""

    type: ParameterType
    optional: bool = False
    default: JsonValue = None
    description: str = ""


class RunDefaults(SpecModel):
    """What a run gets unless the submission says otherwise. `deadline_seconds` counts from the submission."""

    priority: int = Field(default=0, ge=-1000, le=1000)
    project: str = Field(default="default", min_length=1, max_length=63)
    deadline_seconds: float | None = Field(default=None, gt=0)


class PipelineSpec(SpecModel):
    """One pipeline: versioned, complete, and the same bytes for the same definition (`mlopx.spec.to_json`).

    With a `foreign` document that is what runs, and the rest of the spec is what was read from it.
    """

    kind: Literal["mlopx.PipelineSpec"] = "mlopx.PipelineSpec"
    version: str = Field(pattern=r"^\d+\.\d+$")
    name: Name
    description: str = ""
    parameters: dict[ParameterName, Parameter] = {}
    components: dict[Name, Component] = {}
    scopes: dict[ScopeId, Scope] = {}
    tasks: dict[TaskPath, Task] = Field(min_length=1)
    exit_task: TaskPath | None = None
    run: RunDefaults = RunDefaults()
    hints: WorkloadHints | None = None
    foreign: ForeignDocument | None = None
