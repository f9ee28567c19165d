"""Workload hints in code, or from the metadata file of the original MLOpX."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlopx.dsl.where import here
from mlopx.dsl.wrong import checked
from mlopx.errors import DefinitionError
from mlopx.spec import DataHints, ModelHints, WorkloadHints

MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class PipelineHints:
    """Hints of a whole pipeline: for every task, and the kind of work by task name."""

    workload: WorkloadHints
    kinds: dict[str, str]

    def kind_of(self, path: str) -> str | None:
        """The kind of a task's work, named by its path, or with the function's own `_`."""
        return self.kinds.get(path, self.kinds.get(path.replace("-", "_")))

    def require_tasks(self, paths: Collection[str], where: str | None) -> None:
        """Raise DefinitionError where a task is named that the pipeline does not have."""
        named = {*paths, *(path.replace("-", "_") for path in paths)}
        unknown = [task for task in self.kinds if task not in named]
        if unknown:
            raise DefinitionError(
                f"components_type in the hints names {unknown[0]!r}, which is no task of the pipeline",
                hint=f"its tasks are: {', '.join(list(paths)[:MOST_NAMED])}{', …' if len(paths) > MOST_NAMED else ''}",
                where=where,
            )


def workload(
    *,
    kind: str | None = None,
    dataset: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    operations: float | None = None,
) -> WorkloadHints:
    """Hints in code: kind of task, data set and model as in the metadata file. Raises DefinitionError."""
    with checked("the workload hints are wrong"):
        return WorkloadHints(
            task_kind=kind,
            dataset=DataHints.model_validate(dataset) if dataset is not None else None,
            model=ModelHints.model_validate(model) if model is not None else None,
            operations=operations,
        )


def read_metadata(given: str | Path | dict[str, Any]) -> PipelineHints:
    """Read the metadata file (or its content): `components_type`, `dataset`, `model`. Raises DefinitionError."""
    if not isinstance(given, str | Path | dict):
        raise DefinitionError(
            f"hints are a file's name or a dict, not {given!r}",
            hint='write hints="metadata.json", or a dict of components_type, dataset and model',
            where=here(),
        )
    document = given if isinstance(given, dict) else _load(Path(given))
    unknown = sorted(set(document) - {"components_type", "dataset", "model"})
    if unknown:
        raise DefinitionError(
            f"the metadata has unknown entries: {', '.join(unknown)}",
            hint="it holds components_type, dataset and model",
            where=here(),
        )
    kinds = document.get("components_type", {})
    if not isinstance(kinds, dict):
        raise DefinitionError("components_type must map task names to kinds of work", where=here())
    for kind in kinds.values():
        workload(kind=kind)
    found = workload(dataset=document.get("dataset"), model=document.get("model"))
    return PipelineHints(found, {str(task): str(kind) for task, kind in kinds.items()})


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise DefinitionError(f"the metadata file {path} cannot be read: {error.strerror}", where=here()) from error
    except ValueError as error:
        raise DefinitionError(f"the metadata file {path} is not JSON: {error}", where=here()) from error
    if not isinstance(document, dict):
        raise DefinitionError(f"the metadata file {path} must hold a JSON object", where=here())
    return document
