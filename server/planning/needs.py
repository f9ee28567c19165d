"""Which nodes can run a task, asked once for all tasks with equal needs and all nodes of equal make.

Ten thousand tasks of two hundred components on a thousand nodes of twenty makes are four thousand questions instead of
ten million. The decision unit checks plans with the same table.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_

from server.domain.feasibility import is_tolerated, preference_score, rejection
from server.domain.node import ARCHITECTURE_LABEL, HOSTNAME_LABEL, Node
from server.domain.placement import TaskOption, WaitingTask
from server.domain.spot import AVOIDED

SOFT_TAINT_WEIGHT = 100
"""How much an untolerated `PreferNoSchedule` taint counts against a node: as much as the heaviest preference for it."""

FAILED_BEFORE = "an attempt of it failed there before"


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """What tasks with equal needs find in a cluster; nodes by their index in the snapshot.

    Attributes:
        nodes: to choose among, ascending: those that can run the task, without those that failed it before,
            without spot nodes that it is too long for, and without those that are not there yet, where others remain.
        options: with which options every node that can run it can do so, in the author's order.
        preference: summed weights of the wishes that hold there, where that is not zero.
        rejected: how many nodes can never run it, or are avoided for good, by reason, most first.
        avoided: those of them that could run it, by reason.
    """

    nodes: tuple[int, ...]
    options: Mapping[int, tuple[TaskOption, ...]]
    preference: Mapping[int, int]
    rejected: Mapping[str, int]
    avoided: Mapping[str, tuple[int, ...]]


class NeedsTable:
    """Answers for every task of a request, shared by equal tasks."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.index = {node.name: index for index, node in enumerate(nodes)}
        self._makes: list[Hashable] | None = None
        self._known: dict[Hashable, Needs] = {}
        self._of_task: dict[int, tuple[WaitingTask, Needs]] = {}

    def renewed(self, nodes: Sequence[Node], tasks: Iterable[WaitingTask]) -> NeedsTable:
        """The table for a next request: this one, where the nodes are the same values; with what it knows of these
        tasks, and of no others."""
        if len(nodes) != len(self.nodes) or not all(map(is_, nodes, self.nodes)):
            return NeedsTable(nodes)
        known = self._of_task
        self._of_task = {id(task): known[id(task)] for task in tasks if id(task) in known}
        in_use = {id(needs) for _, needs in self._of_task.values()}
        self._known = {key: needs for key, needs in self._known.items() if id(needs) in in_use}
        return self

    def of(self, task: WaitingTask) -> Needs:
        """What this task finds."""
        known = self._of_task.get(id(task))
        if known is not None:
            return known[1]
        key = (
            task.options,
            task.requirements,
            task.node,
            task.tolerations,
            task.preferences,
            task.avoid_nodes,
            task.spot_nodes,
            task.volumes,
        )
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._ask(task)
        self._of_task[id(task)] = (task, found)
        return found

    def allows(self, task: WaitingTask, node: str, option: str) -> bool:
        """Whether the task can run on the node with the option, whether or not it failed there before."""
        choices = self.of(task).options.get(self.index[node], ())
        return option in [choice.name for choice in choices]

    def _ask(self, task: WaitingTask) -> Needs:
        answers: dict[Hashable, tuple[tuple[TaskOption, ...], str, int]] = {}
        labels = _labels(task)
        options: dict[int, tuple[TaskOption, ...]] = {}
        preference: dict[int, int] = {}
        rejected: dict[str, int] = {}
        for index, (node, make) in enumerate(zip(self.nodes, self._node_makes(), strict=True)):
            attached = tuple(volume.node == node.name for volume in task.volumes)
            kind = (make, is_named(task, node), attached, *(node.labels.get(label) for label in labels))
            if kind not in answers:
                answers[kind] = _answer(task, node)
            choices, reason, wish = answers[kind]
            if not choices:
                rejected[reason] = rejected.get(reason, 0) + 1
                continue
            options[index] = choices
            if wish:
                preference[index] = wish
        kept, avoided = tuple(options), dict[str, tuple[int, ...]]()
        for reason, names in ((FAILED_BEFORE, task.avoid_nodes), (AVOIDED, task.spot_nodes)):
            named = {self.index[name] for name in names if name in self.index}
            others = tuple(index for index in kept if index not in named)
            if others and len(others) < len(kept):
                avoided[reason] = tuple(index for index in kept if index in named)
                kept = others
        rejected |= {reason: len(nodes) for reason, nodes in avoided.items()}
        there = tuple(index for index in kept if not self.nodes[index].is_virtual) or kept
        ranked = dict(sorted(rejected.items(), key=lambda item: (-item[1], item[0])))
        return Needs(there, options, preference, ranked, avoided)

    def _node_makes(self) -> list[Hashable]:
        """What of each node decides who may run there, apart from labels and name."""
        if self._makes is None:
            self._makes = [
                (
                    node.is_ready,
                    node.is_schedulable,
                    node.taints,
                    node.allocatable,
                    tuple(sorted(node.accelerator_memory_bytes.items())),
                )
                for node in self.nodes
            ]
        return self._makes


def is_named(task: WaitingTask, node: Node) -> bool:
    """Whether the task asks for this very node."""
    return task.node is not None and task.node in (node.name, node.labels.get(HOSTNAME_LABEL))


def no_node_reason(needs: Needs, node_count: int) -> str:
    """Why no node can run a task, in words: the commonest reasons with how many nodes give them."""
    if not node_count:
        return "the cluster has no nodes"
    said = [f"{reason} on {count} of {node_count}" for reason, count in list(needs.rejected.items())[:3]]
    rest = sum(needs.rejected.values()) - sum(list(needs.rejected.values())[:3])
    return "no node can run it: " + "; ".join(said) + (f"; other reasons on {rest}" if rest else "")


def _labels(task: WaitingTask) -> list[str]:
    """The labels that decide whether a node suits the task."""
    found = {wish.label for wish in task.requirements} | {one.requirement.label for one in task.preferences}
    found |= {one.label for volume in task.volumes for term in volume.terms for one in term}
    return sorted(found | ({ARCHITECTURE_LABEL} if any(option.build for option in task.options) else set()))


def _answer(task: WaitingTask, node: Node) -> tuple[tuple[TaskOption, ...], str, int]:
    """Options that work on the node, else the reason of the first; and how much the node is wished for."""
    reasons = [rejection(task, option, node) for option in task.options]
    choices = tuple(option for option, reason in zip(task.options, reasons, strict=True) if reason is None)
    soft = [taint for taint in node.taints if taint.effect == "PreferNoSchedule"]
    disliked = sum(not is_tolerated(taint, task.tolerations) for taint in soft)
    reason = reasons[0] if reasons else "the task offers no option"
    return choices, reason or "", preference_score(task, node) - SOFT_TAINT_WEIGHT * disliked


__all__ = ["FAILED_BEFORE", "SOFT_TAINT_WEIGHT", "Needs", "NeedsTable", "is_named", "no_node_reason"]
