"""Where a task's arguments come from, as seen from its DAG: passed down as inputs, handed up as outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlopx.spec import (
    ArtifactOutput,
    Collect,
    Const,
    Item,
    LoopScope,
    OneOf,
    OutputRef,
    Param,
    PipelineSpec,
    RunFact,
    Task,
    Value,
    VolumePath,
)
from server.platforms.kubeflow.compile.dags import Binding, Dag, Tree, seen_outside
from server.platforms.kubeflow.compile.kinds import PARAMETER_TYPES, artifact

RUN_FACTS = {"id": "{{$.pipeline_job_uuid}}", "name": "{{$.pipeline_job_name}}"}
_TYPES = {str: "str", int: "int", float: "float", bool: "bool", list: "list", tuple: "list", dict: "dict"}


class InexpressibleError(Exception):
    """Kubeflow cannot say this; the message names the feature."""


@dataclass(slots=True)
class Binder:
    """Binds values of one spec."""

    spec: PipelineSpec
    tree: Tree
    item_types: dict[str, str] = field(default_factory=dict)

    def bind(self, dag: Dag, value: Value, wanted: str = "str", task: Task | None = None) -> Binding | None:
        """A value as an input of something in `dag`; None for nothing given. `wanted` is the type of what reads it.

        Raises InexpressibleError.
        """
        if isinstance(value, Const):
            return None if value.value is None else constant(value.value)
        if isinstance(value, VolumePath):
            return constant(self._volume_path(value, task))
        if isinstance(value, RunFact):
            return constant(RUN_FACTS[value.fact])
        if isinstance(value, Param):
            return self._parameter(dag, value)
        if isinstance(value, Item):
            return self._item(dag, value, wanted)
        if isinstance(value, OneOf):
            return self._one_of(dag, value)
        return self._output(dag, value)

    def type_of(self, value: Value) -> str | None:
        """The parameter type of a value, where it is known."""
        if isinstance(value, Const):
            return _TYPES.get(type(value.value))
        if isinstance(value, Param):
            return self.spec.parameters[value.name].type
        if isinstance(value, Item):
            return None if value.key else self.item_types.get(value.loop)
        if isinstance(value, OutputRef):
            return str(self._port(value).type)
        return "str" if isinstance(value, RunFact | VolumePath) else None

    def _parameter(self, dag: Dag, value: Param) -> Binding:
        if dag.is_root:
            return {"componentInputParameter": value.name}
        definition = {"parameterType": PARAMETER_TYPES[self.spec.parameters[value.name].type]}
        name = dag.take(("param", value.name), definition, lambda parent: self._parameter(parent, value))
        return {"componentInputParameter": name}

    def _item(self, dag: Dag, value: Item, wanted: str) -> Binding:
        loop = self.tree.of_scope[value.loop]
        if dag is loop:
            found: Binding = {"componentInputParameter": item_input(loop)}
            if value.key is not None:
                found["parameterExpressionSelector"] = f'parseJson(string_value)["{value.key}"]'
            return found
        identity = ("item", value.loop, value.key)
        whole = "dict" if value.key is None and self.item_types.get(value.loop) == "dict" else wanted
        definition = {"parameterType": PARAMETER_TYPES[whole]}
        name = item_input(loop) + (f"-{value.key}" if value.key else "")
        return {
            "componentInputParameter": dag.take(
                identity, definition, lambda parent: self._item(parent, value, wanted), name
            )
        }

    def _output(self, dag: Dag, value: OutputRef | Collect) -> Binding:
        port = self._port(value)
        is_artifact = isinstance(port, ArtifactOutput)
        definition = artifact(port.type) if is_artifact else {"parameterType": PARAMETER_TYPES[port.type]}
        owner, key = self.tree.of_task[value.task], self.tree.keys[value.task]
        if isinstance(value, Collect):
            self._require_collectable(dag, owner, value)
        return self.deliver(dag, owner, key, value.port, definition)

    def deliver(self, dag: Dag, owner: Dag, key: str, port: str, definition: dict[str, Any]) -> Binding:
        """An output of the child `key` of `owner`, as an input of something in `dag`."""
        kind = "Artifact" if "artifactType" in definition else "Parameter"
        if dag is owner:
            return {f"taskOutput{kind}": {f"output{kind}Key": port, "producerTask": key}}
        if dag in owner.chain():
            assert owner.parent is not None, "the root lies in no other DAG"
            seen = seen_outside(owner, definition)
            return self.deliver(dag, owner.parent, owner.key, owner.export(key, port, seen), seen)
        taken: dict[str, Any] = {}

        def from_parent(parent: Dag) -> Binding:
            return self.deliver(parent, owner, key, port, definition)

        if not any(one in owner.chain() for one in dag.chain()):
            raise AssertionError("all DAGs share the root")
        seen = self._as_seen(dag, owner, definition)
        taken[f"componentInput{kind}"] = dag.take(("output", id(owner), key, port), seen, from_parent)
        return taken

    def _as_seen(self, dag: Dag, owner: Dag, definition: dict[str, Any]) -> dict[str, Any]:
        """The definition after leaving every loop that is around the owner but not around the DAG."""
        around = dag.chain()
        for one in owner.chain():
            if one in around:
                break
            definition = seen_outside(one, definition)
        return definition

    def _require_collectable(self, dag: Dag, owner: Dag, value: Collect) -> None:
        left = [one for one in owner.chain() if one not in dag.chain()]
        loops = [one for one in left if one.is_loop]
        if len(loops) > 1:
            raise InexpressibleError(f"collecting {value.port!r} of {value.task} over nested loops at once")
        inside = left[: left.index(loops[0])] if loops else []
        if any(one.scope is not None and one.scope.kind == "condition" for one in inside):
            raise InexpressibleError(
                f"collecting {value.port!r} of {value.task}, which a condition in the loop may skip"
            )

    def _one_of(self, dag: Dag, value: OneOf) -> Binding:
        owners = [self.tree.of_task[one.task] for one in value.candidates]
        branches = next(
            (one for one in owners[0].chain() if not one.is_root and "branches" in one.key and one.scope is None), None
        )
        chosen = [self._branch_in(branches, owner) for owner in owners]
        what = "one_of(" + ", ".join(one.task for one in value.candidates) + ")"
        if branches is None or None in chosen or len(set(map(id, chosen))) < len(chosen):
            raise InexpressibleError(f"{what}: its tasks must lie in different branches of one If")
        if not branches.has_else or len(chosen) != len(branches.children):
            raise InexpressibleError(f"{what}: every branch must give a value, and there must be an Else")
        port = self._port(value.candidates[0])
        is_artifact = isinstance(port, ArtifactOutput)
        definition = artifact(port.type) if is_artifact else {"parameterType": PARAMETER_TYPES[port.type]}
        sources = []
        for one in value.candidates:
            binding = self.deliver(
                branches, self.tree.of_task[one.task], self.tree.keys[one.task], one.port, definition
            )
            source = binding.get("taskOutputArtifact") or binding["taskOutputParameter"]
            key = source.get("outputArtifactKey") or source["outputParameterKey"]
            sources.append((source["producerTask"], key))
        name = branches.join(sources, definition, f"one-of-{value.candidates[0].port}")
        assert branches.parent is not None, "branches lie in a DAG"
        return self.deliver(dag, branches.parent, branches.key, name, definition)

    def _branch_in(self, branches: Dag | None, owner: Dag) -> Dag | None:
        return next((one for one in owner.chain() if one.parent is branches), None) if branches is not None else None

    def _port(self, value: OutputRef | Collect) -> Any:
        return self.spec.components[self.spec.tasks[value.task].component].outputs[value.port]

    def _volume_path(self, value: VolumePath, task: Task | None) -> str:
        volumes = task.volumes if task is not None else ()
        volume = next((one for one in volumes if one.name == value.volume), None)
        if volume is None:
            raise InexpressibleError(f"a path inside volume {value.volume!r} outside of the task that mounts it")
        return f"{volume.mount_path.rstrip('/')}/{value.path}".rstrip("/")


def constant(value: Any) -> Binding:
    """A value written into the document."""
    return {"runtimeValue": {"constant": value}}


def item_input(loop: Dag) -> str:
    """The input through which a loop's item arrives."""
    return f"pipelinechannel--{loop.key}-item"


def item_types(spec: PipelineSpec) -> dict[str, str]:
    """Loop -> type of its items, from the items where they are written out, else from what reads them."""
    found: dict[str, str] = {}
    for name, scope in spec.scopes.items():
        if isinstance(scope, LoopScope) and isinstance(scope.items, Const) and isinstance(scope.items.value, list):
            kinds = {_TYPES.get(type(item), "str") for item in scope.items.value}
            if len(kinds) == 1 or kinds == {"int", "float"}:
                found[name] = kinds.pop() if len(kinds) == 1 else "float"
    for task in spec.tasks.values():
        for port, value in task.arguments.items():
            if isinstance(value, Item) and value.loop not in found:
                declared = spec.components[task.component].inputs[port]
                found[value.loop] = "dict" if value.key is not None else str(declared.type)
    return found


__all__ = ["Binder", "InexpressibleError", "constant", "item_input", "item_types"]
