"""The face of placing: a compiled pipeline and where its tasks shall run -> the same pipeline with placements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from server.domain.errors import InvalidRequestError
from server.domain.node import Node
from server.domain.resources import Resources
from server.platforms.kubeflow.placing.configs import (
    AFFINITY_SINCE,
    Change,
    PlacementMode,
    add_metadata,
    is_same_kind,
    prefer_nodes,
    require_node,
    require_stable,
    stable_labels,
)
from server.platforms.kubeflow.placing.containers import set_environment, set_image, set_requests
from server.platforms.kubeflow.placing.editing import copied, enter
from server.platforms.kubeflow.placing.iterations import LoopPlacement, bind, is_requiring, place_iterations
from server.platforms.kubeflow.placing.splitting import split
from server.platforms.kubeflow.reading.graph import KubeflowPipeline, KubeflowTask, kubernetes_configs
from server.platforms.kubeflow.writing import dump, dump_all


@dataclass(frozen=True, slots=True)
class TaskPlacement:
    """Where one task shall run.

    Attributes:
        nodes: the chosen node, then its alternatives by rank; empty to leave the choice to Kubernetes.
        mode: how firmly; None takes the call's.
        image, requests, environment: those of the chosen option, where the task offers several; limits follow from the
            requests (`set_requests`).
        labels, annotations: marks for its pod.
    """

    nodes: tuple[Node, ...] = ()
    mode: PlacementMode | None = None
    image: str | None = None
    requests: Resources | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """What was written for one task. `required` and `preferred` are in words; `notes` say what could not be done."""

    executor: str
    required: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedPipeline:
    """A compiled pipeline with placements. `text` is what goes to a file, the documents what goes to the API."""

    pipeline: Mapping[str, Any]
    platform: Mapping[str, Any] | None
    text: str
    effects: Mapping[str, Effect] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        """The `pipeline_spec` of Kubeflow's run request: bare, or with the platform's document beside it."""
        if self.platform is None:
            return dict(self.pipeline)
        return {"pipeline_spec": dict(self.pipeline), "platform_spec": dict(self.platform)}


def place_pipeline(
    pipeline: KubeflowPipeline,
    placements: Mapping[str, TaskPlacement],
    *,
    loops: Mapping[str, LoopPlacement] | None = None,
    mode: PlacementMode = PlacementMode.DEFAULT,
    server_version: tuple[int, int] | None = None,
) -> PlacedPipeline:
    """Write placements, by task path. The same arguments give the same bytes; the pipeline itself is not changed.

    `server_version` of the Kubeflow server, where known: below 2.14 nothing soft can be written. `loops`, by path, send
    iterations to nodes of their own, which changes the loops' items in the pipeline's document.

    Raises:
        InvalidRequestError: a path is no task that can be placed.
    """
    inside = {path: TaskPlacement() for one in (loops or {}).values() for path in sorted(one.tasks)}
    placements = {**inside, **placements}
    for path in placements:
        _require_placeable(pipeline, path)
    if not placements:
        documents = pipeline.documents
        return PlacedPipeline(documents.pipeline, documents.platform, documents.text, {}, pipeline.notes)
    has_affinity = server_version is None or server_version >= AFFINITY_SINCE
    return _Writer(pipeline, placements, loops or {}, mode, has_affinity).placed()


def _require_placeable(pipeline: KubeflowPipeline, path: str) -> None:
    task = pipeline.tasks.get(path)
    if task is None:
        known = ", ".join(one.path for one in pipeline.placeable()[:20]) or "none"
        raise InvalidRequestError(f"the pipeline has no task {path!r}", hint=f"it has: {known}")
    if not task.is_placeable:
        raise InvalidRequestError(f"task {path!r} takes no placement: it is {task.reason}")


class _Writer:
    """One call of `place_pipeline`."""

    def __init__(
        self,
        pipeline: KubeflowPipeline,
        placements: Mapping[str, TaskPlacement],
        loops: Mapping[str, LoopPlacement],
        mode: PlacementMode,
        has_affinity: bool,
    ) -> None:
        documents = pipeline.documents
        self.source, self.placements, self.mode, self.has_affinity = pipeline, placements, mode, has_affinity
        self.loops, self.bound = loops, dict[str, str]()
        self.is_shared = bool(loops) or _must_split(pipeline, placements)
        self.is_changed = self.is_shared or any(_has_option(one) for one in placements.values())
        self.pipeline = copied(documents.pipeline) if self.is_changed else documents.pipeline
        self.platform = copied(documents.platform) if documents.platform is not None else {}
        self.configs: dict[str, Any] | None = None
        self.labels = {task.path: task.executor for task in pipeline.tasks.values()}
        if self.is_shared:
            self.labels.update(split(self.pipeline, self.platform))  # type: ignore[arg-type]  # the copy made above

    def placed(self) -> PlacedPipeline:
        self._iterations()
        effects = {task.path: self._task(task) for task in self.source.placeable() if task.path in self.placements}
        platform = self.platform or None
        kept = None if self.is_changed else self.source.documents.pipeline_text
        if kept is not None:
            text = kept + (f"---\n{dump(platform)}" if platform is not None else "")
        else:
            text = dump_all(self.pipeline, platform)
        return PlacedPipeline(self.pipeline, platform, text, effects, self.source.notes)

    def _iterations(self) -> None:
        """Send the iterations of loops to their nodes."""
        tasks, configs = self.source.tasks, kubernetes_configs(self.source.documents)
        for path, placement in self.loops.items():
            found = place_iterations(
                self.pipeline,  # type: ignore[arg-type]  # the copy made above
                path,
                placement,
                mode=self.mode,
                accelerated=[one for one in placement.tasks if tasks[one].requests.accelerators],
                requiring=[one for one in placement.tasks if is_requiring(configs.get(tasks[one].executor))],
            )
            self.bound.update(found)

    def _task(self, task: KubeflowTask) -> Effect:
        placement, label = self.placements[task.path], self.labels[task.path]
        if _has_option(placement):
            container = enter(self.pipeline, "deploymentSpec", "executors", label, "container")  # type: ignore[arg-type]
            set_image(container, placement.image)
            set_requests(container, placement.requests)
            set_environment(container, placement.environment)
        is_bound = task.path in self.bound
        if not (placement.nodes or placement.labels or placement.annotations or is_bound):
            return Effect(label)
        if self.configs is None:
            self.configs = enter(self.platform, "platforms", "kubernetes", "deploymentSpec", "executors")
        config = enter(self.configs, label)
        change = Change()
        if is_bound:
            self._bind(config, task, change)
        else:
            self._nodes(config, task, placement, change)
        add_metadata(config, placement.labels, placement.annotations)
        return Effect(label, tuple(change.required), tuple(change.preferred), tuple(change.notes))

    def _bind(self, config: dict[str, Any], task: KubeflowTask, change: Change) -> None:
        loop = self.loops[task.loops[-1]]
        if (loop.mode or self.mode) is PlacementMode.REQUIRE and is_requiring(config):
            change.notes.append("its own node affinity would be widened: the nodes of its iterations are wished for")
        bind(config, self.bound[task.path])
        names = (nodes[0].name if nodes else "-" for nodes in loop.nodes)
        change.preferred.append(f"by iteration: {', '.join(names)}")

    def _nodes(self, config: dict[str, Any], task: KubeflowTask, placement: TaskPlacement, change: Change) -> None:
        if not placement.nodes:
            return
        mode = placement.mode or self.mode
        real = [node for node in placement.nodes if not node.is_virtual]
        requests = placement.requests if placement.requests is not None else task.requests
        stable = stable_labels(bool(requests.accelerators))
        if placement.nodes[0].is_virtual:
            group = placement.nodes[0].group or placement.nodes[0].name
            change.notes.append(f"waits for node group {group} to grow: no node has room for it now")
        if mode is PlacementMode.REQUIRE and real[:1] == list(placement.nodes[:1]):
            require_node(config, real[0], change, has_affinity=self.has_affinity)
            return
        if mode is not PlacementMode.PREFER or not self.has_affinity:
            require_stable(config, placement.nodes[0], change, labels=stable, has_affinity=self.has_affinity)
            real = [node for node in real if is_same_kind(placement.nodes[0], node, stable)]
        if self.has_affinity:
            prefer_nodes(config, real, change)
        else:
            change.notes.append("no node is preferred: this Kubeflow server knows no node affinity (since 2.14)")


def _has_option(placement: TaskPlacement) -> bool:
    """Whether it changes the container, and so the pipeline's own document."""
    return bool(placement.image or placement.requests is not None or placement.environment)


def _must_split(pipeline: KubeflowPipeline, placements: Mapping[str, TaskPlacement]) -> bool:
    """Whether tasks that share a component or an executor are to be placed apart."""
    shared: dict[str, TaskPlacement | None] = {}
    for task in pipeline.tasks.values():
        placement = placements.get(task.path)
        if shared.setdefault(task.executor, placement) != placement:
            return True
    return False


__all__ = ["Effect", "PlacedPipeline", "TaskPlacement", "place_pipeline"]
