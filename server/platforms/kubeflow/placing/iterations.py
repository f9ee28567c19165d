"""Sends each iteration of a loop to its own node: the affinity travels with the item, and pods read it from there.

Why it is done so, and when it cannot be: `reading.loops`. All tasks of an iteration go to the same node. The documents
given are changed in place; their components must not be shared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.domain.node import HOSTNAME_LABEL, Node
from server.platforms.kubeflow.placing.configs import WEIGHTS, PlacementMode, is_same_kind, stable_labels
from server.platforms.kubeflow.placing.editing import drop, enter, listed, put
from server.platforms.kubeflow.reading.constraints import NODE_NAME_FIELD
from server.platforms.kubeflow.reading.fields import get, items, section, text
from server.platforms.kubeflow.reading.loops import readers

ITEM = "item"
INPUT = "mlopx-placement"
"""The input through which an iteration's affinity reaches graphs inside the loop."""

SELECT_ITEM = f'parseJson(string_value)["{ITEM}"]'
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class LoopPlacement:
    """Where each iteration of one loop shall run.

    Attributes:
        items: those of the loop, in order; `reading.loops` says whether they can be placed apart.
        nodes: for each item the chosen node, then its alternatives by rank; empty to leave it to Kubernetes.
        tasks: the paths of the tasks in the loop that this holds for.
        mode: how firmly; None takes the call's.
    """

    items: tuple[Any, ...]
    nodes: tuple[tuple[Node, ...], ...]
    tasks: frozenset[str]
    mode: PlacementMode | None = None


def place_iterations(
    pipeline: dict[str, Any],
    path: str,
    placement: LoopPlacement,
    *,
    mode: PlacementMode,
    accelerated: Collection[str],
    requiring: Collection[str],
) -> dict[str, str]:
    """Write the affinities beside the items; returns for each task the input of its graph that holds them.

    Args:
        accelerated: tasks that ask for accelerators, whose model then is required too.
        requiring: tasks whose own hard affinity must not be widened by ours: for them nothing is required.
    """
    *above, last = path.split("/")
    around = _graph(pipeline, above)
    task = section(around, "dag", "tasks")[last]
    assert isinstance(task, dict)
    is_firm = not placement.tasks & frozenset(requiring)
    labels = stable_labels(bool(placement.tasks & frozenset(accelerated)))
    affinities = [affinity(nodes, placement.mode or mode, labels, is_firm=is_firm) for nodes in placement.nodes]
    name = text(task, "parameterIterator", "itemInput")
    component = _graph(pipeline, [*above, last])
    tasks = section(component, "dag", "tasks")
    found = [one for inner in tasks.values() for one in readers(inner, name)]
    is_parted = any(get(one, "parameterExpressionSelector") is not None for one in found)
    written = [
        {**(item if is_parted else {ITEM: item}), **rule}
        for item, rule in zip(placement.items, affinities, strict=True)
    ]
    put(enter(task, "parameterIterator"), "items", {"raw": json.dumps(written, ensure_ascii=False)})
    definition = enter(component, "inputDefinitions", "parameters", name)
    drop(definition, "type")
    put(definition, "parameterType", "STRUCT")
    if not is_parted:
        for one in found:
            put(one, "parameterExpressionSelector", SELECT_ITEM)
    bound: dict[str, str] = {}
    _hand_down(pipeline, component, path, name, placement.tasks, bound)
    return bound


def bind(config: dict[str, Any], name: str) -> None:
    """Let a pod read its affinity from the input `name` of the graph that its task lies in."""
    listed(config, "nodeAffinity").append({"nodeAffinityJson": {"componentInputParameter": name}})


def is_requiring(config: object) -> bool:
    """Whether the author requires an affinity: a further required term would be an alternative to it."""
    return any(get(one, "weight") is None for one in items(config, "nodeAffinity"))


def affinity(nodes: Sequence[Node], mode: PlacementMode, labels: Sequence[str], *, is_firm: bool) -> dict[str, Any]:
    """The affinity of one iteration, as Kubernetes writes it."""
    if not nodes:
        return {}
    chosen, found = nodes[0], {}
    if is_firm and mode is PlacementMode.REQUIRE and not chosen.is_virtual:
        return {REQUIRED: {"nodeSelectorTerms": [_term(chosen)]}}
    if mode is not PlacementMode.PREFER:
        kept = [(label, chosen.labels[label]) for label in labels if chosen.labels.get(label)]
        if is_firm and kept:
            rules = [{"key": label, "operator": "In", "values": [value]} for label, value in kept]
            found[REQUIRED] = {"nodeSelectorTerms": [{"matchExpressions": rules}]}
        nodes = [node for node in nodes if is_same_kind(chosen, node, labels)]
    wishes = zip(WEIGHTS, [node for node in nodes if not node.is_virtual], strict=False)
    preferred = [{"weight": weight, "preference": _term(node)} for weight, node in wishes]
    return {**found, PREFERRED: preferred} if preferred else dict(found)


def _term(node: Node) -> dict[str, Any]:
    host = node.labels.get(HOSTNAME_LABEL)
    if host:
        return {"matchExpressions": [{"key": HOSTNAME_LABEL, "operator": "In", "values": [host]}]}
    return {"matchFields": [{"key": NODE_NAME_FIELD, "operator": "In", "values": [node.name]}]}


def _graph(pipeline: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    component: dict[str, Any] = pipeline["root"]
    for name in path:
        task = section(component, "dag", "tasks")[name]
        component = pipeline["components"][text(task, "componentRef", "name")]
    return component


def _hand_down(
    pipeline: dict[str, Any],
    component: Mapping[str, Any],
    path: str,
    name: str,
    wanted: frozenset[str],
    bound: dict[str, str],
) -> None:
    """Note which input has the affinity for each wanted task; graphs on the way get an input for it."""
    for key, task in section(component, "dag", "tasks").items():
        here = f"{path}/{key}"
        if here in wanted:
            bound[here] = name
        elif any(one.startswith(f"{here}/") for one in wanted) and isinstance(task, dict):
            inner = pipeline["components"][text(task, "componentRef", "name")]
            enter(inner, "inputDefinitions", "parameters")[INPUT] = {"parameterType": "STRUCT"}
            enter(task, "inputs", "parameters")[INPUT] = {"componentInputParameter": name}
            _hand_down(pipeline, inner, here, INPUT, wanted, bound)


__all__ = ["LoopPlacement", "affinity", "bind", "is_requiring", "place_iterations"]
