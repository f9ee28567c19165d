"""The original's own strategy, slips included: only for the comparison with the paper. `custom` is the mended one.

Steps, after Rodrigues et al., Electronics 2025, 14(13), 2555, and the behaviour of its public sources: (1) pipelines
by their counted operations, fewest first; (2) task by task, nodes of the classes for its kind and model; (3) those
that host a task of the same pipeline before others (not for preprocessing or networks), then the fewest assignments,
then the smallest. Nodes are taken as if they were empty, and nothing is known of seconds. Assignments are counted over
the server's whole life and never taken back: an inference from experiment B, which ends at 652 s whatever else is
assumed where only open tasks count, and at 670 to 810 s (published: 813) where all do.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from server.domain.node import Node
from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest, WaitingRun, WaitingTask
from server.placers.custom.classes import Rule, cpu_flags, has_accelerator, node_classes, rule_for
from server.placers.halves import NeedsTable
from server.placers.interface import PlacerInterface

ACCELERATOR_BONUS = 3


class OriginalCustom(PlacerInterface):
    """Shortest pipeline first by counted operations, and the table of classes, without a look at time."""

    name: ClassVar[str] = "original_custom"
    summary: ClassVar[str] = "The original's strategy with its slips, for comparison with its paper."
    source: ClassVar[str] = "Rodrigues, Corona, Antunes, Aguiar, Electronics 2025, 14(13), 2555"

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Place every task of every run, once."""
        turn = _Turn(request)
        placements: list[Placement] = []
        holds: list[Hold] = []
        for run in sorted(request.runs, key=_operations):
            hosts: set[str] = set()
            for task in run.tasks:
                node = turn.choose(task, hosts)
                if node is None:
                    holds.append(Hold(task.run_id, task.key, "no node can run it"))
                    continue
                hosts.add(node.name)
                placements.append(Placement(task.run_id, task.key, node.name, platform_option(task, node)))
        return PlacementPlan(tuple(placements), tuple(holds))


class _Turn:
    """Assignments so far, and the classes of nodes."""

    def __init__(self, request: PlacementRequest) -> None:
        self.nodes = request.snapshot.nodes
        self.class_of = dict(zip([node.name for node in self.nodes], node_classes(self.nodes), strict=True))
        self.assigned = Counter(request.history)
        self.table = NeedsTable(self.nodes)

    def choose(self, task: WaitingTask, hosts: set[str]) -> Node | None:
        """The node of one task, counted as assigned."""
        able = [self.nodes[index] for index in self.table.of(task).nodes]
        rule = rule_for(task.workload)
        nodes = [node for node in able if self._suits(node, rule)] or able
        if not nodes:
            return None
        if rule.prefer == "accelerator":
            chosen = min(nodes, key=lambda node: (self._score(node), self.assigned[node.name]))
        else:
            if rule.prefer == "small":
                nodes = [node for node in nodes if node.name in hosts] or nodes
            nodes = sorted(nodes, key=lambda node: _size(node, rule))
            chosen = min(nodes, key=lambda node: self.assigned[node.name])
        self.assigned[chosen.name] += 1
        return chosen

    def _suits(self, node: Node, rule: Rule) -> bool:
        is_right = rule.architectures is None or node.architecture in rule.architectures
        return is_right and self.class_of[node.name] in rule.classes

    def _score(self, node: Node) -> int:
        return self.assigned[node.name] - (ACCELERATOR_BONUS if has_accelerator(node) else 0)


def _size(node: Node, rule: Rule) -> tuple[int, ...]:
    if rule.prefer == "memory":
        return (node.allocatable.memory_bytes,)
    return (cpu_flags(node), node.allocatable.cpu_millicores)


def _operations(run: WaitingRun) -> float:
    return sum(float(task.workload.get("operations") or 0.0) for task in run.tasks)


def platform_option(task: WaitingTask, node: Node) -> str:
    """The image of the node's platform: the one with an accelerator where it has one."""
    wanted = [option for option in task.options if bool(option.requests.accelerators) == has_accelerator(node)]
    return (wanted or list(task.options))[0].name


__all__ = ["OriginalCustom", "platform_option"]
