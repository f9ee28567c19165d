"""How one placement changes one executor's Kubernetes configuration.

What is there stays. Several hard affinity entries are alternatives to Kubernetes, so a hard rule of ours goes into each
of them, or into the selector's labels, which hold besides; a selector that is read from an input replaces those labels,
and then our rule takes the affinity's way. Wishes are always added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from server.domain.node import ARCHITECTURE_LABEL, HOSTNAME_LABEL, ZONE_LABEL, Node
from server.platforms.kubeflow.placing.editing import enter, listed
from server.platforms.kubeflow.reading.constraints import NODE_NAME_FIELD
from server.platforms.kubeflow.reading.fields import get, items, section

WEIGHTS = (100, 60, 30)
"""Wishes for the first, second and third choice; further nodes get none."""

AFFINITY_SINCE = (2, 14)
"""The first version of the Kubeflow server that applies node affinity."""

ACCELERATOR_LABELS = (
    "nvidia.com/gpu.product",
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-tpu-accelerator",
    "amd.com/gpu.product-name",
    "gpu.intel.com/product",
    "k8s.amazonaws.com/accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "accelerator",
)
"""Labels that name an accelerator's model, as common device plug-ins and clouds set them."""


class PlacementMode(StrEnum):
    """How firmly a node is asked for."""

    REQUIRE = "require"
    PREFER = "prefer"
    DEFAULT = "default"


@dataclass(slots=True)
class Rule:
    """A node label (or, `is_field`, the node's name) that must have one of these values."""

    key: str
    values: tuple[str, ...]
    is_field: bool = False

    def expression(self) -> dict[str, Any]:
        """As Kubeflow writes it."""
        return {"key": self.key, "operator": "In", "values": list(self.values)}

    def __str__(self) -> str:
        return f"{self.key}={'|'.join(self.values)}"


@dataclass(slots=True)
class Change:
    """What was written into one configuration, in words, and what could not be."""

    required: list[str] = field(default_factory=list)
    preferred: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def require_node(config: dict[str, Any], node: Node, change: Change, *, has_affinity: bool) -> None:
    """Pin to one node: by its host name label, or by its name where it has no such label."""
    host = node.labels.get(HOSTNAME_LABEL)
    rule = Rule(HOSTNAME_LABEL, (host,)) if host else Rule(NODE_NAME_FIELD, (node.name,), is_field=True)
    _require(config, rule, change, has_affinity=has_affinity)


def require_stable(
    config: dict[str, Any], node: Node, change: Change, *, labels: Sequence[str], has_affinity: bool
) -> None:
    """Require the lasting labels that a node has, so that any node of its kind will do."""
    for label in labels:
        value = node.labels.get(label)
        if value:
            _require(config, Rule(label, (value,)), change, has_affinity=has_affinity)


def is_same_kind(one: Node, other: Node, labels: Sequence[str]) -> bool:
    """Whether what is required of one node holds on another."""
    return all(one.labels.get(label) in (None, "", other.labels.get(label)) for label in labels)


def stable_labels(has_accelerator: bool) -> tuple[str, ...]:
    """The labels that outlive a node, of those that matter to a task."""
    return (ARCHITECTURE_LABEL, ZONE_LABEL, *(ACCELERATOR_LABELS if has_accelerator else ()))


def prefer_nodes(config: dict[str, Any], nodes: Sequence[Node], change: Change) -> None:
    """Wish for nodes in this order."""
    entries = listed(config, "nodeAffinity") if nodes else []
    for weight, node in zip(WEIGHTS, nodes, strict=False):
        host = node.labels.get(HOSTNAME_LABEL)
        rule = Rule(HOSTNAME_LABEL, (host,)) if host else Rule(NODE_NAME_FIELD, (node.name,), is_field=True)
        _wish(entries, rule, weight)
        change.preferred.append(f"{node.name} ({weight})")


def add_metadata(config: dict[str, Any], labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
    """Mark the pod; a mark of the author's with the same name is left."""
    for kind, wanted in (("labels", labels), ("annotations", annotations)):
        if wanted:
            found = enter(config, "podMetadata", kind)
            found.update({name: value for name, value in wanted.items() if name not in found})


def _require(config: dict[str, Any], rule: Rule, change: Change, *, has_affinity: bool) -> None:
    selector = section(config, "nodeSelector")
    is_replaced = get(selector, "nodeSelectorJson") is not None
    present = section(selector, "labels").get(rule.key)
    if not rule.is_field and not is_replaced:
        if present is not None:
            if present in rule.values:
                change.required.append(f"{rule.key}={present} (was there)")
            else:
                change.notes.append(f"its own selector {rule.key}={present} stands against {rule}; it is left as it is")
            return
        enter(config, "nodeSelector", "labels")[rule.key] = rule.values[0]
        change.required.append(str(rule))
        return
    if not has_affinity:
        change.notes.append(f"{rule} cannot be required: this Kubeflow server knows no node affinity (since 2.14)")
        return
    _require_by_affinity(config, rule, change)


def _require_by_affinity(config: dict[str, Any], rule: Rule, change: Change) -> None:
    entries = items(config, "nodeAffinity")
    if any(get(entry, "nodeAffinityJson") is not None for entry in entries):
        change.notes.append(
            f"{rule} cannot be required: an affinity that the run makes may widen it; it is wished for instead"
        )
        _wish(listed(config, "nodeAffinity"), rule, WEIGHTS[0])
        return
    hard = [entry for entry in entries if isinstance(entry, dict) and get(entry, "weight") is None]
    for entry in hard:
        expressions = listed(entry, _expressions(rule))
        if rule.expression() not in expressions:
            expressions.append(rule.expression())
    if not hard:
        listed(config, "nodeAffinity").append({_expressions(rule): [rule.expression()]})
    change.required.append(str(rule))


def _wish(entries: list[Any], rule: Rule, weight: int) -> None:
    """Add a wish, unless it is there already: placing a placed file again must not pile them up."""
    entry = {_expressions(rule): [rule.expression()], "weight": weight}
    if entry not in entries:
        entries.append(entry)


def _expressions(rule: Rule) -> str:
    return "matchFields" if rule.is_field else "matchExpressions"


__all__ = [
    "ACCELERATOR_LABELS",
    "AFFINITY_SINCE",
    "WEIGHTS",
    "Change",
    "PlacementMode",
    "add_metadata",
    "is_same_kind",
    "prefer_nodes",
    "require_node",
    "require_stable",
    "stable_labels",
]
