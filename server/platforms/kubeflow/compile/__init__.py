"""Compiling our own pipelines to Kubeflow's documents (IR 2.1.0 and the platform's), without Kubeflow's SDK."""

from server.platforms.kubeflow.compile.compiler import CompiledPipeline, compile_spec, refusals
from server.platforms.kubeflow.compile.sizes import TASK_LIMIT_BYTES, WORKFLOW_LIMIT_BYTES, size_doubts, size_problems

__all__ = [
    "TASK_LIMIT_BYTES",
    "WORKFLOW_LIMIT_BYTES",
    "CompiledPipeline",
    "compile_spec",
    "refusals",
    "size_doubts",
    "size_problems",
]
