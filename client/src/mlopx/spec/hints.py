"""Workload hints: what the author knows of the work, from which the declared estimator derives seconds.

The shapes follow the metadata file of the original MLOpX, so such a file can be given as it is (`from_metadata`).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlopx.spec.base import JsonValue, SpecModel

TaskKind = Literal["preprocessing", "training", "evaluation", "inference", "other"]


class DataShape(SpecModel):
    """Size of a data set: samples, and features (tabular) or the shape of one sample (images)."""

    n_samples: int | None = Field(default=None, ge=0)
    n_features: int | None = Field(default=None, ge=0)
    input_shape: tuple[int, ...] | None = None
    n_classes: int | None = Field(default=None, ge=0)
    data_types: dict[str, int] = {}


class DataHints(SpecModel):
    """The data set. Percentages are 0 to 100, as in the original's metadata file."""

    name: str = ""
    type: Literal["tabular", "image", "text", "series", "other"] = "tabular"
    train_percentage: float | None = Field(default=None, ge=0, le=100)
    val_percentage: float | None = Field(default=None, ge=0, le=100)
    test_percentage: float | None = Field(default=None, ge=0, le=100)
    normalized: bool | None = None
    original: DataShape | None = None
    preprocessed: DataShape | None = None


class ModelHints(SpecModel):
    """The model family and its parameters (`n_estimators`, `max_depth`, `layers`, …)."""

    type: str
    params: dict[str, JsonValue] = {}


class WorkloadHints(SpecModel):
    """All hints of one task. `operations` (arithmetic operations in all) overrides what would be derived."""

    task_kind: TaskKind | None = None
    dataset: DataHints | None = None
    model: ModelHints | None = None
    operations: float | None = Field(default=None, ge=0)


def merge_hints(task: WorkloadHints | None, pipeline: WorkloadHints | None) -> WorkloadHints | None:
    """The task's own hints, completed by the pipeline's."""
    if task is None or pipeline is None:
        return task or pipeline
    own: dict[str, Any] = {name: getattr(task, name) for name in WorkloadHints.model_fields}
    merged = {name: value if value is not None else getattr(pipeline, name) for name, value in own.items()}
    return WorkloadHints(**merged)
