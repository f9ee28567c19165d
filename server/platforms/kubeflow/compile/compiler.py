"""The face of compiling: a `PipelineSpec` -> Kubeflow's documents, or a refusal that names the feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlopx.spec import (
    ArtifactInput,
    ConditionScope,
    Const,
    LoopScope,
    Option,
    PipelineSpec,
    RunFact,
    Task,
    VolumePath,
    conditions_around,
)
from server.domain.errors import InvalidSubmissionError
from server.platforms.kubeflow.compile.conditions import expression
from server.platforms.kubeflow.compile.dags import Binding, Dag, Tree, build_tree
from server.platforms.kubeflow.compile.ends import ON_COMPLETION, inexpressible_ends
from server.platforms.kubeflow.compile.executors import config_of, container_of, retry_policy
from server.platforms.kubeflow.compile.kinds import FINAL_STATUS_INPUT, PARAMETER_TYPES, component_ports, without_empty
from server.platforms.kubeflow.compile.sizes import SDK_VERSION, size_problems
from server.platforms.kubeflow.compile.values import Binder, InexpressibleError, item_input, item_types
from server.platforms.kubeflow.placing.merging import merged
from server.platforms.kubeflow.reading.documents import SCHEMA_VERSION
from server.platforms.kubeflow.writing import dump_all


@dataclass(frozen=True, slots=True)
class CompiledPipeline:
    """A compiled spec. `paths` leads from our task paths to Kubeflow's; `notes` say what is different there."""

    pipeline: Mapping[str, Any]
    platform: Mapping[str, Any]
    paths: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """As a file."""
        return dump_all(self.pipeline, self.platform)


def compile_spec(spec: PipelineSpec, choices: Mapping[str, str] | None = None) -> CompiledPipeline:
    """Compile a checked spec. `choices` says which option each task gets that offers several; else it is the first.

    Where it would be too large, equal tasks share a component.

    Raises:
        InvalidSubmissionError: Kubeflow cannot express it; every such feature is named, with its task.
    """
    compiler = _Compiler(spec, dict(choices or {}))
    found = compiler.compiled()
    refused = compiler.refused or size_problems(found.pipeline, found.platform)
    if refused and not compiler.refused:
        pipeline, platform = merged(found.pipeline, found.platform)
        found, refused = replace(found, pipeline=pipeline, platform=platform or {}), size_problems(pipeline, platform)
    if refused:
        raise InvalidSubmissionError(
            f"pipeline {spec.name!r} cannot run on Kubeflow Pipelines", details=tuple(dict.fromkeys(refused))
        )
    return found


def refusals(spec: PipelineSpec) -> list[str]:
    """What of a spec Kubeflow cannot express, as sentences; an empty list if all."""
    try:
        compile_spec(spec)
    except InvalidSubmissionError as error:
        return list(error.details)
    return []


