"""The fields of Kubeflow's compiled pipelines (IR 2.1.0), as the protocol of SDK 2.17 names them.

A field's type is a message's name, `string`, `bool`, `int`, `double`, `duration`, `struct` (any object), `any` (any
JSON), or `enum A B`; `[]` in front makes a list of it, `{}` a map from text. The document may also write a field's name
with underscores (`component_ref`), as the protocol's JSON allows.
"""

from __future__ import annotations

import functools
import re

PARAMETER_TYPES = "NUMBER_DOUBLE NUMBER_INTEGER STRING BOOLEAN LIST STRUCT TASK_FINAL_STATUS TASK_CONFIG"
_PARAMETER_TYPE = f"enum PARAMETER_TYPE_ENUM_UNSPECIFIED {PARAMETER_TYPES}"
_PRIMITIVE_TYPE = "enum PRIMITIVE_TYPE_UNSPECIFIED INT DOUBLE STRING"
_TRIGGER = "enum TRIGGER_STRATEGY_UNSPECIFIED ALL_UPSTREAM_TASKS_SUCCEEDED ALL_UPSTREAM_TASKS_COMPLETED"
_PASSTHROUGHS = "RESOURCES ENV KUBERNETES_AFFINITY KUBERNETES_TOLERATIONS KUBERNETES_NODE_SELECTOR KUBERNETES_VOLUMES"

FIELDS: dict[str, dict[str, str]] = {
    "PipelineSpec": {
        "pipelineInfo": "PipelineInfo",
        "deploymentSpec": "struct",
        "sdkVersion": "string",
        "schemaVersion": "string",
        "components": "{}ComponentSpec",
        "root": "ComponentSpec",
        "defaultPipelineRoot": "string",
    },
    "PipelineInfo": {"name": "string", "displayName": "string", "description": "string"},
    "ComponentSpec": {
        "inputDefinitions": "Inputs",
        "outputDefinitions": "Outputs",
        "dag": "DagSpec",
        "executorLabel": "string",
        "singlePlatformSpecs": "[]SinglePlatformSpec",
        "taskConfigPassthroughs": "[]TaskConfigPassthrough",
    },
    "TaskConfigPassthrough": {"field": f"enum NONE {_PASSTHROUGHS}", "applyToTask": "bool"},
    "Inputs": {"artifacts": "{}InputArtifact", "parameters": "{}InputParameter"},
    "InputArtifact": {
        "artifactType": "ArtifactType",
        "isArtifactList": "bool",
        "isOptional": "bool",
        "description": "string",
    },
    "InputParameter": {
        "type": _PRIMITIVE_TYPE,
        "parameterType": _PARAMETER_TYPE,
        "defaultValue": "any",
        "isOptional": "bool",
        "description": "string",
        "literals": "[]any",
    },
    "ArtifactType": {
        "schemaTitle": "string",
        "schemaUri": "string",
        "instanceSchema": "string",
        "schemaVersion": "string",
    },
    "Outputs": {"artifacts": "{}OutputArtifact", "parameters": "{}OutputParameter"},
    "OutputArtifact": {
        "artifactType": "ArtifactType",
        "properties": "{}Setting",
        "customProperties": "{}Setting",
        "metadata": "struct",
        "isArtifactList": "bool",
        "description": "string",
    },
    "OutputParameter": {"type": _PRIMITIVE_TYPE, "parameterType": _PARAMETER_TYPE, "description": "string"},
    "Setting": {"constantValue": "OldValue", "runtimeParameter": "string", "constant": "any"},
    "OldValue": {"intValue": "int", "doubleValue": "double", "stringValue": "string"},
    "DagSpec": {"tasks": "{}Task", "outputs": "DagOutputs"},
    "Task": {
        "taskInfo": "TaskInfo",
        "inputs": "TaskInputs",
        "dependentTasks": "[]string",
        "cachingOptions": "Caching",
        "componentRef": "ComponentRef",
        "triggerPolicy": "TriggerPolicy",
        "artifactIterator": "ArtifactIterator",
        "parameterIterator": "ParameterIterator",
        "retryPolicy": "RetryPolicy",
        "iteratorPolicy": "IteratorPolicy",
    },
    "TaskInfo": {"name": "string"},
    "TaskInputs": {"parameters": "{}TaskParameter", "artifacts": "{}TaskArtifact"},
    "TaskParameter": {
        "taskOutputParameter": "OutputOfTask",
        "runtimeValue": "Setting",
        "componentInputParameter": "string",
        "taskFinalStatus": "FinalStatus",
        "parameterExpressionSelector": "string",
    },
    "OutputOfTask": {"producerTask": "string", "outputParameterKey": "string"},
    "FinalStatus": {"producerTask": "string"},
    "TaskArtifact": {"taskOutputArtifact": "ArtifactOfTask", "componentInputArtifact": "string"},
    "ArtifactOfTask": {"producerTask": "string", "outputArtifactKey": "string"},
    "Caching": {"enableCache": "bool", "cacheKey": "string"},
    "ComponentRef": {"name": "string"},
    "TriggerPolicy": {"condition": "string", "strategy": _TRIGGER},
    "ArtifactIterator": {"items": "ArtifactItems", "itemInput": "string"},
    "ArtifactItems": {"inputArtifact": "string"},
    "ParameterIterator": {"items": "ParameterItems", "itemInput": "string"},
    "ParameterItems": {"raw": "string", "inputParameter": "string"},
    "RetryPolicy": {
        "maxRetryCount": "int",
        "backoffDuration": "duration",
        "backoffFactor": "double",
        "backoffMaxDuration": "duration",
    },
    "IteratorPolicy": {"parallelismLimit": "int"},
    "DagOutputs": {"artifacts": "{}DagArtifact", "parameters": "{}DagParameter"},
    "DagArtifact": {"artifactSelectors": "[]ArtifactSelector"},
    "ArtifactSelector": {"producerSubtask": "string", "outputArtifactKey": "string"},
    "DagParameter": {"valueFromParameter": "ParameterSelector", "valueFromOneof": "ParameterSelectors"},
    "ParameterSelector": {"producerSubtask": "string", "outputParameterKey": "string"},
    "ParameterSelectors": {"parameterSelectors": "[]ParameterSelector"},
    "PlatformSpec": {"platforms": "{}SinglePlatformSpec"},
    "SinglePlatformSpec": {
        "deploymentSpec": "PlatformDeployment",
        "platform": "string",
        "config": "struct",
        "pipelineConfig": "struct",
    },
    "PlatformDeployment": {"executors": "{}struct"},
}
"""Message -> field -> type."""

