"""The tree of DAGs that a spec becomes: one per nested pipeline, condition and loop, and what Kubeflow wants besides.

Branches of one condition that exclude each other get a DAG around them, so that their outputs can be joined; a pipeline
with an exit task gets one around everything else. What a DAG needs from outside becomes an input of it, and what others
need of its tasks an output, when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mlopx.spec import ConditionScope, LoopScope, PipelineSpec, Scope, scope_chain
from server.platforms.kubeflow.compile.kinds import artifact

Binding = dict[str, Any]


@dataclass(slots=True, eq=False)
class Dag:
    """One DAG in the making.

    Attributes:
        key: its task's name in the parent.
        scope: what it stands for; None for the root and for those that Kubeflow wants besides.
        children: what is in it by key, sub-DAGs or paths of tasks, in order.
        inputs, artifact_inputs: definitions of its inputs; `bindings` say where the parent gets them.
        waits_for: keys of siblings that a child waits for without reading from them, by child.
    """

    key: str
    parent: Dag | None = None
    scope: Scope | None = None
    scope_id: str | None = None
    children: dict[str, Dag | str] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    artifact_inputs: dict[str, Any] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    artifact_outputs: dict[str, Any] = field(default_factory=dict)
    selectors: dict[str, Any] = field(default_factory=dict)
    waits_for: dict[str, list[str]] = field(default_factory=dict)
    taken: dict[Any, str] = field(default_factory=dict)
    has_else: bool = False

    @property
    def is_root(self) -> bool:
        """Whether it is the whole pipeline."""
        return self.parent is None

    @property
    def is_loop(self) -> bool:
        """Whether it runs once per item."""
        return isinstance(self.scope, LoopScope)

    def chain(self) -> list[Dag]:
        """This DAG and those around it, from the innermost."""
        found, at = [], self
        while True:
            found.append(at)
            if at.parent is None:
                return found
            at = at.parent

    def add(self, wanted: str, child: Dag | str) -> str:
        """Put something in; returns the key it got."""
        key, number = wanted, 2
        while key in self.children:
            key, number = f"{wanted}-{number}", number + 1
        self.children[key] = child
        return key

    def add_dag(self, wanted: str, scope: Scope | None = None, scope_id: str | None = None) -> Dag:
        """Put a sub-DAG in."""
        child = Dag(wanted, self, scope, scope_id)
        child.key = self.add(wanted, child)
        return child

    def take(self, identity: Any, definition: dict[str, Any], bind: Callable[[Dag], Binding], name: str = "") -> str:
        """The input through which something from outside arrives; made when it is asked for first."""
        known = self.taken.get(identity)
        if known is not None:
            return known
        assert self.parent is not None, "the root takes nothing from outside"
        binding = bind(self.parent)
        wanted = name or _input_name(binding)
        found, number = wanted, 2
        while found in self.bindings or found in self.inputs:
            found, number = f"{wanted}-{number}", number + 1
        self.taken[identity] = found
        self.bindings[found] = binding
        (self.artifact_inputs if "artifactType" in definition else self.inputs)[found] = definition
        return found

    def export(self, key: str, port: str, definition: dict[str, Any], name: str = "") -> str:
        """The output through which a child's output leaves; made when it is asked for first."""
        return self.join([(key, port)], definition, name or f"{key}-{port}")

    def join(self, sources: list[tuple[str, str]], definition: dict[str, Any], name: str) -> str:
        """The output that is the first of several children's outputs that is there."""
        identity = ("output", *sources)
        if identity in self.taken:
            return self.taken[identity]
        found, number = name, 2
        while found in self.selectors:
            found, number = f"{name}-{number}", number + 1
        self.taken[identity] = found
        is_artifact = "artifactType" in definition
        port_key = "outputArtifactKey" if is_artifact else "outputParameterKey"
        selectors = [{port_key: port, "producerSubtask": key} for key, port in sources]
        if is_artifact:
            self.selectors[found] = {"artifactSelectors": selectors}
        elif len(selectors) == 1:
            self.selectors[found] = {"valueFromParameter": selectors[0]}
        else:
            self.selectors[found] = {"valueFromOneof": {"parameterSelectors": selectors}}
        (self.artifact_outputs if is_artifact else self.outputs)[found] = definition
        return found


