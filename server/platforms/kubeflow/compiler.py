"""From a run and its placements to the documents that Kubeflow takes: `compile` and `placing`, joined.

Every task's pod is marked with our run and task, so that it can be found whatever becomes of its Workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from mlopx.spec import PipelineSpec
from server.domain.node import Node
from server.domain.run import Run, TaskKey
from server.platforms.interface import PlannedPlacement
from server.platforms.kubeflow.adopting import uncached
from server.platforms.kubeflow.placing import PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.reading import KubeflowPipeline, read_pipeline
from server.platforms.kubeflow.submitting import RUN_LABEL, TASK_ANNOTATION, Compiled

RUN_ANNOTATION = "mlopx.dev/run-id"


@dataclass(frozen=True, slots=True)
class Translated:
    """A spec in Kubeflow's terms. `paths` leads from our task paths to Kubeflow's."""

    pipeline: KubeflowPipeline
    paths: Mapping[str, str]


Translate = Callable[[PipelineSpec, Mapping[str, str]], Translated]


class PlacingCompiler:
    """Compiles and places.

    Args:
        translate: a spec, with the chosen option of each task that offers several, in Kubeflow's terms; raises
            InvalidSubmissionError.
        refusals: what of a spec Kubeflow cannot express.
        node_of: a node by name.
        mode: how firmly placements are asked for.
    """

    def __init__(
        self,
        *,
        translate: Translate,
        refusals: Callable[[PipelineSpec], list[str]],
        node_of: Callable[[str], Node | None],
        mode: PlacementMode = PlacementMode.DEFAULT,
    ) -> None:
        self._refusals, self._node_of, self._mode = refusals, node_of, mode
        self._translate_written = translate
        self._translate = lru_cache(maxsize=64)(lambda holder: self._translate_chosen(holder.spec, {}))

    def refusals(self, spec: PipelineSpec) -> list[str]:
        """What of it Kubeflow cannot express; nothing of what was Kubeflow's own."""
        return self._refusals(spec) if spec.foreign is None else []

    def paths(self, spec: PipelineSpec) -> Mapping[str, str]:
        """From our task paths to Kubeflow's."""
        return self._translated(spec).paths

    def place(
        self, run: Run, placements: Mapping[TaskKey, PlannedPlacement], version: tuple[int, int] | None
    ) -> Compiled:
        """The run's pipeline with its placements, marked with the run's id."""
        spec = run.graph.spec
        choices = {key.path: one.option for key, one in placements.items() if spec.tasks[key.path].options}
        is_as_written = run.options.is_caching and not choices
        translated = (
            self._translated(spec)
            if is_as_written
            else self._translate_chosen(spec if run.options.is_caching else without_cache(spec), choices)
        )
        placeable = {task.path for task in translated.pipeline.placeable()}
        wanted = {
            translated.paths[path]: self._placement(run, path, placements.get(TaskKey(path)))
            for path in run.graph.order
            if translated.paths.get(path) in placeable
        }
        placed = place_pipeline(translated.pipeline, wanted, mode=self._mode, server_version=version)
        return Compiled(placed.pipeline, placed.platform, translated.paths)

    def _placement(self, run: Run, path: str, planned: PlannedPlacement | None) -> TaskPlacement:
        names = (planned.node, *planned.alternatives) if planned is not None and planned.node else ()
        nodes = [self._node_of(name) for name in names]
        return TaskPlacement(
            nodes=tuple(node for node in nodes if node is not None) if nodes and nodes[0] is not None else (),
            mode=PlacementMode.REQUIRE if run.graph.task(path).node else None,
            labels={RUN_LABEL: run.id},
            annotations={RUN_ANNOTATION: run.id, TASK_ANNOTATION: path},
        )

    def _translate_chosen(self, spec: PipelineSpec, choices: Mapping[str, str]) -> Translated:
        return original(spec) if spec.foreign is not None else self._translate_written(spec, choices)

    def _translated(self, spec: PipelineSpec) -> Translated:
        return self._translate(_Same(spec))


def original(spec: PipelineSpec) -> Translated:
    """The document that a spec was read from; without caching where none of the spec's tasks is to be cached."""
    foreign = spec.foreign
    if foreign is None:
        raise ValueError("the spec carries no document")
    pipeline = read_pipeline(foreign.text, foreign.file)
    is_cached = any(task.is_cached for task in pipeline.tasks.values())
    if is_cached and not any(task.cache for task in spec.tasks.values()):
        edited = replace(pipeline.documents, pipeline=uncached(pipeline.documents.pipeline), pipeline_text=None)
        pipeline = read_pipeline(edited)
    return Translated(pipeline, foreign.paths)


def without_cache(spec: PipelineSpec) -> PipelineSpec:
    """The same pipeline with no task taken from Kubeflow's cache; its own client turns only the outermost tasks off."""
    tasks = {path: task.model_copy(update={"cache": False}) for path, task in spec.tasks.items()}
    return spec.model_copy(update={"tasks": tasks})


class _Same:
    """A spec as a key: specs are compared by identity, since runs share them."""

    __slots__ = ("spec",)

    def __init__(self, spec: PipelineSpec) -> None:
        self.spec = spec

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.spec is other.spec


__all__ = ["PlacingCompiler", "Translate", "Translated", "original", "without_cache"]
