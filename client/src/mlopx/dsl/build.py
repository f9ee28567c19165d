"""The pipeline under construction: which tasks and scopes there are, and where we stand in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mlopx.dsl.where import here
from mlopx.spec import Clause, Scope, Task
from mlopx.spec import Component as ComponentSpec


@dataclass
class TaskDraft:
    """A task being described; `fields` become the spec's `Task`."""

    component: ComponentSpec
    where: str | None
    fields: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    path: str = ""

    def finish(self) -> Task:
        """The task as the spec says it."""
        return Task(component=self.component.name, **self.fields)


@dataclass
class Build:
    """Everything said so far. `branches` remembers the conditions that an `Elif` or `Else` continues, per scope;
    `not_entered` the name and place of every block that no `with` has entered yet, `places` where each scope begins."""

    tasks: dict[str, TaskDraft] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    components: dict[str, ComponentSpec] = field(default_factory=dict)
    scope: str | None = None
    prefix: str = ""
    branches: dict[str | None, tuple[tuple[Clause, ...], ...]] = field(default_factory=dict)
    exit_task: str | None = None
    renames: dict[str, str] = field(default_factory=dict)
    not_entered: list[tuple[str, str | None]] = field(default_factory=list)
    places: dict[str, str | None] = field(default_factory=dict)

    def add_component(self, spec: ComponentSpec) -> ComponentSpec:
        """Register a component; another one of the same name gets a number."""
        name, number = spec.name, 1
        while name in self.components and self.components[name] != spec.model_copy(update={"name": name}):
            number += 1
            name = f"{spec.name[:60]}-{number}"
        self.components[name] = spec.model_copy(update={"name": name})
        return self.components[name]

    def free_path(self, name: str) -> str:
        """A task path in the present pipeline that is not taken."""
        path, number = self.prefix + name, 1
        while path in self.tasks or path in self.scopes:
            number += 1
            path = f"{self.prefix}{name}-{number}"
        return path

    def free_scope(self, kind: str) -> str:
        """A scope id in the present pipeline that is not taken."""
        number = 1
        while f"{self.prefix}{kind}-{number}" in self.scopes:
            number += 1
        return f"{self.prefix}{kind}-{number}"

    @contextmanager
    def inside(self, name: str, scope: Scope) -> Iterator[None]:
        """Describe what lies in a scope."""
        self.scopes[name], self.places[name] = scope, here()
        before, self.scope = self.scope, name
        try:
            yield
        finally:
            self.scope = before

    @contextmanager
    def nested(self, name: str, scope: Scope) -> Iterator[None]:
        """Describe what lies in a nested pipeline: its tasks get its name in front."""
        before, self.prefix = self.prefix, f"{name}/"
        try:
            with self.inside(name, scope):
                yield
        finally:
            self.prefix = before


_current: ContextVar[Build | None] = ContextVar("mlopx-build", default=None)


def current_build() -> Build | None:
    """The pipeline under construction, or None."""
    return _current.get()


@contextmanager
def building(build: Build) -> Iterator[Build]:
    """Make `build` the pipeline under construction."""
    token = _current.set(build)
    try:
        yield build
    finally:
        _current.reset(token)
