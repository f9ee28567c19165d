"""From a run and its placements to the documents that Kubeflow takes: `compile` and `placing`, joined.

Every task's pod is marked with our run and task, so that it can be found whatever becomes of its Workflow.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from mlopx.spec import PipelineSpec
from server.domain.errors import PlatformError
from server.domain.node import Node
from server.domain.run import Run, TaskKey
from server.kube.own_runs import OURS_LABEL, TASK_ANNOTATION
from server.platforms.interface import PlannedPlacement
from server.platforms.kubeflow.adopting import uncached
from server.platforms.kubeflow.compile.sizes import is_roomy, size_problems
from server.platforms.kubeflow.iterating import Iterations, counts_of, iterations_of
from server.platforms.kubeflow.placing import PlacedPipeline, PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.placing.configs import AFFINITY_SINCE
from server.platforms.kubeflow.placing.importers import with_importers
from server.platforms.kubeflow.placing.merging import merged
from server.platforms.kubeflow.reading import KubeflowPipeline, read_pipeline
from server.platforms.kubeflow.reading.inputs import input_artifacts
from server.platforms.kubeflow.submitting import LONGEST_WHY, WHY_ANNOTATION, Compiled

RUN_ANNOTATION = "mlopx.dev/run-id"
MOST_NOTES = 10
log = logging.getLogger(__name__)


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
        iterations: whose loops may have a node for each iteration, which changes their items: `own` for pipelines of
            our own, `all`, or `none`.
    """

    def __init__(
        self,
        *,
        translate: Translate,
        refusals: Callable[[PipelineSpec], list[str]],
        node_of: Callable[[str], Node | None],
        mode: PlacementMode = PlacementMode.DEFAULT,
        iterations: str = "own",
    ) -> None:
        self._refusals, self._node_of, self._mode, self._iterations = refusals, node_of, mode, iterations
        self._translate_written = translate
        self._translate = lru_cache(maxsize=64)(lambda holder: self._translate_chosen(holder.spec, {}))

    def refusals(self, spec: PipelineSpec) -> list[str]:
        """What of it Kubeflow cannot express; of what was Kubeflow's own, what it could not create or run."""
        return self._refusals(spec) if spec.foreign is None else refusals_of(self._translated(spec).pipeline)

    def notes(self, spec: PipelineSpec) -> list[str]:
        """What was seen in a file that others compiled, the first few of many."""
        found = list(self._translated(spec).pipeline.notes) if spec.foreign is not None else []
        more = len(found) - MOST_NOTES
        return found if more <= 0 else [*found[:MOST_NOTES], f"{more} more: `mlopx-server place` says them all"]

    def paths(self, spec: PipelineSpec) -> Mapping[str, str]:
        """From our task paths to Kubeflow's."""
        return self._translated(spec).paths

    def iterated(
        self, spec: PipelineSpec, parameters: Mapping[str, Any], version: tuple[int, int] | None
    ) -> Collection[str]:
        """Our task paths in loops whose iterations can be placed one by one."""
        if not spec.scopes or not self._may_iterate(spec):
            return ()
        translated = self._translated(spec)
        has_affinity = version is None or version >= AFFINITY_SINCE
        apart = counts_of(translated.pipeline, parameters, has_affinity=has_affinity)
        tasks = translated.pipeline.tasks
        return frozenset(
            ours
            for ours, theirs in translated.paths.items()
            if theirs in tasks and len(tasks[theirs].loops) == 1 and tasks[theirs].loops[0] in apart
        )

    def _may_iterate(self, spec: PipelineSpec) -> bool:
        return self._iterations == "all" or (self._iterations == "own" and spec.foreign is None)

    def place(
        self, run: Run, placements: Mapping[TaskKey, PlannedPlacement], version: tuple[int, int] | None
    ) -> Compiled:
        """The run's pipeline with its placements, marked with the run's id. Raises PlatformError if it is too large."""
        spec = run.graph.spec
        choices = _options(spec, placements)
        uncached_paths = run.options.anew if run.options.is_caching else tuple(spec.tasks)
        translated = (
            self._translate_chosen(without_cache(spec, uncached_paths), choices)
            if uncached_paths or choices
            else self._translated(spec)
        )
        translated = replace(translated, pipeline=importing(translated.pipeline, run.parameters))
        loops = self._loops(run, translated, placements, choices, version)
        placeable = {task.path for task in translated.pipeline.placeable()}
        wanted = {}
        for path in run.graph.order:
            theirs = translated.paths.get(path)
            if theirs in placeable:
                nodes = loops.together.get(theirs) or self._nodes(placements.get(TaskKey(path)))
                wanted[theirs] = self._placement(run, path, nodes, _said(path, placements))

        def write(tasks: Mapping[str, TaskPlacement]) -> PlacedPipeline:
            pipeline = translated.pipeline
            return place_pipeline(pipeline, tasks, loops=loops.apart, mode=self._mode, server_version=version)

        placed = write(wanted)
        pipeline, platform = placed.pipeline, placed.platform
        if not is_roomy(pipeline, platform):
            log.warning("run %s is large: its pods get no annotations", run.id)
            placed = write({path: replace(one, annotations={}) for path, one in wanted.items()})
            pipeline, platform = placed.pipeline, placed.platform
            if spec.foreign is None:
                pipeline, platform = merged(pipeline, platform)
        if problems := size_problems(pipeline, platform):
            raise PlatformError(f"with its placements it is too large for Kubeflow: {'; '.join(problems)}")
        return Compiled(pipeline, platform, translated.paths)

    def _loops(
        self,
        run: Run,
        translated: Translated,
        placements: Mapping[TaskKey, PlannedPlacement],
        choices: Mapping[str, str],
        version: tuple[int, int] | None,
    ) -> Iterations:
        """Where the iterations of loops go."""
        planned = {
            (translated.paths[key.path], key.iteration[0]): self._nodes(one)
            for key, one in placements.items()
            if len(key.iteration) == 1 and one.node and one.option == choices.get(key.path, one.option)
        }
        pins = {path: self._node_of(run.graph.task(path).node or "") for path in run.graph.order}
        pinned = {translated.paths[path]: node for path, node in pins.items() if node is not None}
        if not planned and not pinned:
            return Iterations()
        found = iterations_of(
            translated.pipeline,
            run.parameters,
            planned,
            pinned=pinned,
            has_affinity=version is None or version >= AFFINITY_SINCE,
            is_wanted=self._may_iterate(run.graph.spec),
        )
        for path, why in found.left.items():
            log.info("run %s: loop %s is left to Kubernetes: %s", run.id, path, why)
        return found

    def _nodes(self, planned: PlannedPlacement | None) -> tuple[Node, ...]:
        names = (planned.node, *planned.alternatives) if planned is not None and planned.node else ()
        nodes = [self._node_of(name) for name in names]
        return tuple(node for node in nodes if node is not None) if nodes and nodes[0] is not None else ()

    def _placement(self, run: Run, path: str, nodes: tuple[Node, ...], said: PlannedPlacement | None) -> TaskPlacement:
        why = {WHY_ANNOTATION: said.why[:LONGEST_WHY]} if said is not None and said.why else {}
        return TaskPlacement(
            nodes=nodes,
            mode=PlacementMode.REQUIRE if run.graph.task(path).node else None,
            labels={OURS_LABEL: run.id},
            environment=said.environment if said is not None else {},
            annotations={RUN_ANNOTATION: run.id, TASK_ANNOTATION: path, **why},
        )

    def _translate_chosen(self, spec: PipelineSpec, choices: Mapping[str, str]) -> Translated:
        return original(spec) if spec.foreign is not None else self._translate_written(spec, choices)

    def _translated(self, spec: PipelineSpec) -> Translated:
        return self._translate(_Same(spec))


