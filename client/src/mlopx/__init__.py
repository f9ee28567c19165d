"""Define machine-learning pipelines; running the definition file submits them.

    from mlopx import Dataset, Input, Model, Output, component, pipeline

Names are loaded when first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlopx.dsl import (
        HTML,
        Artifact,
        ClassificationMetrics,
        Component,
        Dataset,
        Elif,
        Else,
        If,
        Input,
        Loop,
        Markdown,
        Metrics,
        Model,
        Output,
        Pipeline,
        TaskInfo,
        Volume,
        collect,
        component,
        container_component,
        input_path,
        input_value,
        node_label,
        on_exit,
        one_of,
        option,
        output_path,
        pipeline,
        this_run,
    )
    from mlopx.errors import DefinitionError, MlopxError, RunFailedError, ServerError
    from mlopx.remote import Client, RunHandle

__version__ = "0.1.0"

__all__ = [
    "HTML",
    "Artifact",
    "ClassificationMetrics",
    "Client",
    "Component",
    "Dataset",
    "DefinitionError",
    "Elif",
    "Else",
    "If",
    "Input",
    "Loop",
    "Markdown",
    "Metrics",
    "MlopxError",
    "Model",
    "Output",
    "Pipeline",
    "RunFailedError",
    "RunHandle",
    "ServerError",
    "TaskInfo",
    "Volume",
    "collect",
    "component",
    "container_component",
    "input_path",
    "input_value",
    "node_label",
    "on_exit",
    "one_of",
    "option",
    "output_path",
    "pipeline",
    "this_run",
]

_HOMES = {
    "Client": "mlopx.remote",
    "RunHandle": "mlopx.remote",
    "DefinitionError": "mlopx.errors",
    "MlopxError": "mlopx.errors",
    "RunFailedError": "mlopx.errors",
    "ServerError": "mlopx.errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mlopx' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "mlopx.dsl")), name)
    globals()[name] = value
    return value
