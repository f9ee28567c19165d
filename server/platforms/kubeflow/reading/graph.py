"""The graph of a compiled pipeline: its leaf tasks by path, what is around them, and which of them get a node.

A path is the names of the tasks from the root down, joined by `/`, as Kubeflow names them in its workflow too. Only
tasks with a container of their own are placeable; importers, volume operations and the drivers take no placement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from server.domain.resources import Resources
from server.platforms.kubeflow.reading.amounts import requests_of
from server.platforms.kubeflow.reading.constraints import NO_CONSTRAINTS, Constraints, read_claims, read_constraints
from server.platforms.kubeflow.reading.documents import Documents, read_documents, refused
from server.platforms.kubeflow.reading.doubts import FINISHED, doubts_of_ends, doubts_of_task
from server.platforms.kubeflow.reading.fields import EXECUTOR_KINDS, KUBERNETES_FIELDS, camel, get, items, section, text

MAX_TASKS = 10_000
MAX_DEPTH = 50
PVC_IMAGES = ("argostub/createpvc", "argostub/deletepvc")
CONTROL_FLOW = ("comp-condition", "comp-for-loop", "comp-exit-handler")
"""How the SDK names the components that it makes of control flow; other DAGs are nested pipelines."""

NODE_PASSTHROUGHS = ("KUBERNETES_NODE_SELECTOR", "KUBERNETES_AFFINITY")
SDK_WARNING = (
    "the file has node selectors and nested pipelines: SDKs up to 2.17 may have given a task the selector of another"
    " when they compiled it; check them"
)
UNPLACEABLE = {
    "importer": "an importer: Kubeflow gives it no Kubernetes configuration",
    "pvc": "a volume operation: it has no container of its own",
    "resolver": "a resolver: open-source Kubeflow does not run it",
    "customJob": "a custom job: open-source Kubeflow does not run it",
    "none": "its component has no executor that Kubeflow knows",
}


@dataclass(frozen=True, slots=True)
class KubeflowTask:
    """One leaf task of a compiled pipeline.

    Attributes:
        path: names of the tasks from the root down, joined by `/`.
        component, executor: names in the document; several tasks may share them.
        kind: `container`, or a key of `UNPLACEABLE`.
        loops, conditions: paths of the loops and conditional tasks around it (itself included), outermost first.
        waits_for: paths of the leaf tasks that must have ended before it starts.
        requests: what its container requests; `unknown_amounts` are told by the run.
        claims: names of the persistent volume claims that it mounts, as far as the file says them.
        is_exit: it runs whatever happened to what it waits for; so does what begins a nested pipeline that does.
        is_passed_on: its placement goes to the job that it launches, not to its own pod.
    """

    path: str
    component: str
    executor: str
    kind: str
    display_name: str = ""
    image: str = ""
    loops: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    requests: Resources = field(default_factory=Resources)
    unknown_amounts: tuple[str, ...] = ()
    constraints: Constraints = NO_CONSTRAINTS
    claims: tuple[str, ...] = ()
    is_cached: bool = False
    is_exit: bool = False
    is_passed_on: bool = False

    @property
    def is_placeable(self) -> bool:
        """Whether a placement of it has an effect."""
        return self.kind == "container"

    @property
    def reason(self) -> str:
        """Why it is not placeable, or an empty text."""
        return UNPLACEABLE.get(self.kind, "")


@dataclass(frozen=True, slots=True)
class KubeflowLoop:
    """A loop: how many items it has (None: the run tells), how many run side by side, where the items come from."""

    path: str
    count: int | None
    width: int | None
    item_input: str


@dataclass(frozen=True, slots=True)
class KubeflowPipeline:
    """A compiled pipeline, read. `tasks` are in the order of the document, `notes` what people should know of it."""

    name: str
    documents: Documents
    tasks: Mapping[str, KubeflowTask]
    loops: Mapping[str, KubeflowLoop] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def placeable(self) -> list[KubeflowTask]:
        """The tasks that can be given a node."""
        return [task for task in self.tasks.values() if task.is_placeable]


def read_pipeline(content: str | bytes | Documents, name: str = "the pipeline file") -> KubeflowPipeline:
    """Read a compiled pipeline. Raises InvalidSubmissionError saying what is wrong and where."""
    documents = content if isinstance(content, Documents) else read_documents(content, name)
    walk = _Walk(documents)
    walk.dag(section(documents.pipeline, "root"), (), _Around(), ("root",))
    tasks = walk.tasks
    return KubeflowPipeline(
        name=text(documents.pipeline, "pipelineInfo", "name"),
        documents=documents,
        tasks=tasks,
        loops=walk.loops,
        notes=tuple(dict.fromkeys([*walk.notes, *_notes(documents, walk)])),
    )


def kubernetes_configs(documents: Documents) -> dict[str, object]:
    """Executor label -> its Kubernetes configuration, as the platform document says it."""
    return section(documents.platform, "platforms", "kubernetes", "deploymentSpec", "executors")


@dataclass(frozen=True, slots=True)
class _Around:
    """What is around a task: loops, conditions, the leaf tasks that must have ended, and (`is_exit`) if however."""

    loops: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    is_exit: bool = False


class _Walk:
    """Walks the tasks from the root down, components included, and remembers the leaves."""

    def __init__(self, documents: Documents) -> None:
        self.name = documents.name
        self.components = section(documents.pipeline, "components")
        self.executors = section(documents.pipeline, "deploymentSpec", "executors")
        self.configs = kubernetes_configs(documents)
        self.tasks: dict[str, KubeflowTask] = {}
        self.loops: dict[str, KubeflowLoop] = {}
        self.notes: list[str] = []
        self.has_nested_pipelines = False

    def dag(self, component: object, prefix: tuple[str, ...], around: _Around, within: tuple[str, ...]) -> list[str]:
        """Walk one DAG; returns the paths of its leaves. `within` are the components being walked."""
        if len(within) > MAX_DEPTH:
            raise refused(self.name, f"components.{within[-1]}: pipelines are nested deeper than {MAX_DEPTH}")
        tasks = section(component, "dag", "tasks")
        declared = section(component, "inputDefinitions", "parameters")
        before = {key: _dependencies(task) for key, task in tasks.items()}
        self.notes += doubts_of_ends("/".join(prefix), tasks, before, self.kind_of)
        leaves: dict[str, list[str]] = {}
        for key in _ordered(before):
            path = "/".join((*prefix, key))
            self.notes += doubts_of_task(path, tasks[key], declared, tasks)
            upstreams = [path for name in before[key] for path in leaves.get(name, ())]
            inner = _inside(around, path, tasks[key], upstreams)
            leaves[key] = self._task(key, tasks[key], prefix, inner, within)
        return [path for key in tasks for path in leaves[key]]

    def _task(
        self, key: str, task: object, prefix: tuple[str, ...], around: _Around, within: tuple[str, ...]
    ) -> list[str]:
        path = "/".join((*prefix, key))
        name = text(task, "componentRef", "name")
        component = self.components.get(name)
        iterator = section(task, "parameterIterator") or section(task, "artifactIterator")
        if iterator:
            self.loops[path] = _loop(path, task, iterator)
        if isinstance(component, dict) and section(component, "dag"):
            if name in within:
                cycle = " -> ".join((*within[within.index(name) :], name))
                raise refused(self.name, f"components.{name}: contains itself: {cycle}")
            self.has_nested_pipelines |= not name.startswith(CONTROL_FLOW)
            return self.dag(component, (*prefix, key), around, (*within, name))
        if len(self.tasks) >= MAX_TASKS:
            raise refused(self.name, f"has more than {MAX_TASKS} tasks, counted through its nested pipelines")
        if component is None:
            self.notes.append(f"task {path}: its component {name!r} is not in the file; Kubeflow will refuse it")
        self.tasks[path] = self._leaf(path, name, component, task, around)
        return [path]

    def kind_of(self, task: object) -> str:
        """What Kubeflow makes of a task: `loop`, `dag`, or its executor's kind."""
        if section(task, "parameterIterator") or section(task, "artifactIterator"):
            return "loop"
        component = self.components.get(text(task, "componentRef", "name"))
        if section(component, "dag"):
            return "dag"
        executor = self.executors.get(text(component, "executorLabel"))
        return _kind(executor, section(executor, "container"))

    def _leaf(self, path: str, name: str, component: object, task: object, around: _Around) -> KubeflowTask:
        label = text(component, "executorLabel")
        executor = self.executors.get(label)
        container = section(executor, "container")
        requests, unknown = requests_of(container)
        return KubeflowTask(
            path=path,
            component=name,
            executor=label,
            kind=_kind(executor, container),
            display_name=text(task, "taskInfo", "name") or path.rsplit("/", 1)[-1],
            image=text(container, "image"),
            loops=around.loops,
            conditions=around.conditions,
            waits_for=around.waits_for,
            requests=requests,
            unknown_amounts=unknown,
            constraints=read_constraints(self.configs.get(label)),
            claims=read_claims(self.configs.get(label)),
            is_cached=get(section(task, "cachingOptions"), "enableCache") is True,
            is_exit=around.is_exit,
            is_passed_on=_is_passed_on(component),
        )


