"""An executor's Kubernetes configuration as its pod gets it: inputs put in, and what goes to a launched job left out.

Source: KFP 2.17's driver (`extendPodSpecPatch`, `resolveK8sJsonParameter`, `resolveK8sParameter`) and the component's
`taskConfigPassthroughs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.testing.kfp.values import Document, Ended, MissingInputError, Values, given_parameter

SOURCES = ("componentInputParameter", "runtimeValue", "taskOutputParameter")
PASSED_ON = {
    "KUBERNETES_NODE_SELECTOR": "nodeSelector",
    "KUBERNETES_AFFINITY": "nodeAffinity",
    "KUBERNETES_TOLERATIONS": "tolerations",
}


def resolved(config: Document, own: Values, done: Mapping[str, Ended]) -> dict[str, Any]:
    """The configuration with what it reads from the graph's inputs and from earlier tasks.

    As KFP's driver does it: an expression selector counts for nothing here. Raises MissingInputError.
    """
    found = {key: _filled(value, own, done) for key, value in config.items()}
    selector = found.get("nodeSelector") or {}
    if selector.get("nodeSelectorJson"):
        found["nodeSelector"] = {"nodeSelectorJson": selector["nodeSelectorJson"]}
    tolerations: list[Any] = []
    for one in found.get("tolerations") or []:
        whole = one.get("tolerationJson", one)
        tolerations += whole if isinstance(whole, list) else [whole] if whole else []
    if tolerations:
        found["tolerations"] = tolerations
    return found


def passed_on(component: Document, config: Document) -> tuple[dict[str, Any], dict[str, Any]]:
    """What stays for the pod of a task that launches a job, and the task config that the job is given."""
    kept, given = dict(config), {}
    for one in component.get("taskConfigPassthroughs") or []:
        name = PASSED_ON.get(one.get("field", ""))
        if name is None or name not in config:
            continue
        given[name] = config[name]
        if not one.get("applyToTask"):
            kept.pop(name)
    return kept, given


def _filled(value: Any, own: Values, done: Mapping[str, Ended]) -> Any:
    if isinstance(value, list):
        return [_filled(one, own, done) for one in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, one in value.items():
        is_source = isinstance(one, dict) and any(name in one for name in SOURCES)
        if is_source and key.endswith("Json"):
            found[key] = _given(one, own, done)
        elif is_source and key.endswith("Parameter"):
            found[key] = {"runtimeValue": {"constant": _given(one, own, done)}}
        elif key in SOURCES and key != "runtimeValue":  # a claim's name, as servers before 2.5 read it
            found["constant"] = _given({key: one}, own, done)
        else:
            found[key] = _filled(one, own, done)
    return found


def _given(source: Document, own: Values, done: Mapping[str, Ended]) -> Any:
    try:
        return given_parameter(source, own, done)
    except MissingInputError as error:
        raise MissingInputError(f"failed to resolve k8s parameter: {error}") from error


__all__ = ["passed_on", "resolved"]
