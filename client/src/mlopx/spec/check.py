"""The rules of a spec that span several of its parts. `problems` lists every violation, with where it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mlopx.spec.base import PORT_PATTERN
from mlopx.spec.component import ArtifactInput, ArtifactOutput, Component, ParameterInput
from mlopx.spec.pipeline import LoopScope, PipelineScope, PipelineSpec, Task
from mlopx.spec.structure import loops_around, referenced_tasks, scope_chain, scope_values, topological_order
from mlopx.spec.values import Collect, Const, Item, OneOf, OutputRef, Param, RunFact, Value, VolumePath

JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list, tuple),
    "dict": (dict,),
}


def fits(value: Any, parameter_type: str) -> bool:
    """Whether a JSON value is of the parameter type; a bool is no number, an int is a float."""
    if isinstance(value, bool):
        return parameter_type == "bool"
    return isinstance(value, JSON_TYPES[parameter_type])


def problems(spec: PipelineSpec) -> list[str]:
    """Every broken rule as a sentence that begins with its place; an empty list for a sound spec."""
    found = list(_scope_problems(spec))
    if found:
        return found
    for name, parameter in spec.parameters.items():
        if spec.foreign is None and re.fullmatch(PORT_PATTERN, name) is None:
            found.append(f"parameters.{name}: is no name of letters a to z, digits and _")
        if parameter.optional and parameter.default is not None and not fits(parameter.default, parameter.type):
            found.append(f"parameters.{name}: the default {parameter.default!r} is not of type {parameter.type}")
    for name, component in spec.components.items():
        found.extend(_component_problems(name, component, is_foreign=spec.foreign is not None))
    for path, task in spec.tasks.items():
        found.extend(f"tasks.{path}{problem}" for problem in _task_problems(spec, path, task))
    found.extend(_block_problems(spec))
    found.extend(_exit_problems(spec))
    if not found:
        try:
            topological_order(spec)
        except ValueError as error:
            found.append(f"tasks: {error}")
    return found


def _scope_problems(spec: PipelineSpec) -> Iterator[str]:
    for name, scope in spec.scopes.items():
        seen = {name}
        parent = scope.parent
        while parent is not None:
            if parent not in spec.scopes:
                yield f"scopes.{name}: its parent {parent!r} does not exist"
                break
            if parent in seen:
                yield f"scopes.{name}: the scopes contain each other in a circle"
                break
            seen.add(parent)
            parent = spec.scopes[parent].parent
    for path, task in spec.tasks.items():
        if task.scope is not None and task.scope not in spec.scopes:
            yield f"tasks.{path}: its scope {task.scope!r} does not exist"


def _component_problems(name: str, component: Component, *, is_foreign: bool) -> Iterator[str]:
    if component.name != name:
        yield f"components.{name}: is named {component.name!r} inside"
    both = set(component.inputs) & set(component.outputs)
    if both:
        yield f"components.{name}: {', '.join(sorted(both))} is both an input and an output"
    if component.code.kind == "container" and component.image is None:
        yield f"components.{name}: a container component needs an image"
    if component.code.kind == "foreign" and not is_foreign:
        yield f"components.{name}: its code is in a foreign document, and the spec has none"
    if component.code.kind == "function" and not component.code.source.strip():
        yield f"components.{name}: its code has no source"
    for port, given in component.inputs.items():
        if (
            isinstance(given, ParameterInput)
            and given.optional
            and given.default is not None
            and not fits(given.default, given.type)
        ):
            yield f"components.{name}.inputs.{port}: the default {given.default!r} is not of type {given.type}"


def _task_problems(spec: PipelineSpec, path: str, task: Task) -> Iterator[str]:
    component = spec.components.get(task.component)
    if component is None:
        yield f": its component {task.component!r} does not exist"
        return
    for port in sorted(set(task.arguments) - set(component.inputs)):
        yield f".arguments.{port}: component {component.name!r} has no such input (it has: {_names(component.inputs)})"
    for port, declared in component.inputs.items():
        if port not in task.arguments:
            if not declared.optional:
                yield f".arguments.{port}: is missing; component {component.name!r} requires it"
            continue
        for problem in _value_problems(spec, task.scope, task.arguments[port], task):
            yield f".arguments.{port}: {problem}"
        for problem in _type_problems(spec, declared, task.arguments[port]):
            yield f".arguments.{port}: {problem}"
    yield from _setting_problems(spec, task)


def _setting_problems(spec: PipelineSpec, task: Task) -> Iterator[str]:
    for upstream in task.after:
        if upstream not in spec.tasks:
            yield f".after: task {upstream!r} does not exist"
    for kind, names in (
        ("options", [option.name for option in task.options]),
        ("volumes", [volume.name for volume in task.volumes]),
        ("secrets", [secret.env for secret in task.secrets]),
    ):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f".{kind}: {name!r} is there twice"


def _block_problems(spec: PipelineSpec) -> Iterator[str]:
    """Of the conditions and loops around tasks, each told once, at the first task in it."""
    seen: set[str] = set()
    for path, task in spec.tasks.items():
        for name, scope in scope_chain(spec, task.scope):
            if name in seen:
                continue
            seen.add(name)
            for value in scope_values(scope):
                for problem in (*_value_problems(spec, scope.parent, value, task), *_operand_problems(spec, value)):
                    yield f"tasks.{path}: its {scope.kind} {name!r}: {problem}"


def _operand_problems(spec: PipelineSpec, value: Value) -> Iterator[str]:
    """Of what a condition compares, or a loop runs over: the server reads it, and knows neither the content of files
    nor how the run will end."""
    if isinstance(value, RunFact) and value.fact not in ("id", "name"):
        yield f"only an exit task may read the run's {value.fact}"
    for one in value.candidates if isinstance(value, OneOf) else (value,):
        given = _type_given(spec, one)
        if given is not None and given[0] == "artifact":
            yield f"reads an artifact ({given[1]}), which only a task can look into: have that task return a value"


def _value_problems(spec: PipelineSpec, scope: str | None, value: Value, task: Task) -> Iterator[str]:
    around = loops_around(spec, scope)
    if isinstance(value, Param) and value.name not in spec.parameters:
        yield f"the pipeline has no parameter {value.name!r} (it has: {_names(spec.parameters)})"
    elif isinstance(value, Item) and value.loop not in around:
        yield f"reads the item of loop {value.loop!r}, which is not around it"
    elif isinstance(value, VolumePath) and value.volume not in [volume.name for volume in task.volumes]:
        yield f"reads volume {value.volume!r}, which the task does not mount"
    elif isinstance(value, OutputRef):
        yield from _reference_problems(spec, value.task, value.port, around, collected=False)
    elif isinstance(value, Collect):
        yield from _reference_problems(spec, value.task, value.port, around, collected=True)
    elif isinstance(value, OneOf):
        for candidate in value.candidates:
            yield from _reference_problems(spec, candidate.task, candidate.port, around, collected=False)


def _reference_problems(
    spec: PipelineSpec, path: str, port: str, around: tuple[str, ...], *, collected: bool
) -> Iterator[str]:
    upstream = spec.tasks.get(path)
    if upstream is None:
        yield f"task {path!r} does not exist"
        return
    component = spec.components.get(upstream.component)
    if component is not None and port not in component.outputs:
        yield f"task {path!r} has no output {port!r} (it has: {_names(component.outputs)})"
    inner = loops_around(spec, upstream.scope)
    is_inside = around[: len(inner)] == inner
    if not collected and not is_inside:
        yield f"task {path!r} lies in a loop, so it has many outputs {port!r}: collect them"
    if collected and is_inside:
        yield f"task {path!r} is not in a loop as seen from here: there is nothing to collect"


def _type_problems(spec: PipelineSpec, declared: Any, value: Value) -> Iterator[str]:
    if isinstance(value, OneOf):
        for candidate in value.candidates:
            yield from _type_problems(spec, declared, candidate)
        return
    given = _type_given(spec, value)
    if given is None:
        return
    kind, type_name, is_list = given
    if isinstance(declared, ArtifactInput):
        if kind != "artifact":
            yield f"expects an artifact ({declared.type}), but a {type_name} value is given"
        elif "Artifact" not in (declared.type, type_name) and declared.type != type_name:
            yield f"expects a {declared.type}, but a {type_name} is given"
        elif declared.is_list != is_list:
            yield "expects a list of artifacts" if declared.is_list else "expects one artifact, but a list is given"
    elif kind == "artifact":
        yield f"expects a {declared.type} value, but an artifact ({type_name}) is given"
    elif isinstance(value, Const):
        if not fits(value.value, declared.type) and not (value.value is None and declared.optional):
            yield f"expects {declared.type}, but {value.value!r} is given"
    elif type_name != declared.type and (type_name, declared.type) != ("int", "float"):
        yield f"expects {declared.type}, but {type_name} is given"


def _type_given(spec: PipelineSpec, value: Value) -> tuple[str, str, bool] | None:
    """(parameter or artifact, type, is a list) of a value, or None where only the run can tell."""
    if isinstance(value, Const):
        return "parameter", type(value.value).__name__, False
    if isinstance(value, Param):
        parameter = spec.parameters.get(value.name)
        return ("parameter", parameter.type, False) if parameter else None
    if isinstance(value, VolumePath):
        return "parameter", "str", False
    if isinstance(value, RunFact):
        return "parameter", "list" if value.fact == "failed_tasks" else "str", False
    if isinstance(value, OutputRef | Collect):
        upstream = spec.tasks.get(value.task)
        component = spec.components.get(upstream.component) if upstream else None
        port = component.outputs.get(value.port) if component else None
        if port is None:
            return None
        if isinstance(port, ArtifactOutput):
            return "artifact", port.type, isinstance(value, Collect)
        return "parameter", "list" if isinstance(value, Collect) else port.type, False
    return None


def _exit_problems(spec: PipelineSpec) -> Iterator[str]:
    if spec.exit_task is None:
        for path, task in spec.tasks.items():
            for port, value in task.arguments.items():
                if isinstance(value, RunFact) and value.fact not in ("id", "name"):
                    yield f"tasks.{path}.arguments.{port}: only an exit task may read the run's {value.fact}"
        return
    if spec.exit_task not in spec.tasks:
        yield f"exit_task: task {spec.exit_task!r} does not exist"
        return
    if len(spec.tasks) == 1:
        yield "exit_task: a pipeline needs at least one task besides its exit task"
    task = spec.tasks[spec.exit_task]
    if task.scope is not None and not isinstance(spec.scopes[task.scope], PipelineScope):
        yield f"exit_task: {spec.exit_task!r} lies in a loop or condition, so it might not run"
    if task.after or any(True for value in task.arguments.values() for _ in referenced_tasks(value)):
        yield f"exit_task: {spec.exit_task!r} runs whatever happened, so it may not wait for or read other tasks"
    yield from _exit_readers(spec)


def _exit_readers(spec: PipelineSpec) -> Iterator[str]:
    for path, other in spec.tasks.items():
        read = {upstream for value in other.arguments.values() for upstream in referenced_tasks(value)}
        if spec.exit_task in read | set(other.after):
            yield f"tasks.{path}: waits for the exit task {spec.exit_task!r}, which runs last"
        for port, value in other.arguments.items():
            if isinstance(value, RunFact) and value.fact not in ("id", "name") and path != spec.exit_task:
                yield f"tasks.{path}.arguments.{port}: only an exit task may read the run's {value.fact}"


def _names(mapping: Any) -> str:
    return ", ".join(sorted(mapping)) or "none"


__all__ = ["LoopScope", "fits", "problems"]
