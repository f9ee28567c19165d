"""Our types in Kubeflow's words."""

from __future__ import annotations

from typing import Any

from mlopx.spec import ArtifactInput, ArtifactOutput, Component, ParameterInput

PARAMETER_TYPES = {
    "str": "STRING",
    "int": "NUMBER_INTEGER",
    "float": "NUMBER_DOUBLE",
    "bool": "BOOLEAN",
    "list": "LIST",
    "dict": "STRUCT",
}
FINAL_STATUS_INPUT = "mlopx_final_status"
"""The input through which an exit task is told how the run ended."""


def artifact_type(kind: str) -> dict[str, str]:
    """An artifact type."""
    return {"schemaTitle": f"system.{kind}", "schemaVersion": "0.0.1"}


def artifact(kind: str, *, is_list: bool = False, **more: Any) -> dict[str, Any]:
    """The definition of an artifact port."""
    return {"artifactType": artifact_type(kind), **({"isArtifactList": True} if is_list else {}), **more}


def component_ports(component: Component, facts: dict[str, str]) -> dict[str, Any]:
    """Input and output definitions of a component; inputs in `facts` come through the final status."""
    inputs: dict[str, Any] = {"artifacts": {}, "parameters": {}}
    for name, port in component.inputs.items():
        if name in facts:
            continue
        if isinstance(port, ArtifactInput):
            more = {"isOptional": True} if port.optional else {}
            inputs["artifacts"][name] = artifact(port.type, is_list=port.is_list, **more)
        else:
            inputs["parameters"][name] = _parameter(port)
    if facts:
        inputs["parameters"][FINAL_STATUS_INPUT] = {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}
    outputs: dict[str, Any] = {"artifacts": {}, "parameters": {}}
    for name, made in component.outputs.items():
        if isinstance(made, ArtifactOutput):
            outputs["artifacts"][name] = artifact(made.type)
        else:
            outputs["parameters"][name] = {"parameterType": PARAMETER_TYPES[made.type]}
    return without_empty({"inputDefinitions": without_empty(inputs), "outputDefinitions": without_empty(outputs)})


def _parameter(port: ParameterInput) -> dict[str, Any]:
    found: dict[str, Any] = {"parameterType": PARAMETER_TYPES[port.type]}
    if port.optional:
        found["isOptional"] = True
        if port.default is not None:
            found["defaultValue"] = port.default
    return found


def without_empty(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what is empty in it."""
    return {key: value for key, value in document.items() if value not in ({}, [])}