def _inside(around: _Around, path: str, task: object, upstreams: list[str]) -> _Around:
    is_loop = bool(section(task, "parameterIterator") or section(task, "artifactIterator"))
    is_conditional = bool(text(task, "triggerPolicy", "condition"))
    is_exit = text(task, "triggerPolicy", "strategy") == FINISHED
    is_within_exit = around.is_exit and bool(upstreams) and not is_exit
    waits_for = upstreams if is_within_exit else (*around.waits_for, *upstreams)
    return _Around(
        (*around.loops, path) if is_loop else around.loops,
        (*around.conditions, path) if is_conditional else around.conditions,
        tuple(dict.fromkeys(waits_for)) if upstreams else around.waits_for,
        is_exit or (around.is_exit and not is_within_exit),
    )


def _dependencies(task: object) -> list[str]:
    """Names of the tasks of the same DAG that a task waits for: said, or by the data it reads; each once."""
    found = [str(name) for name in items(task, "dependentTasks")]
    found += [_producer(one) for one in section(task, "inputs", "parameters").values()]
    found += [text(one, "taskOutputArtifact", "producerTask") for one in section(task, "inputs", "artifacts").values()]
    return list(dict.fromkeys(name for name in found if name))


def _producer(given: object) -> str:
    return text(given, "taskOutputParameter", "producerTask") or text(given, "taskFinalStatus", "producerTask")