def refusals_of(pipeline: KubeflowPipeline) -> list[str]:
    """Why Kubeflow could not create or run a pipeline that others compiled, as sentences."""
    documents = pipeline.documents
    missing = [one.problem for one in input_artifacts(documents).values() if one.problem]
    return [*missing, *size_problems(documents.pipeline, documents.platform)]


def importing(pipeline: KubeflowPipeline, parameters: Mapping[str, Any]) -> KubeflowPipeline:
    """The pipeline as it is sent for a run with these parameters: artifacts given by address are imported in it."""
    documents = with_importers(pipeline.documents, [name for name, one in parameters.items() if one is not None])
    return pipeline if documents is pipeline.documents else read_pipeline(documents)


def _said(path: str, placements: Mapping[TaskKey, PlannedPlacement]) -> PlannedPlacement | None:
    """What goes along with a task; iterations of a loop share a pod's description, so they get no sentence of one."""
    alone = placements.get(TaskKey(path))
    if alone is not None:
        return alone
    first = next((one for key, one in placements.items() if key.path == path), None)
    return replace(first, why="") if first is not None else None


def _options(spec: PipelineSpec, placements: Mapping[TaskKey, PlannedPlacement]) -> dict[str, str]:
    """The option of each task that offers several; all iterations of a loop share the one that most of them have."""
    counts: dict[str, Counter[str]] = {}
    for key, one in placements.items():
        if spec.tasks[key.path].options:
            counts.setdefault(key.path, Counter())[one.option] += 1
    return {path: found.most_common(1)[0][0] for path, found in counts.items()}


def original(spec: PipelineSpec) -> Translated:
    """The document that a spec was read from; tasks are not cached there that the spec would not have cached.

    A component that several such tasks share is the same for all of them.
    """
    foreign = spec.foreign
    if foreign is None:
        raise ValueError("the spec carries no document")
    pipeline = read_pipeline(foreign.text, foreign.file)
    off = [
        path for ours, path in foreign.paths.items() if pipeline.tasks[path].is_cached and not spec.tasks[ours].cache
    ]
    if off:
        is_all = not any(task.cache for task in spec.tasks.values())
        document = uncached(pipeline.documents.pipeline, None if is_all else off)
        pipeline = read_pipeline(replace(pipeline.documents, pipeline=document, pipeline_text=None))
    return Translated(pipeline, foreign.paths)


def without_cache(spec: PipelineSpec, paths: Collection[str] | None = None) -> PipelineSpec:
    """The same pipeline with none of these tasks taken from Kubeflow's cache, or (None) none at all.

    Kubeflow's own client turns only the outermost tasks off.
    """
    tasks = {
        path: task.model_copy(update={"cache": False}) if paths is None or path in paths else task
        for path, task in spec.tasks.items()
    }
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


__all__ = ["PlacingCompiler", "Translate", "Translated", "importing", "original", "refusals_of", "without_cache"]
