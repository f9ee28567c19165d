"""Components: a typed Python function, or a container's command, made into a reusable step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, overload

from mlopx.dsl import types
from mlopx.dsl.build import current_build
from mlopx.dsl.handles import json_constant
from mlopx.dsl.hints import workload
from mlopx.dsl.needs import resources
from mlopx.dsl.quantities import time_limit
from mlopx.dsl.source import FunctionSource, read_source
from mlopx.dsl.task import TaskHandle
from mlopx.dsl.unknown import require_known, unknown_attribute
from mlopx.dsl.where import here
from mlopx.dsl.wrong import checked
from mlopx.errors import DefinitionError
from mlopx.spec import (
    ArtifactInput,
    ArtifactOutput,
    ContainerCode,
    FunctionCode,
    InputPathPlaceholder,
    InputValuePlaceholder,
    OutputPathPlaceholder,
    ParameterInput,
    ParameterOutput,
    Resources,
    Retry,
    fits,
    slug,
)
from mlopx.spec import Component as ComponentSpec

Port = ParameterInput | ArtifactInput | ParameterOutput | ArtifactOutput


@dataclass(frozen=True, slots=True)
class Defaults:
    """What every task of a component gets unless it says otherwise."""

    resources: Resources = field(default_factory=Resources)
    cache: bool = True
    timeout_seconds: float | None = None
    retry: Retry | None = None
    kind: str | None = None


class Component:
    """A step. Inside a pipeline function, calling it adds a task; anywhere else, it calls the function itself."""

    def __init__(self, spec: ComponentSpec, defaults: Defaults, function: Callable[..., Any] | None) -> None:
        self.spec, self.defaults, self.function = spec, defaults, function
        self.__name__, self.__doc__ = spec.name, spec.description
        self.order = tuple(spec.inputs)

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            is_tasks = hasattr(TaskHandle, name)
            hint = f"call it first: {self.spec.name}(...).{name}" if is_tasks else None
            raise unknown_attribute(f"component {self.spec.name!r}", name, self, hint=hint)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        build = current_build()
        if build is None:
            if self.function is None:
                raise DefinitionError(
                    f"container component {self.spec.name!r} can only be used in a pipeline",
                    hint="call it in a function with @pipeline",
                    where=here(),
                )
            return self.function(*args, **kwargs)
        if len(args) > len(self.order):
            raise DefinitionError(
                f"{self.spec.name} takes {len(self.order)} arguments, but {len(args)} are given", where=here()
            )
        for name, value in zip(self.order, args, strict=False):
            if name in kwargs:
                raise DefinitionError(f"{self.spec.name} gets argument {name!r} twice", where=here())
            kwargs[name] = value
        return TaskHandle.create(build, self, kwargs)


@overload
def component(function: Callable[..., Any], /) -> Component: ...


@overload
def component(
    *,
    name: str | None = None,
    image: str | None = None,
    packages: Sequence[str] = (),
    cpu: int | float | str | None = None,
    memory: int | str | None = None,
    accelerator: str | None = None,
    cpu_limit: int | float | str | None = None,
    memory_limit: int | str | None = None,
    cache: bool = True,
    timeout: float | str | None = None,
    retries: int | None = None,
    kind: str | None = None,
    description: str | None = None,
) -> Callable[[Callable[..., Any]], Component]: ...


def component(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Make a typed function a component.

    Args:
        name: the component's name; by default the function's.
        image: container image, for platforms that use one.
        packages: pip requirements that must be importable where it runs.
        cpu, memory, accelerator: default requests of its tasks: `0.5`, `"512Mi"`, `"nvidia.com/gpu"`.
        cpu_limit, memory_limit: what its tasks may use at most, by default.
        cache: whether equal work may be reused.
        timeout, retries: default time limit (`"10m"`) and number of retries.
        kind: preprocessing, training, evaluation, inference or other; a hint for run time estimates.
    """
    if function is not None:
        return _make(function)
    require_known("@component", settings, _make)
    return lambda decorated: _make(decorated, **settings)


