"""Workload hints in code, or from the metadata file of the original MLOpX."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlopx.dsl.where import here
from mlopx.errors import DefinitionError
from mlopx.spec import DataHints, ModelHints, WorkloadHints


@dataclass(frozen=True, slots=True)
class PipelineHints:
    """Hints of a whole pipeline: for every task, and the kind of work by task name."""

    workload: WorkloadHints
    kinds: dict[str, str]


def workload(
    *,
    kind: str | None = None,
    dataset: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    operations: float | None = None,
) -> WorkloadHints:
    """Hints in code: kind of task, data set and model as in the metadata file. Raises DefinitionError."""
    try:
        return WorkloadHints(
            task_kind=kind,
            dataset=DataHints.model_validate(dataset) if dataset is not None else None,
            model=ModelHints.model_validate(model) if model is not None else None,
            operations=operations,
        )
    except ValidationError as error:
        raise DefinitionError("the workload hints are wrong: " + _first(error), where=here()) from error


def read_metadata(given: str | Path | dict[str, Any]) -> PipelineHints:
    """Read the metadata file (or its content): `components_type`, `dataset`, `model`. Raises DefinitionError."""
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


def _first(error: ValidationError) -> str:
    item = error.errors(include_url=False)[0]
    return ".".join(str(part) for part in item["loc"]) + f": {item['msg']}"
