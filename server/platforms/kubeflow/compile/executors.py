"""What runs a task: its container, and its Kubernetes configuration."""

from __future__ import annotations

import math
from typing import Any

from mlopx.spec import (
    Component,
    ContainerCode,
    InputPathPlaceholder,
    InputValuePlaceholder,
    Option,
    PvcSource,
    Requirement,
    Resources,
    Retry,
    Task,
)
from server.domain.node import HOSTNAME_LABEL
from server.domain.request import kubernetes_defaults
from server.platforms.kubeflow.compile.carried import command_of
from server.platforms.kubeflow.compile.values import InexpressibleError
from server.platforms.kubeflow.placing.containers import set_limits, set_requests

DEFAULT_IMAGE = "python:3.11-slim"


def container_of(task: Task, component: Component, option: Option | None, facts: dict[str, str]) -> dict[str, Any]:
    """The container of a task, with the option that was chosen for it."""
    code = component.code
    image = (option.image if option else None) or task.image or component.image or DEFAULT_IMAGE
    found: dict[str, Any] = {"image": image}
    if isinstance(code, ContainerCode):
        found["command"], found["args"] = (
            [_part(component, one) for one in code.command],
            [_part(component, one) for one in code.args],
        )
    else:
        found["command"], found["args"] = command_of(component, facts)
    environment = environment_of(task, option)
    if environment:
        found["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    asked = requests_of(task, option)
    set_limits(found, asked.cpu_limit_millicores, asked.memory_limit_bytes)
    set_requests(found, kubernetes_defaults(asked), is_option=option is not None)
    return {key: value for key, value in found.items() if value != []}


def requests_of(task: Task, option: Option | None) -> Resources:
    """What the task requests with an option; what the option leaves open is taken from the task."""
    return task.resources if option is None else option.resources.completed_by(task.resources)


def environment_of(task: Task, option: Option | None) -> dict[str, str]:
    """The variables of a task: its own, the option's, and where its volumes are."""
    found = {f"MLOPX_VOLUME_{one.name.upper().replace('-', '_')}": one.mount_path for one in task.volumes}
    found.update(task.environment)
    if option is not None:
        found.update({**option.environment, "MLOPX_OPTION": option.name})
    return found


def config_of(task: Task) -> dict[str, Any]:
    """The Kubernetes configuration of a task. Raises InexpressibleError."""
    found: dict[str, Any] = {"fieldPathAsEnv": [{"name": "MLOPX_NODE", "fieldPath": "spec.nodeName"}]}
    if task.timeout_seconds is not None:
        found["activeDeadlineSeconds"] = str(math.ceil(task.timeout_seconds))
    if task.node is not None:
        found["nodeSelector"] = {"labels": {HOSTNAME_LABEL: task.node}}
    affinity: list[dict[str, Any]] = []
    if task.requirements:
        affinity.append({"matchExpressions": [_expression(one) for one in task.requirements]})
    affinity += [{"matchExpressions": [_expression(one.requirement)], "weight": one.weight} for one in task.preferences]
    if affinity:
        found["nodeAffinity"] = affinity
    if task.tolerations:
        found["tolerations"] = [
            {key: value for key, value in one.model_dump(exclude_defaults=False).items() if value}
            for one in task.tolerations
        ]
    if task.volumes:
        found["pvcMount"] = [_mount(one) for one in task.volumes]
    secrets: dict[str, list[dict[str, str]]] = {}
    for secret in task.secrets:
        secrets.setdefault(secret.secret, []).append({"envVar": secret.env, "secretKey": secret.key})
    if secrets:
        found["secretAsEnv"] = [
            {"keyToEnv": keys, "optional": False, "secretName": name, "secretNameParameter": _constant(name)}
            for name, keys in secrets.items()
        ]
    return found


def retry_policy(retry: Retry) -> dict[str, Any]:
    """How often a failed task is tried again, and after how long."""
    found: dict[str, Any] = {"maxRetryCount": retry.max_retries}
    if retry.backoff_seconds:
        found["backoffDuration"] = _seconds(retry.backoff_seconds)
        found["backoffFactor"] = retry.backoff_factor
        found["backoffMaxDuration"] = _seconds(retry.max_backoff_seconds)
    return found


def _part(component: Component, part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, InputValuePlaceholder):
        return f"{{{{$.inputs.parameters['{part.input}']}}}}"
    if isinstance(part, InputPathPlaceholder):
        return f"{{{{$.inputs.artifacts['{part.input}'].path}}}}"
    if component.outputs[part.output].kind == "artifact":
        return f"{{{{$.outputs.artifacts['{part.output}'].path}}}}"
    return f"{{{{$.outputs.parameters['{part.output}'].output_file}}}}"


def _expression(requirement: Requirement) -> dict[str, Any]:
    found: dict[str, Any] = {"key": requirement.label, "operator": requirement.operator}
    return {**found, "values": list(requirement.values)} if requirement.values else found


def _mount(volume: Any) -> dict[str, Any]:
    if not isinstance(volume.source, PvcSource):
        raise InexpressibleError(f"the NFS volume {volume.name!r}: mount it through a persistent volume claim")
    claim = volume.source.claim
    found = {"constant": claim, "mountPath": volume.mount_path, "pvcNameParameter": _constant(claim)}
    return {**found, "subPath": volume.sub_path} if volume.sub_path else found


def _constant(value: str) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}


def _seconds(amount: float) -> str:
    return f"{max(math.ceil(amount), 1)}s"
