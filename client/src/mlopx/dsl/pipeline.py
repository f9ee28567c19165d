"""Pipelines: a function that is called once, with handles, and becomes a `PipelineSpec`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mlopx.dsl import types
from mlopx.dsl.blocks import without_with
from mlopx.dsl.build import Build, TaskDraft, building, current_build
from mlopx.dsl.handles import Handle, json_constant, value_of
from mlopx.dsl.hints import PipelineHints, read_metadata
from mlopx.dsl.quantities import time_limit
from mlopx.dsl.source import place_of
from mlopx.dsl.task import Nested, TaskHandle, only_artifact
from mlopx.dsl.unknown import require_known
from mlopx.dsl.where import here, raised_at
from mlopx.dsl.wrong import checked, said
from mlopx.errors import DefinitionError, MlopxError
from mlopx.spec import (
    SPEC_VERSION,
    Parameter,
    PipelineScope,
    PipelineSpec,
    RunDefaults,
    Task,
    WorkloadHints,
    fits,
    problems,
    slug,
)
from mlopx.spec import Param as ParamValue

if TYPE_CHECKING:
    from mlopx.remote import RunHandle

_COMPUTES = "what a task made, only the run will know: compute with it in a task, and compare its .output in an If"


class Pipeline:
    """A pipeline. Build it, submit it, or call it inside another pipeline to nest it."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        priority: int = 0,
        project: str = "default",
        deadline: float | str | None = None,
        hints: str | Path | dict[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.where = place_of(function, "pipeline")
        self.name = slug(name or function.__name__)
        self.description = description if description is not None else (inspect.getdoc(function) or "").split("\n\n")[0]
        self._hints = self._read_hints(hints)
        self.artifacts = self._artifacts()
        self.parameters = self._parameters()
        if not self.name or not self.name[0].isalpha():
            raise DefinitionError(
                f"{name or function.__name__!r} cannot be made into a pipeline name",
                hint="begin it with a letter",
                where=self.where,
            )
        within = time_limit(deadline) if deadline is not None else None
        with checked("the run settings are wrong", where=self.where):
            self._run = RunDefaults(priority=priority, project=project, deadline_seconds=within)

    def __call__(self, *args: Any, **kwargs: Any) -> Nested:
        """Inside another pipeline: nest this one."""
        build = current_build()
        if build is None:
            raise DefinitionError(
                f"pipeline {self.name!r} is not run by calling it",
                hint=f"use {self.function.__name__}.submit(...), .run(...) or .build()",
                where=here(),
            )
        given = self._bind(args, kwargs)
        name = build.free_path(self.name)
        before = set(build.tasks)
        exit_before = build.exit_task
        with build.nested(name, PipelineScope(parent=build.scope, pipeline=self.name)):
            returned = self.function(**given)
        if build.exit_task != exit_before:
            raise DefinitionError(
                f"nested pipeline {self.name!r} has an exit task; only the outermost can",
                hint="call on_exit in the outermost pipeline",
                where=here(),
            )
        return Nested(name, tuple(path for path in build.tasks if path not in before), returned)

    def build(self) -> PipelineSpec:
        """The pipeline as a checked spec. Raises DefinitionError with the place in your file."""
        if self.artifacts:
            raise DefinitionError(
                f"pipeline {self.name!r} takes artifacts ({', '.join(self.artifacts)}), so it cannot run alone",
                hint="call it inside another pipeline, whose tasks make these artifacts",
                where=self.where,
            )
        build = Build()
        handles = {name: Handle(ParamValue(name=name), parameter.type) for name, parameter in self.parameters.items()}
        with building(build):
            self._call(handles)
        if build.not_entered:
            raise without_with(*build.not_entered[0])
        if not build.tasks:
            raise DefinitionError(
                f"pipeline {self.name!r} has no tasks", hint="call a component in its function", where=self.where
            )
        if self._hints is not None:
            self._hints.require_tasks(build.tasks, self.where)
        tasks = {path: self._task(path, draft) for path, draft in build.tasks.items()}
        used = {draft.component.name for draft in build.tasks.values()}
        with checked(f"pipeline {self.name!r} is wrong", where=self.where):
            spec = PipelineSpec(
                version=SPEC_VERSION,
                name=self.name,
                description=self.description,
                parameters=self.parameters,
                components={name: component for name, component in build.components.items() if name in used},
                scopes=_used_scopes(build, tasks),
                tasks=tasks,
                exit_task=build.exit_task,
                run=self._run,
                hints=self._hints.workload if self._hints else None,
            )
        found = problems(spec)
        if found:
            raise DefinitionError(found[0] + _others(found), where=_place(found[0], build) or self.where)
        return spec

    def _call(self, handles: Mapping[str, Any]) -> None:
        """Run the pipeline's function. What goes wrong in it is told like any other mistake, with its place."""
        try:
            self.function(**handles)
        except MlopxError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise DefinitionError(
                f"building pipeline {self.name!r} failed: {text}",
                hint=_COMPUTES if isinstance(error, TypeError) and "Handle'" in text else None,
                where=raised_at(error) or self.where,
            ) from error

    def submit(self, arguments: Mapping[str, Any] | None = None, /, **options: Any) -> RunHandle:
        """Send a run to the server and return at once. Options as in `mlopx.remote.submit`."""
        from mlopx.remote import submit

        return submit(self.build(), arguments, **options)

    def run(self, arguments: Mapping[str, Any] | None = None, /, **options: Any) -> RunHandle:
        """Send a run and wait for its end, as one does in a notebook. Raises RunFailedError if it fails."""
        handle = self.submit(arguments, **options)
        handle.wait()
        return handle

    def main(self, argv: list[str] | None = None) -> None:
        """What a definition file calls under `__main__`: submits, by the command line's options."""
        from mlopx.cli.script import main

        main(self, argv)

    def _artifacts(self) -> dict[str, tuple[str, bool]]:
        """Type and whether it is a list, of what a nested pipeline takes as `Input[...]`."""
        found = {name: types.artifact_type(hint) for name, hint in types.hints_of(self.function, self.where).items()}
        return {name: one[1:] for name, one in found.items() if one is not None and one[0] == types.INPUT}

    def _parameters(self) -> dict[str, Parameter]:
        hints = types.hints_of(self.function, self.where)
        found = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            if name in self.artifacts:
                continue
            kind = types.parameter_type(hints.get(name))
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise DefinitionError(
                    f"pipeline parameter {name!r} has no name to give it by",
                    hint="leave out the / or * in the function's parameters",
                    where=self.where,
                )
            if kind is None:
                raise DefinitionError(
                    f"pipeline parameter {name!r} needs a type: str, int, float, bool, list or dict",
                    hint=f"write {name}: float, or {name}: Input[Dataset] for what another pipeline gives it",
                    where=self.where,
                )
            has_default = parameter.default is not inspect.Parameter.empty
            default = json_constant(parameter.default) if has_default else None
            if default is not None and not fits(default, kind):
                raise DefinitionError(
                    f"pipeline parameter {name!r} is a {kind}, but its default is {default!r}", where=self.where
                )
            found[name] = Parameter(type=kind, optional=has_default, default=default)
        return found

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Handle]:
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as error:
            raise DefinitionError(f"nested pipeline {self.name!r}: {error}", where=here()) from error
        bound.apply_defaults()
        given: dict[str, Handle] = {}
        for name, value in bound.arguments.items():
            if name in self.artifacts:
                given[name] = self._artifact(name, value)
                continue
            one = value.output if isinstance(value, TaskHandle | Nested) else value
            declared = self.parameters[name].type
            if not isinstance(one, Handle):
                if not fits(one, declared) and one is not None:
                    raise DefinitionError(
                        f"{self.name}: {name!r} expects {declared}, but {one!r} is given", where=here()
                    )
                one = Handle(value_of(one), declared)
            given[name] = one
        return given

    def _artifact(self, name: str, given: Any) -> Handle:
        kind, is_list = self.artifacts[name]
        one = only_artifact(given) if isinstance(given, TaskHandle) else given
        one = one.output if isinstance(one, Nested) else one
        is_one = isinstance(one, Handle) and one.is_artifact and one.is_list == is_list
        if not is_one or (one.type != kind and "Artifact" not in (one.type, kind)):
            found = f"a {one.type}" if isinstance(one, Handle) else said(one)
            wanted = f"a list of {kind} artifacts" if is_list else f"an artifact ({kind})"
            raise DefinitionError(f"{self.name}: {name!r} expects {wanted}, but {found} is given", where=here())
        return one

    def _read_hints(self, hints: str | Path | dict[str, Any] | None) -> PipelineHints | None:
        if hints is None:
            return None
        if isinstance(hints, str | Path):
            hints = Path(self.function.__code__.co_filename).parent / hints
        return read_metadata(hints)

    def _task(self, path: str, draft: TaskDraft) -> Task:
        kind = self._hints.kind_of(path) or draft.kind if self._hints else draft.kind
        said: WorkloadHints | None = draft.fields.get("hints")
        if kind is not None and (said is None or said.task_kind is None):
            fields = {} if said is None else {name: getattr(said, name) for name in WorkloadHints.model_fields}
            draft.fields["hints"] = WorkloadHints.model_validate({**fields, "task_kind": kind})
        with checked(f"task {path!r} is wrong", where=draft.where):
            return draft.finish()