class _Compiler:
    """One compilation."""

    def __init__(self, spec: PipelineSpec, choices: dict[str, str]) -> None:
        self.spec, self.choices = spec, choices
        self.tree: Tree = build_tree(spec)
        self.binder = Binder(spec, self.tree, item_types(spec))
        self.refused: list[str] = []
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.configs: dict[str, Any] = {}
        self.names: dict[str, str] = {}

    def compiled(self) -> CompiledPipeline:
        bindings = {path: self._arguments(path, task) for path, task in self.spec.tasks.items()}
        expressions = {id(dag): self._scope(dag) for dag in self.tree.all() if dag.scope is not None}
        for path, task in self.spec.tasks.items():
            self._order(path, task)
        root = self._component(self.tree.root, bindings, expressions)
        pipeline = {
            "components": dict(sorted(self.components.items())),
            "deploymentSpec": {"executors": dict(sorted(self.executors.items()))},
            "pipelineInfo": without_empty({"name": self.spec.name, "description": self.spec.description or {}}),
            "root": root,
            "schemaVersion": SCHEMA_VERSION,
            "sdkVersion": SDK_VERSION,
        }
        executors = dict(sorted(self.configs.items()))
        platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
        paths = {path: self.tree.path(path) for path in self.spec.tasks}
        return CompiledPipeline(pipeline, platform, paths, tuple(_notes(self.spec)))

    def _arguments(self, path: str, task: Task) -> dict[str, dict[str, Binding]]:
        """The inputs of a task, parameters and artifacts apart."""
        found: dict[str, dict[str, Binding]] = {"artifacts": {}, "parameters": {}}
        component = self.spec.components[task.component]
        for port, value in task.arguments.items():
            if isinstance(value, RunFact) and value.fact not in ("id", "name"):
                continue
            declared = component.inputs[port]
            try:
                binding = self.binder.bind(self.tree.of_task[path], value, str(declared.type), task)
            except InexpressibleError as error:
                self.refused.append(f"task {path}: {error}")
                continue
            if binding is not None:
                found["artifacts" if isinstance(declared, ArtifactInput) else "parameters"][port] = binding
        if self._facts(path):
            producer = self.tree.body.key
            found["parameters"][FINAL_STATUS_INPUT] = {"taskFinalStatus": {"producerTask": producer}}
        return found

    def _facts(self, path: str) -> dict[str, str]:
        """Input -> what an exit task is told of the run's end."""
        arguments = self.spec.tasks[path].arguments
        return {
            port: value.fact
            for port, value in arguments.items()
            if isinstance(value, RunFact) and value.fact not in ("id", "name")
        }

    def _scope(self, dag: Dag) -> str:
        """What a scope's own values need; returns a condition's expression."""
        scope = dag.scope
        try:
            if isinstance(scope, ConditionScope):
                return expression(self.binder, dag, scope)
            if isinstance(scope, LoopScope):
                kind = self.binder.item_types.get(str(dag.scope_id), "str")
                dag.inputs[item_input(dag)] = {"parameterType": PARAMETER_TYPES[kind]}
                if not isinstance(scope.items, Const):
                    self._items(dag, scope)
        except InexpressibleError as error:
            self.refused.append(f"{scope.kind if scope else 'scope'} {dag.scope_id}: {error}")
        return ""

    def _items(self, dag: Dag, scope: LoopScope) -> None:
        def bind(parent: Dag) -> Binding:
            if isinstance(scope.items, VolumePath | RunFact):
                raise InexpressibleError("a loop over something that is no list")
            return self.binder.bind(parent, scope.items, "list") or {}

        dag.take(("items",), {"parameterType": "LIST"}, bind)

    def _order(self, path: str, task: Task) -> None:
        """`after`: between the two tasks, or between what they lie in where their ways part."""
        for upstream in task.after:
            apart = set(conditions_around(self.spec, self.spec.tasks[upstream].scope))
            if not apart <= set(conditions_around(self.spec, task.scope)):
                self.refused.append(f"task {path}: after({upstream}), which a condition may skip")
                continue
            common, ours, theirs = _parting(self.tree, path, upstream)
            if ours == theirs:
                continue
            common.waits_for.setdefault(ours, []).append(theirs)

    def _component(self, dag: Dag, bindings: dict[str, Any], expressions: dict[int, str]) -> dict[str, Any]:
        """A DAG's component, and those of everything in it."""
        tasks: dict[str, Any] = {}
        for key, child in dag.children.items():
            if isinstance(child, Dag):
                tasks[key] = self._dag_task(dag, key, child, expressions[id(child)] if child.scope else "")
                self.components[tasks[key]["componentRef"]["name"]] = self._component(child, bindings, expressions)
            else:
                tasks[key] = self._leaf_task(dag, key, child, bindings[child])
        self._require_no_circle(dag, tasks)
        self.refused += inexpressible_ends(tasks)
        inputs = without_empty({"artifacts": dag.artifact_inputs, "parameters": dag.inputs})
        if dag.is_root:
            inputs = without_empty({"parameters": _parameters(self.spec)})
        parts: dict[str, Any] = {"artifacts": {}, "parameters": {}}
        for name, selector in dag.selectors.items():
            parts["artifacts" if name in dag.artifact_outputs else "parameters"][name] = selector
        outputs = without_empty({"artifacts": dag.artifact_outputs, "parameters": dag.outputs})
        return {
            "dag": without_empty({"outputs": without_empty(parts), "tasks": tasks}),
            **without_empty({"inputDefinitions": inputs, "outputDefinitions": outputs}),
        }

    def _dag_task(self, dag: Dag, key: str, child: Dag, condition: str) -> dict[str, Any]:
        artifacts = {name: one for name, one in child.bindings.items() if name in child.artifact_inputs}
        parameters = {name: one for name, one in child.bindings.items() if name not in child.artifact_inputs}
        found: dict[str, Any] = {"componentRef": {"name": self._name("comp", child)}}
        found["inputs"] = without_empty({"artifacts": artifacts, "parameters": parameters})
        if isinstance(child.scope, LoopScope):
            items = child.scope.items
            source = (
                {"raw": _json(items.value)}
                if isinstance(items, Const)
                else {"inputParameter": child.taken.get(("items",), "")}
            )
            found["parameterIterator"] = {"itemInput": item_input(child), "items": source}
            if child.scope.width is not None:
                found["iteratorPolicy"] = {"parallelismLimit": child.scope.width}
        if condition:
            found["triggerPolicy"] = {"condition": condition}
        return self._task(dag, key, found)

    def _leaf_task(self, dag: Dag, key: str, path: str, inputs: dict[str, Any]) -> dict[str, Any]:
        task = self.spec.tasks[path]
        component = self.spec.components[task.component]
        name = self._unique("comp", self.tree.path(path))
        label = self._unique("exec", self.tree.path(path))
        facts = self._facts(path)
        self.components[name] = {"executorLabel": label, **component_ports(component, facts)}
        self.executors[label] = {"container": container_of(task, component, self._option(path, task), facts)}
        try:
            self.configs[label] = config_of(task)
        except InexpressibleError as error:
            self.refused.append(f"task {path}: {error}")
        found: dict[str, Any] = {"cachingOptions": {"enableCache": True} if task.cache else {}}
        found |= {"componentRef": {"name": name}, "inputs": without_empty(inputs)}
        if task.retry is not None and task.retry.max_retries:
            found["retryPolicy"] = retry_policy(task.retry)
        is_exit = path == self.spec.exit_task
        if is_exit or task.trigger == "all-done":
            found["triggerPolicy"] = {"strategy": ON_COMPLETION}
        if is_exit:
            dag.waits_for.setdefault(key, []).append(self.tree.body.key)
        return {**self._task(dag, key, found), "cachingOptions": found["cachingOptions"]}

    def _option(self, path: str, task: Task) -> Option | None:
        if not task.options:
            return None
        wanted = self.choices.get(path)
        return next((one for one in task.options if one.name == wanted), task.options[0])

    def _task(self, dag: Dag, key: str, found: dict[str, Any]) -> dict[str, Any]:
        given = found["inputs"]
        upstreams = [*_producers(given), *dag.waits_for.get(key, ())]
        order = {name: index for index, name in enumerate(dag.children)}
        waits = sorted({one for one in upstreams if one != key}, key=lambda one: order[one])
        whole = {**found, "dependentTasks": waits, "taskInfo": {"name": key}}
        return dict(sorted(without_empty(whole).items()))

    def _require_no_circle(self, dag: Dag, tasks: dict[str, Any]) -> None:
        done: set[str] = set()
        while len(done) < len(tasks):
            ready = [
                key for key, one in tasks.items() if key not in done and set(one.get("dependentTasks", ())) <= done
            ]
            if not ready:
                names = ", ".join(key for key in tasks if key not in done)
                self.refused.append(
                    f"{dag.scope_id or 'the pipeline'}: {names} wait for each other when taken as wholes"
                )
                return
            done.update(ready)

    def _name(self, kind: str, dag: Dag) -> str:
        known = self.names.get(f"dag:{id(dag)}")
        if known is None:
            names = [one.key for one in dag.chain() if not one.is_root]
            known = self.names[f"dag:{id(dag)}"] = self._unique(kind, "/".join(reversed(names)))
        return known

    def _unique(self, kind: str, path: str) -> str:
        wanted = f"{kind}-{path.replace('/', '-')}"
        found, number = wanted, 2
        while found in self.names.values():
            found, number = f"{wanted}-{number}", number + 1
        self.names[f"{kind}:{path}:{number}"] = found
        return found


