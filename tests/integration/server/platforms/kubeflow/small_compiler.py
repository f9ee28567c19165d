"""A compiler for what these tests submit: functions of numbers, conditions and loops not among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlopx.spec import Const, FunctionCode, OutputRef, PipelineSpec
from server.platforms.kubeflow.compiler import Translated
from server.platforms.kubeflow.reading import read_pipeline
from server.platforms.kubeflow.writing import dump_all

_HEAD = """import json, os, sys
def show(outputs, error=None):
    with open(os.environ["MLOPX_TERMINATION_LOG"], "w") as file:
        json.dump({"outputs": outputs, "error": error}, file)
given = json.loads(sys.argv[1])
"""
_TAIL = """
try:
    value = {name}(**given["inputs"]["parameterValues"])
except Exception as error:
    show({{}}, {{"kind": "user-code", "message": str(error)}})
    raise
json.dump({{"parameterValues": {{"output": value}}}}, open(given["outputs"]["outputFile"], "w"))
show({{"output": {{"value": value}}}})
"""


def translate(spec: PipelineSpec, choices: Mapping[str, str]) -> Translated:
    """The spec in Kubeflow's terms."""
    tasks: dict[str, Any] = {}
    components: dict[str, Any] = {}
    executors: dict[str, Any] = {}
    for path, task in spec.tasks.items():
        code = spec.components[task.component].code
        assert isinstance(code, FunctionCode)
        script = _HEAD + code.source + _TAIL.format(name=code.entrypoint)
        container: dict[str, Any] = {"image": "python:3.11", "command": ["python3", "-c", script], "args": ["{{$}}"]}
        if task.resources.cpu_millicores:
            container["resources"] = {"resourceCpuRequest": f"{task.resources.cpu_millicores}m"}
        executors[f"exec-{path}"] = {"container": container}
        ports = {name: {"parameterType": "NUMBER_INTEGER", "isOptional": True} for name in task.arguments}
        components[f"comp-{path}"] = {
            "executorLabel": f"exec-{path}",
            "inputDefinitions": {"parameters": ports},
            "outputDefinitions": {"parameters": {"output": {"parameterType": "NUMBER_INTEGER"}}},
        }
        tasks[path] = {
            "taskInfo": {"name": path},
            "componentRef": {"name": f"comp-{path}"},
            "inputs": {"parameters": {name: _value(value) for name, value in task.arguments.items()}},
            "dependentTasks": sorted({one.task for one in task.arguments.values() if isinstance(one, OutputRef)}),
            "retryPolicy": {"maxRetryCount": task.retry.max_retries if task.retry else 0},
            "cachingOptions": {"enableCache": task.cache},
        }
    document = {
        "pipelineInfo": {"name": spec.name},
        "root": {"dag": {"tasks": tasks}},
        "components": components,
        "deploymentSpec": {"executors": executors},
        "schemaVersion": "2.1.0",
        "sdkVersion": "mlopx",
    }
    return Translated(read_pipeline(dump_all(document, None)), {path: path for path in spec.tasks})


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, OutputRef):
        return {"taskOutputParameter": {"producerTask": value.task, "outputParameterKey": "output"}}
    assert isinstance(value, Const)
    return {"runtimeValue": {"constant": json.loads(json.dumps(value.value))}}
