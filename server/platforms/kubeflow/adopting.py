"""Any compiled pipeline of Kubeflow as a spec: the tasks that can be seen and placed, and the original.

What runs is the original with placements; the spec beside it is what the rest of the house looks at. Tasks of our spec
have lower-case paths, so each is paired with its path in the document.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any

from mlopx.errors import SpecError
from mlopx.spec import (
    SPEC_VERSION,
    Accelerator,
    Component,
    ConditionScope,
    Const,
    ForeignCode,
    ForeignDocument,
    LoopScope,
    Param,
    Parameter,
    ParameterInput,
    PipelineScope,
    PipelineSpec,
    PvcSource,
    Resources,
    Scope,
    Task,
    Value,
    Volume,
    check,
    fits,
    slug,
)
from server.domain.node import Node
from server.platforms.kubeflow.adopted_names import Names
from server.platforms.kubeflow.reading import KubeflowPipeline, KubeflowTask, read_pipeline
from server.platforms.kubeflow.reading.documents import refused
from server.platforms.kubeflow.reading.fields import get, section, text
from server.platforms.kubeflow.reading.inputs import input_artifacts

TYPES = {
    "STRING": "str",
    "NUMBER_INTEGER": "int",
    "NUMBER_DOUBLE": "float",
    "BOOLEAN": "bool",
    "LIST": "list",
    "STRUCT": "dict",
}
PLACEHOLDER = "{{$"
CACHING = ("cachingOptions", "caching_options")
MOST_CPU_MILLICORES, MOST_ACCELERATORS = 10_000_000, 1024
LONGEST_TEXT = 2000
"""Longer constants are left to the document: nobody reads or learns from them."""

Known = Mapping[str, Value]
"""Inputs of a graph whose values are known before anything runs."""


def adopt(document: str | bytes, file: str, nodes: Sequence[Node] = ()) -> PipelineSpec:
    """The spec of a compiled pipeline.

    Args:
        document: its YAML, with or without a platform document.
        file: what messages call it.
        nodes: those of the cluster; affinities with alternatives are read against them.

    Raises:
        InvalidSubmissionError: it is no compiled pipeline of Kubeflow 2, or broken; the message says what and where.
    """
    pipeline = read_pipeline(document, file)
    try:
        spec = _Adoption(pipeline, nodes).spec()
        check(spec)
    except SpecError as error:
        first, *rest = error.message.splitlines()
        raise refused(file, first, error.hint, tuple(line.strip() for line in rest)) from error
    return spec


class _Adoption:
    """Reads one pipeline."""

    def __init__(self, pipeline: KubeflowPipeline, nodes: Sequence[Node]) -> None:
        self.pipeline, self.nodes = pipeline, nodes
        self.document = pipeline.documents.pipeline
        self.definitions = section(self.document, "components")
        self.executors = section(self.document, "deploymentSpec", "executors")
        self.names = Names()
        self.scopes: dict[str, Scope] = {}
        self.components: dict[str, Component] = {}
        self.component_names: dict[str, str] = {}
        self.addresses = _addresses(pipeline)
        self.parameters = {**_parameters(self.document), **self.addresses}

    def spec(self) -> PipelineSpec:
        tasks = {self.names.of(path): self._task(task) for path, task in self.pipeline.tasks.items()}
        documents = self.pipeline.documents
        return PipelineSpec(
            version=SPEC_VERSION,
            name=slug(self.pipeline.name).lstrip("0123456789-") or "pipeline",
            description=text(self.document, "pipelineInfo", "description"),
            parameters=self.parameters,
            components=self.components,
            scopes=self.scopes,
            tasks=tasks,
            foreign=ForeignDocument(
                format="kubeflow",
                file=documents.name,
                text=documents.text,
                paths={self.names.of(path): path for path in self.pipeline.tasks},
            ),
        )

    def _task(self, task: KubeflowTask) -> Task:
        definition, known = self._seen_from(task.path)
        constraints = task.constraints
        return Task(
            component=self._component(task),
            scope=self._scope(task),
            arguments=self._arguments(task, definition, known),
            after=tuple(self.names.of(path) for path in self._upstreams(task)),
            trigger="all-done" if task.is_exit else "all-succeeded",
            resources=_resources(task),
            requirements=constraints.requirements_on(self.nodes),
            preferences=constraints.preferences_on(self.nodes),
            tolerations=constraints.tolerations,
            volumes=_volumes(task),
            cache=task.is_cached,
        )

    def _upstreams(self, task: KubeflowTask) -> dict[str, None]:
        """What it waits for; also what those wait for that have no node, since strategies do not see them."""
        found: dict[str, None] = {}
        stack = list(task.waits_for)
        while stack:
            path = stack.pop(0)
            if path in found:
                continue
            found[path] = None
            if not self.pipeline.tasks[path].is_placeable:
                stack.extend(self.pipeline.tasks[path].waits_for)
        return found

    def _scope(self, task: KubeflowTask) -> str | None:
        """The innermost scope around a task; all around it are made on the way."""
        parts = task.path.split("/")
        scope: str | None = None
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            name, is_loop = self.names.of(path), path in task.loops
            if path in task.conditions:
                own = self.names.beside(path, "if") if is_loop else name
                self.scopes.setdefault(own, ConditionScope(parent=scope))
                scope = own
            if is_loop:
                self.scopes.setdefault(name, LoopScope(parent=scope, items=self._items(path), width=self._width(path)))
                scope = name
            elif path not in task.conditions and depth < len(parts):
                self.scopes.setdefault(name, PipelineScope(parent=scope, pipeline=name.rsplit("/", 1)[-1]))
                scope = name
        return scope

    def _width(self, path: str) -> int | None:
        return self.pipeline.loops[path].width

    def _items(self, path: str) -> Value:
        """The items of a loop where they are known before the run; else one that nobody knows yet."""
        definition, known = self._seen_from(path)
        iterator = section(section(definition, "parameterIterator"), "items")
        raw = get(iterator, "raw")
        if isinstance(raw, str):
            try:
                found = json.loads(raw)
            except ValueError:
                found = None
            if isinstance(found, list):
                return Const(value=found)
        given = section(definition, "inputs", "parameters").get(text(iterator, "inputParameter"))
        value = _value(given, known)
        is_list = isinstance(value, Const) and isinstance(value.value, list)
        is_list_parameter = isinstance(value, Param) and self.parameters[value.name].type == "list"
        return value if value is not None and (is_list or is_list_parameter) else Const(value=[None])

    def _seen_from(self, path: str) -> tuple[Mapping[str, Any], Known]:
        """The definition of the task at `path`, and what is known of the inputs of the graph that it lies in."""
        component: Any = section(self.document, "root")
        known: Known = {name: Param(name=name) for name in self.parameters if name not in self.addresses}
        *above, last = path.split("/")
        for name in above:
            task = section(component, "dag", "tasks")[name]
            component = self.definitions[text(task, "componentRef", "name")]
            given = section(task, "inputs", "parameters")
            values = {port: _value(one, known) for port, one in given.items()}
            known = {port: value for port, value in values.items() if value is not None}
        return section({"task": section(component, "dag", "tasks")[last]}, "task"), known

    def _component(self, task: KubeflowTask) -> str:
        """The component of a task; copies that the SDK makes of one for every use are one here."""
        executor = section(self.executors, task.executor)
        base = slug(task.component.removeprefix("comp-")).lstrip("0123456789-") or "step"
        head, _, number = base.rpartition("-")
        base = head if head and number.isdigit() else base
        digest = sha256(json.dumps(executor, sort_keys=True, default=str).encode()).hexdigest()
        made = Component(
            name=base,
            code=ForeignCode(executor=task.kind, digest=digest, placeable=task.is_placeable),
            image=task.image or None,
            inputs=self._inputs(task),
        )
        key = made.model_dump_json()
        if key not in self.component_names:
            name, number_of_name = base, 2
            while name in self.components:
                suffix = f"-{number_of_name}"
                name, number_of_name = base[: 63 - len(suffix)] + suffix, number_of_name + 1
            self.components[name] = made.model_copy(update={"name": name})
            self.component_names[key] = name
        return self.component_names[key]

    def _inputs(self, task: KubeflowTask) -> dict[str, Any]:
        declared = section(self.definitions.get(task.component), "inputDefinitions", "parameters")
        return {
            port: ParameterInput(type=kind, optional=True)
            for port, one in declared.items()
            if (kind := TYPES.get(text(one, "parameterType"))) and port.isidentifier() and port.isascii()
        }

    def _arguments(self, task: KubeflowTask, definition: Mapping[str, Any], known: Known) -> dict[str, Value]:
        """The arguments that are known before anything runs."""
        found: dict[str, Value] = {}
        inputs = self.components[self._component(task)].inputs
        for port, given in section(definition, "inputs", "parameters").items():
            value, declared = _value(given, known), inputs.get(port)
            if value is None or not isinstance(declared, ParameterInput):
                continue
            if isinstance(value, Param):
                is_fit = self.parameters[value.name].type == declared.type
            else:
                value = Const(value=_typed(value.value, declared.type)) if isinstance(value, Const) else value
                is_fit = isinstance(value, Const) and fits(value.value, declared.type)
            if is_fit:
                found[port] = value
        return found


def uncached(document: Mapping[str, Any], paths: Collection[str] | None = None) -> dict[str, Any]:
    """The same pipeline with none of the tasks at these paths, or (None) no task however deep, taken from Kubeflow's
    cache. Where components are shared, so is that."""
    wanted = _tasks_at(document, paths) if paths is not None else None

    def component(name: str, one: Any) -> Any:
        tasks = section(one, "dag", "tasks")
        off = tasks.keys() if wanted is None else wanted.get(name, set())
        if not tasks or not off:
            return one
        edited = {key: _without_cache(task) if key in off else task for key, task in tasks.items()}
        return {**one, "dag": {**one["dag"], "tasks": edited}}

    components = {name: component(name, one) for name, one in section(document, "components").items()}
    found = {**document, "root": component("", document.get("root"))}
    return {**found, "components": components} if "components" in document else found


def _tasks_at(document: Mapping[str, Any], paths: Collection[str]) -> dict[str, set[str]]:
    """Component (the root: an empty name) -> its tasks that lie at these paths."""
    found: dict[str, set[str]] = {}
    for path in paths:
        name, component = "", section(document, "root")
        *above, last = path.split("/")
        for part in above:
            name = text(section(component, "dag", "tasks").get(part), "componentRef", "name")
            component = section(document, "components", name)
        found.setdefault(name, set()).add(last)
    return found


def _without_cache(task: Any) -> Any:
    return {key: one for key, one in task.items() if key not in CACHING} if isinstance(task, dict) else task


def _parameters(document: Mapping[str, Any]) -> dict[str, Parameter]:
    found: dict[str, Any] = {}
    for name, declared in section(document, "root", "inputDefinitions", "parameters").items():
        kind = TYPES.get(text(declared, "parameterType"))
        if kind is None:
            continue
        default = _typed(get(declared, "defaultValue"), kind)
        is_optional = default is not None or get(declared, "isOptional") is True
        found[name] = Parameter(
            type=kind,
            optional=is_optional,
            default=default if fits(default, kind) else None,
            description=text(declared, "description"),
        )
    return found


def _addresses(pipeline: KubeflowPipeline) -> dict[str, Parameter]:
    """The artifacts that the pipeline takes: a run is given their addresses."""
    return {
        name: Parameter(
            type="str", optional=not one.is_required, description=f"the address of an artifact ({one.title})"
        )
        for name, one in input_artifacts(pipeline.documents).items()
        if not one.hinders
    }


def _value(given: object, known: Known) -> Value | None:
    """What an input is given, if that is known before the run."""
    name = text(given, "componentInputParameter")
    if name:
        return known.get(name) if get(given, "parameterExpressionSelector") is None else None
    constant = get(section(given, "runtimeValue"), "constant")
    written = json.dumps(constant, default=str)
    is_plain = constant is not None and PLACEHOLDER not in written and len(written) <= LONGEST_TEXT
    return Const(value=constant) if is_plain else None


def _typed(value: Any, kind: str) -> Any:
    """Numbers of a YAML document may be whole or not, whatever they mean."""
    return int(value) if kind == "int" and isinstance(value, float) and value.is_integer() else value


def _volumes(task: KubeflowTask) -> tuple[Volume, ...]:
    """The claims that it mounts, for who looks where they can be used; the document itself says how."""
    return tuple(
        Volume(name=f"claim-{number}", source=PvcSource(claim=claim[:253]), mount_path="/")
        for number, claim in enumerate(task.claims, 1)
    )


def _resources(task: KubeflowTask) -> Resources:
    asked = task.requests
    accelerator = next(iter(asked.accelerators), None)
    return Resources(
        cpu_millicores=min(asked.cpu_millicores, MOST_CPU_MILLICORES) or None,
        memory_bytes=asked.memory_bytes or None,
        accelerator=Accelerator(accelerator=accelerator[0][:253], count=min(accelerator[1], MOST_ACCELERATORS))
        if accelerator and accelerator[0] and accelerator[1] >= 1
        else None,
    )


__all__ = ["adopt", "uncached"]