def _parting(tree: Tree, path: str, upstream: str) -> tuple[Dag, str, str]:
    """Where the ways of two tasks part: the DAG, and the keys in it on the way to each."""
    ours, theirs = tree.of_task[path].chain(), tree.of_task[upstream].chain()
    common = next(one for one in ours if one in theirs)

    def key(chain: list[Dag], task: str) -> str:
        index = chain.index(common)
        return chain[index - 1].key if index else tree.keys[task]

    return common, key(ours, path), key(theirs, upstream)


def _producers(given: Mapping[str, Any]) -> list[str]:
    found = []
    for one in (*given.get("artifacts", {}).values(), *given.get("parameters", {}).values()):
        source = one.get("taskOutputArtifact") or one.get("taskOutputParameter") or one.get("taskFinalStatus")
        if source:
            found.append(str(source["producerTask"]))
    return found


def _parameters(spec: PipelineSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, parameter in spec.parameters.items():
        found[name] = {"parameterType": PARAMETER_TYPES[parameter.type]}
        if parameter.description:
            found[name]["description"] = parameter.description
        if parameter.optional:
            found[name]["isOptional"] = True
            if parameter.default is not None:
                found[name]["defaultValue"] = parameter.default
    return found


def _json(value: Any) -> str:
    import json

    return json.dumps(list(value), ensure_ascii=False)


def _notes(spec: PipelineSpec) -> list[str]:
    found = []
    for path, task in spec.tasks.items():
        if any(isinstance(one, RunFact) and one.fact == "failed_tasks" for one in task.arguments.values()):
            found.append(
                f"task {path}: Kubeflow tells that something failed, but not which tasks: failed_tasks names the whole"
            )
        writable = [one.name for one in task.volumes if one.read_only]
        if writable:
            found.append(f"task {path}: Kubeflow mounts {', '.join(writable)} writable; it has no read-only mounts")
    return found


__all__ = ["CompiledPipeline", "compile_spec", "refusals"]