def _make(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    image: str | None = None,
    packages: Sequence[str] = (),
    cpu: Any = None,
    memory: Any = None,
    accelerator: str | None = None,
    cpu_limit: Any = None,
    memory_limit: Any = None,
    cache: bool = True,
    timeout: Any = None,
    retries: int | None = None,
    kind: str | None = None,
    description: str | None = None,
) -> Component:
    source = read_source(function)
    inputs, outputs = _ports(function, source)
    if isinstance(packages, str):
        raise DefinitionError(
            "packages must be a list of requirements", hint=f'write packages=["{packages}"]', where=source.where
        )
    workload(kind=kind)
    called = _component_name(name or function.__name__, source.where)
    with checked(f"component {called!r} is wrong", where=source.where):
        spec = ComponentSpec(
            name=called,
            description=(description or inspect.getdoc(function) or "").split("\n\n")[0],
            code=FunctionCode(source=source.text, entrypoint=function.__name__, file=source.file, line=source.line),
            image=image,
            packages=tuple(packages),
            inputs=inputs,
            outputs=outputs,
        )
        retry = Retry(max_retries=retries) if retries else None
    defaults = Defaults(
        resources(cpu=cpu, memory=memory, accelerator=accelerator, cpu_limit=cpu_limit, memory_limit=memory_limit),
        cache,
        time_limit(timeout) if timeout is not None else None,
        retry,
        kind,
    )
    return Component(spec, defaults, function)


def _component_name(text: str, where: str | None) -> str:
    found = slug(text)
    if not found or not found[0].isalpha():
        raise DefinitionError(
            f"{text!r} cannot be made into a component name", hint="begin it with a letter", where=where
        )
    return found


