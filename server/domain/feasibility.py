"""Who may run where, with the reason for every no.

`rejection` compares a task with a whole node (could it ever run there), `fits_now` with what is free at this moment.
Label, taint and toleration rules are those of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlopx.spec import Requirement, Toleration
from server.domain.node import HOSTNAME_LABEL, Node, Taint
from server.domain.placement import TaskOption, WaitingTask
from server.domain.resources import Resources


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node can never run a task as it stands.

    Attributes:
        kind: `state`, `node`, `label`, `taint`, `architecture`, `volume`, `request` or `accelerator-memory`.
        names: the labels, taints, images, volumes, requests or accelerators that are in the way; empty for a state.
        text: the same as a short phrase.
    """

    kind: str
    names: tuple[str, ...]
    text: str


def refusal(task: WaitingTask, option: TaskOption, node: Node) -> Refusal | None:
    """Why the task can never run on this node as it stands; None if it can."""
    if not node.is_ready:
        return Refusal("state", (), "the node is not ready")
    if not node.is_schedulable:
        return Refusal("state", (), "the node is cordoned")
    if task.node is not None and node.name != task.node and node.labels.get(HOSTNAME_LABEL) != task.node:
        return Refusal("node", (task.node,), f"the task asks for node {task.node}")
    for requirement in task.requirements:
        if not holds(requirement, node):
            return Refusal("label", (requirement.label,), f"label {describe(requirement)} does not hold")
    for taint in node.taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not is_tolerated(taint, task.tolerations):
            return Refusal("taint", (taint.key,), f"taint {taint.key}={taint.value}:{taint.effect} is not tolerated")
    confined = _architecture(option, node) or _volume(task, node)
    if confined is not None:
        return confined
    lacking = option.requests.lacking_in(node.allocatable)
    if lacking:
        text = "too little " + ", ".join(_shortage(name, option, node) for name in lacking)
        return Refusal("request", lacking, text)
    return _accelerator_memory(option, node)


def rejection(task: WaitingTask, option: TaskOption, node: Node) -> str | None:
    """Why the task can never run on this node as it stands, as a short phrase; None if it can."""
    found = refusal(task, option, node)
    return None if found is None else found.text


def feasible_nodes(task: WaitingTask, nodes: Iterable[Node], option: TaskOption | None = None) -> list[Node]:
    """Nodes that could run the task, with one option or with any of them."""
    options = task.options if option is None else (option,)
    return [node for node in nodes if any(rejection(task, choice, node) is None for choice in options)]


def feasible_options(task: WaitingTask, node: Node) -> list[TaskOption]:
    """Options with which the task could run on the node, in the author's order."""
    return [option for option in task.options if rejection(task, option, node) is None]


def fits_now(option: TaskOption, available: Resources) -> bool:
    """Whether the option's requests fit into what is free on a node now."""
    return option.requests.fits_in(available)


def explain_unplaceable(task: WaitingTask, nodes: Iterable[Node]) -> dict[str, list[str]]:
    """For a task that fits nowhere: the nodes that say no by their reason (that of the first option), most first."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        reasons = [rejection(task, option, node) for option in task.options]
        for reason in reasons[:1]:
            if reason is not None and None not in reasons:
                found.setdefault(reason, []).append(node.name)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def holds(requirement: Requirement, node: Node) -> bool:
    """Whether a label requirement holds on a node. NotIn and DoesNotExist hold where the label is missing."""
    value = node.labels.get(requirement.label)
    operator = requirement.operator
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator == "In":
        return value in requirement.values
    if operator == "NotIn":
        return value not in requirement.values
    try:
        found = int(value) if value is not None else None
    except ValueError:
        return False
    if found is None:
        return False
    bound = int(requirement.values[0])
    return found > bound if operator == "Gt" else found < bound


def is_tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Whether one of the tolerations accepts the taint."""
    for toleration in tolerations:
        if toleration.effect and toleration.effect != taint.effect:
            continue
        if toleration.key and toleration.key != taint.key:
            continue
        if toleration.operator == "Exists":
            return True
        if toleration.key and toleration.value == taint.value:
            return True
    return False


def preference_score(task: WaitingTask, node: Node) -> int:
    """Sum of the weights of the preferences that hold on the node."""
    return sum(wish.weight for wish in task.preferences if holds(wish.requirement, node))


def describe(requirement: Requirement) -> str:
    """A requirement in words: `zone In (a, b)`."""
    values = f" ({', '.join(requirement.values)})" if requirement.values else ""
    return f"{requirement.label} {requirement.operator}{values}"


def _architecture(option: TaskOption, node: Node) -> Refusal | None:
    build = option.build
    if build is None or node.architecture in build.architectures:
        return None
    made_for = ", ".join(build.architectures)
    text = f"image {build.image} is made for {made_for}, not {node.architecture} (known from {build.known_from})"
    return Refusal("architecture", (build.image,), text)


def _volume(task: WaitingTask, node: Node) -> Refusal | None:
    for volume in task.volumes:
        is_reached = not volume.terms or any(all(holds(one, node) for one in term) for term in volume.terms)
        if not is_reached or (volume.node is not None and volume.node != node.name):
            return Refusal("volume", (volume.claim,), f"volume {volume.claim} {volume.text}")
    return None


def _shortage(name: str, option: TaskOption, node: Node) -> str:
    asked, has = option.requests, node.allocatable
    if name == "cpu":
        return f"cpu (asks {asked.cpu_millicores / 1000:g}, the node has {has.cpu_millicores / 1000:g})"
    if name == "memory":
        return "memory (asks {}, the node has {})".format(*_memories(asked.memory_bytes, has.memory_bytes))
    if name == "pods":
        return f"pods (the node takes {has.pods})"
    return f"{name} (asks {asked.accelerator_count(name)}, the node has {has.accelerator_count(name)})"


def _memories(asked: int, has: int) -> tuple[str, str]:
    """Two amounts in GiB, or in MiB where that tells them apart better."""
    if asked >= 2**30 and f"{asked / 2**30:.1f}" != f"{has / 2**30:.1f}":
        return f"{asked / 2**30:.3g} GiB", f"{has / 2**30:.3g} GiB"
    return f"{asked / 2**20:.0f} MiB", f"{has / 2**20:.0f} MiB"


def _accelerator_memory(option: TaskOption, node: Node) -> Refusal | None:
    needed = option.accelerator_memory_bytes
    if needed is None:
        return None
    for kind, _ in option.requests.accelerators:
        memory = node.accelerator_memory_bytes.get(kind)
        if memory is None:
            return Refusal("accelerator-memory", (kind,), f"the memory of its {kind} is not known")
        if memory < needed:
            text = f"its {kind} has {memory / 2**30:.0f} GiB, the task needs {needed / 2**30:.0f} GiB"
            return Refusal("accelerator-memory", (kind,), text)
    return None
