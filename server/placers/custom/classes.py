"""Which class of nodes suits which kind of task: the table of the original, completed, and the classes of nodes.

Labels say the class where they are there (`worker_type`, `accelerator_type`, `n_cpu_flags`); otherwise it follows from
speed, cores and accelerators relative to the other nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.domain.node import Node

WORKER_TYPE_LABEL = "worker_type"
ACCELERATOR_TYPE_LABEL = "accelerator_type"
CPU_FLAGS_LABEL = "n_cpu_flags"

LOW, MED, HIGH_CPU, HIGH_GPU = "low", "med", "high-cpu", "high-gpu"
_SPELLINGS = {"low": LOW, "med": MED, "medium": MED, "high": HIGH_CPU, "high-cpu": HIGH_CPU, "high-gpu": HIGH_GPU}


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a kind of task belongs. `prefer`: `memory` (least that is enough), `small` (fewest CPU flags and cores
    that are enough, beside its pipeline's other tasks) or `accelerator`."""

    classes: frozenset[str]
    prefer: str
    architectures: frozenset[str] | None = None


_ANY = frozenset({LOW, MED, HIGH_CPU, HIGH_GPU})
_AMD64 = frozenset({"amd64"})

PREPROCESSING = Rule(frozenset({LOW, MED, HIGH_CPU}), "memory")
ANYWHERE = Rule(_ANY, "small")
TRAINING: Mapping[str, Rule] = {
    "linearregression": Rule(frozenset({LOW, MED}), "small"),
    "logisticregression": Rule(frozenset({LOW, MED}), "small"),
    "decisiontree": Rule(frozenset({LOW, MED}), "small"),
    "randomforest": Rule(frozenset({MED, HIGH_CPU}), "small"),
    "svm": Rule(frozenset({MED, HIGH_CPU}), "small"),
    "nn": Rule(frozenset({HIGH_CPU, HIGH_GPU}), "accelerator", _AMD64),
    "cnn": Rule(frozenset({HIGH_CPU, HIGH_GPU}), "accelerator", _AMD64),
}
EVALUATION: Mapping[str, Rule] = {
    "linearregression": Rule(frozenset({LOW}), "small"),
    "logisticregression": Rule(frozenset({LOW}), "small"),
    "decisiontree": Rule(frozenset({LOW}), "small"),
    "randomforest": Rule(frozenset({LOW, MED}), "small"),
    "svm": Rule(frozenset({LOW, MED}), "small"),
    "nn": Rule(frozenset({MED, HIGH_CPU}), "small"),
    "cnn": Rule(frozenset({MED, HIGH_CPU}), "small"),
}
_TABLES = {"training": TRAINING, "evaluation": EVALUATION, "inference": EVALUATION}


def rule_for(workload: Mapping[str, Any]) -> Rule:
    """The rule for a task with these hints; anywhere small enough where kind or model are unknown."""
    kind = str(workload.get("task_kind") or "").lower()
    if kind == "preprocessing":
        return PREPROCESSING
    model = workload.get("model")
    family = str(model.get("type") or "") if isinstance(model, Mapping) else ""
    return _TABLES.get(kind, {}).get("".join(filter(str.isalnum, family.lower())), ANYWHERE)


def has_accelerator(node: Node) -> bool:
    """Whether it can be given accelerators, or is labelled so. A missing label means none."""
    label = node.labels.get(ACCELERATOR_TYPE_LABEL, "none").strip().lower()
    return bool(node.allocatable.accelerators) or label not in ("", "none", "false")


def cpu_flags(node: Node) -> int:
    """The number of its CPU flags, where labelled."""
    text = node.labels.get(CPU_FLAGS_LABEL, "")
    return int(text) if text.isdecimal() else 0


def power(node: Node) -> float:
    """All its cores at its speed."""
    return node.speed * node.allocatable.cpu_millicores / 1000


def node_classes(nodes: Sequence[Node]) -> list[str]:
    """The class of every node: its label's, or its place among the powers of all nodes."""
    powers = sorted({power(node) for node in nodes})
    return [_SPELLINGS.get(node.labels.get(WORKER_TYPE_LABEL, "").lower()) or _derived(node, powers) for node in nodes]


def _derived(node: Node, powers: Sequence[float]) -> str:
    if has_accelerator(node):
        return HIGH_GPU
    place = powers.index(power(node)) / (len(powers) - 1) if len(powers) > 1 else 0.5
    return LOW if place < 1 / 3 else MED if place < 2 / 3 else HIGH_CPU


__all__ = ["ANYWHERE", "PREPROCESSING", "Rule", "cpu_flags", "has_accelerator", "node_classes", "power", "rule_for"]