def _ordered(before: Mapping[str, Sequence[str]]) -> list[str]:
    """Task names, each after what it waits for where that is possible, else in the document's order."""
    waiting = {key: [name for name in names if name in before] for key, names in before.items()}
    order: dict[str, None] = {}
    for start, first in waiting.items():
        stack = [(start, first)]
        entered = {start}
        while stack and start not in order:
            key, upstreams = stack[-1]
            following = next((one for one in upstreams if one not in order and one not in entered), None)
            if following is None:
                order[key] = None
                stack.pop()
            else:
                entered.add(following)
                stack.append((following, waiting[following]))
    return list(order)


def _kind(executor: object, container: Mapping[str, object]) -> str:
    kind = "container" if container else next((one for one in EXECUTOR_KINDS if get(executor, one) is not None), "none")
    if kind != "container":
        return kind
    return "pvc" if text(container, "image") in PVC_IMAGES else "container"


def _loop(path: str, task: object, iterator: Mapping[str, object]) -> KubeflowLoop:
    raw = get(section(iterator, "items"), "raw")
    try:
        found = json.loads(raw) if isinstance(raw, str) else None
    except ValueError:
        found = None
    width = get(section(task, "iteratorPolicy"), "parallelismLimit")
    return KubeflowLoop(
        path,
        len(found) if isinstance(found, list) else None,
        int(width) if isinstance(width, int | float) and width > 0 else None,
        text(iterator, "itemInput"),
    )


def _is_passed_on(component: object) -> bool:
    return any(
        text(one, "field") in NODE_PASSTHROUGHS and get(one, "applyToTask") is not True
        for one in items(component, "taskConfigPassthroughs")
    )


def _notes(documents: Documents, walk: _Walk) -> list[str]:
    found = []
    for label, config in kubernetes_configs(documents).items():
        newer = [str(key) for key in section(config) if camel(str(key)) not in KUBERNETES_FIELDS]
        if newer:
            found.append(f"executor {label}: {', '.join(newer)} is not known to Kubeflow 2.17; kept as it is")
    for task in walk.tasks.values():
        if task.is_passed_on:
            found.append(f"task {task.path}: placement passes through to the job that it launches")
        if task.constraints.unknown:
            found.append(f"task {task.path}: known only when the run gets there: {', '.join(task.constraints.unknown)}")
    if walk.has_nested_pipelines and any(task.constraints.selector for task in walk.tasks.values()):
        found.append(SDK_WARNING)
    return found


__all__ = ["KubeflowLoop", "KubeflowPipeline", "KubeflowTask", "kubernetes_configs", "read_pipeline"]