@overload
def pipeline(function: Callable[..., Any], /) -> Pipeline: ...


@overload
def pipeline(
    *,
    name: str | None = None,
    description: str | None = None,
    priority: int = 0,
    project: str = "default",
    deadline: float | str | None = None,
    hints: str | Path | dict[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], Pipeline]: ...


def pipeline(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Make a function a pipeline.

    Args:
        name: by default the function's.
        description: by default the docstring's first paragraph.
        priority: higher goes first; 0 is normal.
        project: whom the run belongs to.
        deadline: when it should be done, counted from the submission (`"2h"`).
        hints: the workload metadata (a JSON file beside the definition, or its content).
    """
    if function is not None:
        return Pipeline(function)
    require_known("@pipeline", settings, Pipeline)
    return lambda decorated: Pipeline(decorated, **settings)


def _used_scopes(build: Build, tasks: dict[str, Task]) -> dict[str, Any]:
    used: set[str] = set()
    for task in tasks.values():
        scope = task.scope
        while scope is not None and scope not in used:
            used.add(scope)
            scope = build.scopes[scope].parent
    return {name: scope for name, scope in build.scopes.items() if name in used}


def _place(problem: str, build: Build) -> str | None:
    """The user's line that a problem speaks of: the condition or loop it names, or the call of the task."""
    if problem.startswith("exit_task:") and build.exit_task in build.tasks:
        return build.tasks[build.exit_task].where
    if not problem.startswith("tasks."):
        return None
    block = re.search(r": its (?:condition|loop) '([^']+)': ", problem)
    if block is not None:
        return build.places.get(block[1])
    text = problem.removeprefix("tasks.")
    paths = [path for path in build.tasks if text.startswith((f"{path}.", f"{path}:"))]
    return build.tasks[max(paths, key=len)].where if paths else None


def _others(found: list[str]) -> str:
    return "".join(f"\n  also: {problem}" for problem in found[1:10])
