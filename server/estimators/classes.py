"""What kind of node a node is, so that what was seen on one teaches about its equals."""

from __future__ import annotations

from server.domain.node import ARCHITECTURE_LABEL, Node

NODE_CLASS_LABELS = ("mlopx.dev/node-class", "worker_type", "node.kubernetes.io/instance-type")
"""Labels that name a node's class; the first that is there counts."""


def node_class(node: Node) -> str:
    """The first known class label, or the node's own name, with the architecture: equal names do not mean equal
    machines across architectures."""
    label = next((node.labels[name] for name in NODE_CLASS_LABELS if name in node.labels), node.name)
    return f"{label}/{node.architecture}"


def class_label(node_class: str) -> dict[str, str]:
    """Labels that give a node this class."""
    label, _, architecture = node_class.partition("/")
    return {NODE_CLASS_LABELS[0]: label, ARCHITECTURE_LABEL: architecture or "amd64"}


__all__ = ["NODE_CLASS_LABELS", "class_label", "node_class"]
