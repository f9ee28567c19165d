"""What is around a task's container: its variables and volumes, and what equal work is recognised by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.testing.kfp.pods import Pod, claim_of
from server.testing.kfp.values import Document, Values
from server.testing.kfp.world import World


def environment_of(world: World, pod: Pod, container: Document) -> dict[str, str]:
    """Variables of the container, of secrets, and of fields of the pod, which is on its node already."""
    assert pod.node is not None
    found = {str(one["name"]): str(one.get("value", "")) for one in container.get("env") or []}
    for secret in pod.config.get("secretAsEnv") or []:
        constant = ((secret.get("secretNameParameter") or {}).get("runtimeValue") or {}).get("constant")
        values = world.secrets.get(str(secret.get("secretName") or constant), {})
        for one in secret.get("keyToEnv") or []:
            if one["secretKey"] in values:
                found[one["envVar"]] = values[one["secretKey"]]
    known = {"spec.nodeName": pod.node.name, "metadata.name": pod.name, "metadata.namespace": pod.namespace}
    for one in pod.config.get("fieldPathAsEnv") or []:
        found[one["name"]] = known.get(one["fieldPath"], "")
    return found


def mounts_of(world: World, config: Mapping[str, Any]) -> dict[str, Path]:
    """Path in the container -> folder of the claim that is mounted there."""
    found = {}
    for mount in config.get("pvcMount") or []:
        folder = world.volumes.get(claim_of(mount))
        if folder is not None:
            found[str(mount["mountPath"])] = folder / str(mount.get("subPath", ""))
    return found


def fingerprint_of(component: Document, container: Document, inputs: Values) -> str:
    """What equal work is recognised by; where it runs does not matter."""
    work = {
        "component": component,
        "command": [container.get("command"), container.get("args"), container.get("image")],
        "parameters": inputs.parameters,
        "artifacts": {name: [one["uri"] for one in found] for name, found in inputs.artifacts.items()},
    }
    return hashlib.sha256(json.dumps(work, sort_keys=True, default=str).encode()).hexdigest()


__all__ = ["environment_of", "fingerprint_of", "mounts_of"]
