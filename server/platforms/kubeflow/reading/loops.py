"""What is known of a loop before its run: its items, and whether each iteration can be sent to a node of its own.

Kubeflow gives all iterations of a loop one configuration. It reads a whole affinity from a run-time parameter, though
(`nodeAffinityJson`), and the one parameter that differs between iterations is the loop's item. So each item is written
with the affinity of its iteration beside it, and who reads the item reads it out of there. Read in KFP 2.17's driver
(`resolveK8sJsonParameter`, `resolveInputs`): expression selectors hold for inputs of tasks, not for the configuration
of pods; what an object says beside an affinity is ignored; and a selector on an input of a loop itself is applied
twice, which fails. The SDK's local runner decides conditions without selectors, so a loop whose item decides one is
left as it is: a placed file means the same there too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from server.platforms.kubeflow.reading.fields import get, section, text
from server.platforms.kubeflow.reading.graph import KubeflowPipeline, kubernetes_configs

MOST_ITEMS = 500
"""Loops over more items than this are left to Kubernetes: the affinities would fill the Workflow."""

PLACEHOLDER = "{{$"

Document = Mapping[str, Any]


def loop_items(pipeline: KubeflowPipeline, path: str, parameters: Mapping[str, Any] | None) -> list[Any] | None:
    """The items of the loop at `path` in a run with these parameters; None where only the run will tell.

    Without `parameters` (a file that is placed for runs to come) items that a parameter gives are not known.
    """
    document = pipeline.documents.pipeline
    known: dict[str, Any] = {}
    if parameters is not None:
        for name, declared in section(document, "root", "inputDefinitions", "parameters").items():
            known[name] = parameters.get(name, get(declared, "defaultValue"))
    component: object = section(document, "root")
    *above, last = path.split("/")
    for name in above:
        task = section(component, "dag", "tasks").get(name)
        given = section(task, "inputs", "parameters")
        known = {port: _value(one, known) for port, one in given.items()}
        component = section(document, "components").get(text(task, "componentRef", "name"))
    task = section(component, "dag", "tasks").get(last)
    source = section(task, "parameterIterator", "items")
    raw = get(source, "raw")
    if isinstance(raw, str):
        return _list(raw)
    inputs = section(task, "inputs", "parameters")
    return _list(_value(inputs.get(text(source, "inputParameter")), known))


def why_not_apart(pipeline: KubeflowPipeline, path: str, found: list[Any] | None, has_affinity: bool = True) -> str:
    """Why the iterations of a loop cannot be placed each by itself; an empty text if they can."""
    if not has_affinity:
        return "this Kubeflow server reads no node affinity from a parameter (since 2.14)"
    loop = pipeline.loops[path]
    if not loop.item_input:
        return "it runs over artifacts"
    if found is None:
        return "its items are known only when the run gets there"
    if not found:
        return "it has no items"
    if len(found) > MOST_ITEMS:
        return f"it has {len(found)} items; up to {MOST_ITEMS} are placed one by one"
    if any(one is None for one in found):
        return "one of its items is null"
    return _reading_problem(pipeline, path, loop.item_input, found)


def _reading_problem(pipeline: KubeflowPipeline, path: str, name: str, found: list[Any]) -> str:
    tasks = tasks_in(pipeline, path)
    ways = set()
    for key, task in tasks.items():
        for one in readers(task, name):
            if section(task, "parameterIterator"):
                return f"its item is what the loop {key} inside it is given"
            if text(task, "triggerPolicy", "condition"):
                return f"its item decides the condition {key} inside it"
            ways.add(bool(get(one, "parameterExpressionSelector")))
    if len(ways) > 1:
        return "its item is read as a whole and in parts"
    if True in ways and not all(isinstance(one, dict) for one in found):
        return "parts of its item are read, and not all items are objects"
    for label, config in kubernetes_configs(pipeline.documents).items():
        if f'"{name}"' in json.dumps(config, default=str):
            return f"its item is read by the Kubernetes configuration of {label}"
    return ""


def readers(task: object, name: str) -> Iterator[dict[str, Any]]:
    """The inputs of a task that are the input `name` of the graph around it."""
    for one in section(task, "inputs", "parameters").values():
        if isinstance(one, dict) and text(one, "componentInputParameter") == name:
            yield one


def tasks_in(pipeline: KubeflowPipeline, path: str) -> Mapping[str, Any]:
    """The tasks of the graph at `path`, by name."""
    document = pipeline.documents.pipeline
    component: object = section(document, "root")
    for name in path.split("/"):
        task = section(component, "dag", "tasks").get(name)
        component = section(document, "components").get(text(task, "componentRef", "name"))
    return section(component, "dag", "tasks")


def _value(given: object, known: Mapping[str, Any]) -> Any:
    if get(given, "parameterExpressionSelector") is not None:
        return None
    name = text(given, "componentInputParameter")
    if name:
        return known.get(name)
    constant = get(section(given, "runtimeValue"), "constant")
    return None if PLACEHOLDER in json.dumps(constant, default=str) else constant


def _list(value: object) -> list[Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, list) else None


__all__ = ["MOST_ITEMS", "loop_items", "readers", "tasks_in", "why_not_apart"]
