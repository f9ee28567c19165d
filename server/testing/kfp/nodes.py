"""The double's nodes and its scheduler: pods go where selectors, affinities, taints and room allow, else they wait.

Source: the Kubernetes scheduler's filters, and its preference for nodes with the larger weight of preferred terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.domain.resources import Resources
from server.kube.quantities import millis, quantity, units
from server.testing.kfp.values import Values, filled

Config = Mapping[str, Any]
"""One entry of the platform document: how one executor's pod shall be."""


@dataclass(slots=True)
class VirtualNode:
    """A node of the double. `held` is what its pods request now."""

    name: str
    cpu: str = "4"
    memory: str = "16Gi"
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[dict[str, str]] = field(default_factory=list)
    accelerators: dict[str, int] = field(default_factory=dict)
    pods: int = 110
    is_schedulable: bool = True
    held: Resources = field(default_factory=Resources)

    @property
    def allocatable(self) -> Resources:
        """All it has to give."""
        return Resources.of(
            cpu_millicores=millis(quantity(self.cpu)),
            memory_bytes=units(quantity(self.memory)),
            accelerators=self.accelerators,
            pods=self.pods,
        )

    def object(self) -> dict[str, Any]:
        """The node as the Kubernetes API shows it."""
        amounts = {"cpu": self.cpu, "memory": self.memory, "pods": str(self.pods)}
        amounts.update({kind: str(count) for kind, count in self.accelerators.items()})
        return {
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self.all_labels},
            "spec": {"taints": self.taints, "unschedulable": not self.is_schedulable},
            "status": {"allocatable": amounts, "conditions": [{"type": "Ready", "status": "True"}]},
        }

    @property
    def all_labels(self) -> dict[str, str]:
        """Labels, with those that every node has."""
        own = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": self.name}
        return {**own, **self.labels}


def choose(nodes: Sequence[VirtualNode], asked: Resources, config: Config) -> tuple[VirtualNode | None, str]:
    """The node for a pod, or None with the scheduler's sentence."""
    reasons: dict[str, int] = {}
    fitting = []
    for node in nodes:
        reason = _rejection(node, asked, config)
        if reason is None:
            fitting.append(node)
        else:
            reasons[reason] = reasons.get(reason, 0) + 1
    if not fitting:
        text = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        return None, f"0/{len(nodes)} nodes are available: {text or 'no nodes'}."
    best = max(fitting, key=lambda node: (_preference(node, config), _room(node), node.name))
    return best, ""


def _rejection(node: VirtualNode, asked: Resources, config: Config) -> str | None:
    if not node.is_schedulable:
        return "node(s) were unschedulable"
    if not all(_is_tolerated(taint, config.get("tolerations") or []) for taint in node.taints):
        return "node(s) had untolerated taint"
    if not _is_selected(node, config):
        return "node(s) didn't match Pod's node affinity/selector"
    lacking = asked.lacking_in(node.allocatable - node.held)
    return f"Insufficient {lacking[0]}" if lacking else None


def _is_selected(node: VirtualNode, config: Config) -> bool:
    selector = config.get("nodeSelector") or {}
    labels = selector.get("nodeSelectorJson") or selector.get("labels") or {}
    if any(node.all_labels.get(name) != value for name, value in labels.items()):
        return False
    required = [term for term in _terms(config) if not term.get("weight")]
    return not required or any(_matches(node, term) for term in required)


def _terms(config: Config) -> list[Config]:
    """Affinity terms; a whole affinity object given as JSON is taken apart."""
    found: list[Config] = []
    for one in config.get("nodeAffinity") or []:
        whole = one.get("nodeAffinityJson")
        if not whole:
            found.append(one)
            continue
        required = whole.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
        found += required.get("nodeSelectorTerms") or []
        preferred = whole.get("preferredDuringSchedulingIgnoredDuringExecution") or []
        found += [{**term.get("preference", {}), "weight": term["weight"]} for term in preferred]
    return found


def _preference(node: VirtualNode, config: Config) -> float:
    return sum(float(term["weight"]) for term in _terms(config) if term.get("weight") and _matches(node, term))


def _matches(node: VirtualNode, term: Config) -> bool:
    fields = {"metadata.name": node.name}
    return all(_expression(one, node.all_labels) for one in term.get("matchExpressions") or []) and all(
        _expression(one, fields) for one in term.get("matchFields") or []
    )


def _expression(one: Config, labels: Mapping[str, str]) -> bool:
    value, values, operator = labels.get(one["key"]), one.get("values") or [], one["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) is (operator == "Exists")
    if operator in ("In", "NotIn"):
        return (value in values) is (operator == "In")
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def _is_tolerated(taint: Mapping[str, str], tolerations: Sequence[Config]) -> bool:
    if taint.get("effect") == "PreferNoSchedule":
        return True
    for one in tolerations:
        is_effect = one.get("effect") in (None, "", taint.get("effect"))
        if not is_effect or one.get("key") not in (None, "", taint["key"]):
            continue
        if one.get("operator", "Equal") == "Exists" or one.get("value", "") == taint.get("value", ""):
            return True
    return False


def _room(node: VirtualNode) -> int:
    return (node.allocatable - node.held).cpu_millicores


def requests_of(container: Config, inputs: Values) -> Resources:
    """What an executor's pod requests: fields of both generations of the IR, read from its inputs where they say so.

    Raises MissingInputError, or ValueError for what is no amount.
    """
    written = {**(container.get("resources") or {})}
    accelerator = {key: filled(str(one), inputs) for key, one in (written.pop("accelerator", None) or {}).items()}
    asked = {key: filled(str(one), inputs) for key, one in written.items() if one}
    cpu = asked.get("resourceCpuRequest") or asked.get("cpuRequest") or "0"
    memory = asked.get("resourceMemoryRequest")
    by_number = int(float(asked.get("memoryRequest") or 0) * 10**9)
    kind = accelerator.get("resourceType") or accelerator.get("type")
    count = int(accelerator.get("resourceCount") or accelerator.get("count") or 1)
    return Resources.of(
        cpu_millicores=millis(quantity(cpu)),
        memory_bytes=units(quantity(memory)) if memory else by_number,
        accelerators={str(kind): count} if kind else None,
        pods=1,
    )