def _ports(function: Callable[..., Any], source: FunctionSource) -> tuple[dict[str, Any], dict[str, Any]]:
    hints = types.hints_of(function, source.where)
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DefinitionError(
                f"{function.__name__} takes *{name}; a component's inputs have names",
                hint="write each input by name; of many values, take a list",
                where=source.where,
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise DefinitionError(
                f"{function.__name__} takes {name!r} by position only; a component's inputs are given by name",
                hint="leave out the / in its parameters",
                where=source.where,
            )
        annotation = hints.get(name)
        if annotation is types.TaskInfo:
            continue
        if annotation is None:
            raise DefinitionError(
                f"parameter {name!r} of {function.__name__} has no type",
                hint=f"write {name}: float, {name}: Input[Dataset], …",
                where=source.where,
            )
        _port(function.__name__, name, parameter, annotation, source, inputs, outputs)
    outputs.update(_returned(function.__name__, hints.get("return"), source))
    return inputs, outputs


def _port(
    function: str,
    name: str,
    parameter: inspect.Parameter,
    annotation: Any,
    source: FunctionSource,
    inputs: dict[str, Any],
    outputs: dict[str, Any],
) -> None:
    has_default = parameter.default is not inspect.Parameter.empty
    artifact = types.artifact_type(annotation)
    if artifact is not None:
        direction, kind, is_list = artifact
        if direction == types.OUTPUT and is_list:
            raise DefinitionError(
                f"output {name!r} of {function} is a list of artifacts; a task writes a known number of them",
                hint="write one Output[...] for each, or make them in a Loop and collect them",
                where=source.where,
            )
        if direction == types.OUTPUT:
            outputs[name] = ArtifactOutput(type=kind)
        else:
            inputs[name] = ArtifactInput(type=kind, is_list=is_list, optional=has_default)
        return
    kind_name = types.parameter_type(annotation)
    if kind_name is None:
        raise DefinitionError(
            f"parameter {name!r} of {function} has type {annotation!r}, which cannot travel between tasks",
            hint="use str, int, float, bool, list, dict, or Input[Dataset] for anything in a file",
            where=source.where,
        )
    default = json_constant(parameter.default) if has_default else None
    if default is not None and not fits(default, kind_name):
        raise DefinitionError(
            f"parameter {name!r} of {function} is a {kind_name}, but its default is {default!r}", where=source.where
        )
    inputs[name] = ParameterInput(type=kind_name, optional=has_default, default=default)


def _returned(function: str, annotation: Any, source: FunctionSource) -> dict[str, Any]:
    if annotation is None or annotation is type(None):
        return {}
    named = types.hints_of(annotation, source.where) if hasattr(annotation, "_fields") else {"output": annotation}
    found: dict[str, Any] = {}
    for name, kind in named.items():
        kind_name = types.parameter_type(kind)
        if kind_name is None:
            raise DefinitionError(
                f"{function} returns {kind!r}, which cannot travel between tasks",
                hint="return str, int, float, bool, list, dict or a NamedTuple of these; write files to an Output[...]",
                where=source.where,
            )
        found[name] = ParameterOutput(type=kind_name)
    return found


def container_component(
    name: str,
    *,
    image: str,
    command: Sequence[Any] = (),
    args: Sequence[Any] = (),
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    description: str = "",
) -> Component:
    """A component that is a command in an image.

    `inputs` and `outputs` map names to types (`str`, `float`, `Dataset`, `Model`, …); in `command` and `args` write
    `input_value("x")`, `input_path("data")` and `output_path("model")` where they belong.
    """
    where = here()
    if not image:
        raise DefinitionError(
            f"container component {name!r} has no image", hint='write image="python:3.11"', where=where
        )
    given = {port: _container_port(port, kind, is_output=False, where=where) for port, kind in (inputs or {}).items()}
    made = {port: _container_port(port, kind, is_output=True, where=where) for port, kind in (outputs or {}).items()}
    for what, parts in (("command", command), ("args", args)):
        if isinstance(parts, str):
            raise DefinitionError(
                f"{what} must be a list of texts and placeholders",
                hint=f"write {what}={parts.split()!r}",
                where=where,
            )
    for part in (*command, *args):
        _check_part(part, given, made, where)
    called = _component_name(name, where)
    with checked(f"container component {called!r} is wrong", where=where):
        spec = ComponentSpec(
            name=called,
            description=description,
            code=ContainerCode(command=tuple(command), args=tuple(args)),
            image=image,
            inputs=given,
            outputs=made,
        )
    return Component(spec, Defaults(), None)


def input_value(name: str) -> InputValuePlaceholder:
    """In a container's command: the value of an input parameter."""
    return InputValuePlaceholder(input=name)


def input_path(name: str) -> InputPathPlaceholder:
    """In a container's command: where an input artifact lies."""
    return InputPathPlaceholder(input=name)


def output_path(name: str) -> OutputPathPlaceholder:
    """In a container's command: where an output is to be written."""
    return OutputPathPlaceholder(output=name)


def _container_port(name: str, kind: Any, *, is_output: bool, where: str | None) -> Any:
    artifact = types.artifact_type(kind)
    if artifact is not None:
        _, artifact_type, is_list = artifact
        if is_list:
            raise DefinitionError(
                f"port {name!r} is a list of artifacts, for which no place in a command can stand",
                hint="give the command one port for each, or read the list in a Python function",
                where=where,
            )
        return ArtifactOutput(type=artifact_type) if is_output else ArtifactInput(type=artifact_type)
    kind_name = types.parameter_type(kind)
    if kind_name is None:
        raise DefinitionError(
            f"port {name!r} has type {kind!r}, which cannot travel between tasks",
            hint="use str, int, float, bool, list, dict, or Dataset, Model, … for anything in a file",
            where=where,
        )
    return ParameterOutput(type=kind_name) if is_output else ParameterInput(type=kind_name)


def _check_part(part: Any, inputs: dict[str, Any], outputs: dict[str, Any], where: str | None) -> None:
    if isinstance(part, OutputPathPlaceholder):
        name, known = part.output, outputs
    elif isinstance(part, InputValuePlaceholder | InputPathPlaceholder):
        name, known = part.input, inputs
    elif isinstance(part, str):
        return
    else:
        hint = (
            f'write numbers as texts: "{part}"' if isinstance(part, int | float) else "write texts, or input_value(...)"
        )
        raise DefinitionError(f"a command is made of texts and placeholders, not of {part!r}", hint=hint, where=where)
    if name not in known:
        kind = "output" if known is outputs else "input"
        raise DefinitionError(
            f"the command speaks of {name!r}, which is no {kind} of the component",
            hint=f"the {kind}s are: {', '.join(known) or 'none'}",
            where=where,
        )
    if isinstance(part, InputValuePlaceholder) and isinstance(known[name], ArtifactInput):
        raise DefinitionError(
            f"input {name!r} is an artifact, whose value no command can hold",
            hint=f'write input_path("{name}")',
            where=where,
        )
    if isinstance(part, InputPathPlaceholder) and isinstance(known[name], ParameterInput):
        raise DefinitionError(
            f"input {name!r} is a value, which lies in no file", hint=f'write input_value("{name}")', where=where
        )