def seen_outside(dag: Dag, definition: dict[str, Any]) -> dict[str, Any]:
    """How an output of a DAG looks to its siblings: a loop's are lists."""
    if not dag.is_loop:
        return definition
    if "artifactType" in definition:
        return artifact(definition["artifactType"]["schemaTitle"].removeprefix("system."), is_list=True)
    return {"parameterType": "LIST"}


def _input_name(binding: Binding) -> str:
    """Named after what is bound, as Kubeflow's SDK does; `kfp.local` finds a condition's operands by these names."""
    for kind in ("componentInputParameter", "componentInputArtifact"):
        if kind in binding:
            name = str(binding[kind])
            return name if name.startswith("pipelinechannel--") else f"pipelinechannel--{name}"
    source = binding.get("taskOutputParameter") or binding.get("taskOutputArtifact") or {}
    port = source.get("outputParameterKey") or source.get("outputArtifactKey")
    return f"pipelinechannel--{source.get('producerTask')}--{port}" if source else "pipelinechannel--value"


@dataclass(slots=True)
class Tree:
    """All DAGs of a spec. `of_scope` and `of_task` lead to them; `keys` are the tasks' names in their DAGs."""

    root: Dag
    body: Dag
    of_scope: dict[str | None, Dag] = field(default_factory=dict)
    of_task: dict[str, Dag] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def path(self, task: str) -> str:
        """A task's path in Kubeflow's terms."""
        names = [dag.key for dag in self.of_task[task].chain() if not dag.is_root]
        return "/".join([*reversed(names), self.keys[task]])

    def all(self) -> Iterator[Dag]:
        """Every DAG, parents first."""
        waiting = [self.root]
        while waiting:
            dag = waiting.pop(0)
            yield dag
            waiting.extend(child for child in dag.children.values() if isinstance(child, Dag))


def build_tree(spec: PipelineSpec) -> Tree:
    """Lay a checked spec out as DAGs."""
    root = Dag("root")
    body = root.add_dag("exit-handler-1") if spec.exit_task is not None else root
    tree = Tree(root, body)
    tree.of_scope[None] = body
    for scope_id in sorted(spec.scopes, key=lambda one: len(scope_chain(spec, one))):
        _add_scope(spec, tree, scope_id)
    for path, task in spec.tasks.items():
        dag = root if path == spec.exit_task else tree.of_scope[task.scope]
        tree.of_task[path] = dag
        name = path.replace("/", "-") if path == spec.exit_task else path.rsplit("/", 1)[-1]
        tree.keys[path] = dag.add(name, path)
    return tree


def _add_scope(spec: PipelineSpec, tree: Tree, scope_id: str) -> None:
    scope = spec.scopes[scope_id]
    parent = tree.of_scope[scope.parent]
    if isinstance(scope, ConditionScope):
        parent = _branches(spec, tree, scope_id, scope) or parent
    tree.of_scope[scope_id] = parent.add_dag(scope_id.rsplit("/", 1)[-1], scope, scope_id)


def _branches(spec: PipelineSpec, tree: Tree, scope_id: str, scope: ConditionScope) -> Dag | None:
    """The DAG around branches that exclude each other; None for a condition that stands alone."""
    first = scope.unless[0] if scope.unless else scope.when
    leader, followers = scope_id, 0
    for other_id, other in spec.scopes.items():
        if not isinstance(other, ConditionScope) or other.parent != scope.parent:
            continue
        if not other.unless and other.when == first and scope.unless and leader == scope_id:
            leader = other_id
        followers += bool(other.unless) and other.unless[0] == first
    if not followers:
        return None
    parent, identity = tree.of_scope[scope.parent], ("branches", leader)
    key = parent.taken.get(identity)
    dag = parent.children.get(key) if key else None
    if not isinstance(dag, Dag):
        dag = parent.add_dag(f"{leader.rsplit('/', 1)[-1]}-branches")
        parent.taken[identity] = dag.key
    dag.has_else |= bool(scope.unless) and not scope.when
    return dag


__all__ = ["Binding", "Dag", "Tree", "build_tree", "seen_outside"]
