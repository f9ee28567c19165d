"""Gives nodes their measured speeds: from files that `mlopx-server profile-node --out` wrote, or from labels.

A profile counts for the node of its name, and for nodes of the same class as it that have none of their own (a file
named after a class does too). Labels `mlopx.dev/speed.single: "1.4"` count where there is no file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from server.domain.errors import ConfigurationError
from server.domain.node import Node

KINDS = ("single", "multi", "gemm", "memory", "disk", "gpu")
LABEL = "mlopx.dev/speed."
CLASS_LABELS = ("mlopx.dev/node-class", "worker_type", "node.kubernetes.io/instance-type")


class Profiles:
    """Speeds by node name, or by class."""

    def __init__(self, speeds: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._speeds = dict(speeds or {})
        self._of_class: dict[str, Mapping[str, float]] = {}

    def learn_classes(self, nodes: tuple[Node, ...]) -> None:
        """Note which classes the profiled nodes belong to."""
        for node in nodes:
            if node.name in self._speeds and (label := _class(node)) is not None:
                self._of_class.setdefault(label, self._speeds[node.name])

    def apply(self, node: Node) -> Node:
        """The node with its speeds; as it is if there are none. Its one speed follows, unless somebody set it."""
        label = _class(node)
        found = self._speeds.get(node.name) or _of_labels(node)
        if not found and label is not None:
            found = self._speeds.get(label) or self._of_class.get(label) or {}
        if not found:
            return node
        speed = found.get("single", node.speed) if node.speed == 1.0 else node.speed
        return replace(node, speeds=found, speed=speed)


def read_profiles(folder: Path) -> Profiles:
    """All profiles of a folder. Raises ConfigurationError naming the file that is none."""
    if not folder.is_dir():
        raise ConfigurationError(
            f"NODE_PROFILES {folder} is not a folder", hint="`mlopx-server profile-node --out FOLDER` makes one"
        )
    return Profiles({name: speeds for path in sorted(folder.glob("*.json")) for name, speeds in [_read(path)]})


def _read(path: Path) -> tuple[str, dict[str, float]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        speeds = {kind: float(document["speeds"][kind]) for kind in KINDS if kind in document["speeds"]}
        name = str(document.get("node") or path.stem)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} is no node profile: {type(error).__name__}: {error}",
            hint="write it anew with `mlopx-server profile-node --out`",
        ) from error
    return name, {kind: value for kind, value in speeds.items() if 0 < value < math.inf}


def _of_labels(node: Node) -> dict[str, float]:
    found = {}
    for kind in KINDS:
        try:
            value = float(node.labels.get(LABEL + kind, ""))
        except ValueError:
            continue
        if 0 < value < math.inf:
            found[kind] = value
    return found


def _class(node: Node) -> str | None:
    return next((node.labels[name] for name in CLASS_LABELS if name in node.labels), None)


__all__ = ["Profiles", "read_profiles"]
