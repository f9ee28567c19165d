"""Tasks that are equal in all but their names share one component, so that Kubeflow's Workflow holds less of each.

The opposite of splitting, for pipelines of our own that would not fit into a Workflow otherwise. Kubeflow keeps a
configuration for each component, and looks it up by the component's name; tasks keep their names and places.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from server.platforms.kubeflow.placing.editing import copied
from server.platforms.kubeflow.reading.fields import section, text


def merged(
    pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Both documents with one component, executor and configuration where those of several are equal.

    Nothing is changed but the names to which tasks refer; what is given stays as it is.
    """
    found, configured = copied(pipeline), copied(platform) if platform is not None else None
    components, executors = section(found, "components"), section(found, "deploymentSpec", "executors")
    configs = section(configured, "platforms", "kubernetes", "deploymentSpec", "executors")
    first: dict[str, str] = {}
    instead: dict[str, str] = {}
    for name in components:
        label = text(components[name], "executorLabel")
        if label in executors:
            whole = [{**section(components, name), "executorLabel": ""}, executors[label], configs.get(label)]
            instead[name] = first.setdefault(json.dumps(whole, sort_keys=True), name)
    dropped = {name for name, other in instead.items() if name != other}
    used = {text(components[name], "executorLabel") for name in components.keys() - dropped}
    for one in [found.get("root"), *components.values()]:
        for task in section(one, "dag", "tasks").values():
            reference = section(task, "componentRef")
            if text(reference, "name") in dropped:
                reference["name"] = instead[text(reference, "name")]
    for name in dropped:
        label = text(components[name], "executorLabel")
        if label not in used:
            executors.pop(label, None)
            configs.pop(label, None)
        del components[name]
    return found, configured


__all__ = ["merged"]
