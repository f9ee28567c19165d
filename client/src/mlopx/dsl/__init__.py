"""What a user writes pipelines with: decorators, types, control flow, and the needs of tasks."""

from mlopx.dsl.component import Component, component, container_component, input_path, input_value, output_path
from mlopx.dsl.control import Elif, Else, If, Loop, on_exit
from mlopx.dsl.handles import collect, one_of, this_run
from mlopx.dsl.needs import Volume, node_label, option
from mlopx.dsl.pipeline import Pipeline, pipeline
from mlopx.dsl.types import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Input,
    Markdown,
    Metrics,
    Model,
    Output,
    TaskInfo,
)

__all__ = [
    "HTML",
    "Artifact",
    "ClassificationMetrics",
    "Component",
    "Dataset",
    "Elif",
    "Else",
    "If",
    "Input",
    "Loop",
    "Markdown",
    "Metrics",
    "Model",
    "Output",
    "Pipeline",
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