EXECUTOR_KINDS = ("container", "importer", "resolver", "customJob")

KUBERNETES_FIELDS = frozenset(
    {
        "activeDeadlineSeconds",
        "configMapAsEnv",
        "configMapAsVolume",
        "emptyDirMounts",
        "enabledSharedMemory",
        "fieldPathAsEnv",
        "genericEphemeralVolume",
        "imagePullPolicy",
        "imagePullSecret",
        "nodeAffinity",
        "nodeSelector",
        "podAffinity",
        "podMetadata",
        "pvcMount",
        "secretAsEnv",
        "secretAsVolume",
        "securityContext",
        "tolerations",
    }
)
"""What an executor's Kubernetes configuration may hold, of all versions up to 2.17; newer keys are kept, and named."""


@functools.cache
def snake(name: str) -> str:
    """The field's name with underscores."""
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


@functools.cache
def camel(name: str) -> str:
    """The field's name as the JSON writes it."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


class _Others(dict[str, str]):
    """Each field's name with underscores, remembered: fields are looked up some ten thousand times in a large file."""

    def __missing__(self, name: str) -> str:
        found = self[name] = snake(name)
        return found


_OTHERS = _Others()


def get(message: object, name: str, default: object = None) -> object:
    """A field of a message under either of its names; `default` where it is missing or null."""
    if not message or not isinstance(message, dict):
        return default
    found = message.get(name)
    if found is None:
        found = message.get(_OTHERS[name])
    return default if found is None else found


def section(message: object, *names: str) -> dict[str, object]:
    """A message inside a message; an empty one where it is missing."""
    for name in names:
        if not message or not isinstance(message, dict):
            return {}
        found = message.get(name)
        message = message.get(_OTHERS[name]) if found is None else found
    return message if isinstance(message, dict) else {}


def text(message: object, *names: str) -> str:
    """A text inside a message; empty where it is missing."""
    if len(names) > 1:
        message = section(message, *names[:-1])
    found = get(message, names[-1])
    return found if isinstance(found, str) else ""


def items(message: object, *names: str) -> list[object]:
    """A list inside a message; empty where it is missing."""
    if len(names) > 1:
        message = section(message, *names[:-1])
    found = get(message, names[-1])
    return found if isinstance(found, list) else []
