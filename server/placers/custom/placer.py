"""The original's strategy with its slips mended.

Steps, after Rodrigues et al., Electronics 2025, 14(13), 2555: (1) the pipeline with the least work first, now in
predicted seconds, over the whole queue and with aging; (2) for each task the nodes of the classes that suit its kind
and model; (3) among them the rule of its kind: enough memory, small enough, or with an accelerator, beside its
pipeline's other tasks, and with few tasks. New: (4) nodes are shared, so a task starts elsewhere when waiting for the
chosen node would finish later; a task of unknown kind, or without a suitable class, may go anywhere it can run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest, WaitingTask
from server.placers.custom.classes import Rule, cpu_flags, has_accelerator, node_classes, power, rule_for
from server.placers.halves import Assignment, Choice, Cluster, Needs, by_remaining_seconds, plan_in_turn
from server.placers.halves.cluster import MOST_NODES_COMPARED, NEVER, most_wished
from server.placers.interface import PlacerInterface

AGING = 0.2
"""A run that waited ten seconds goes before one with two seconds less work."""

ACCELERATOR_BONUS = 3
"""A node with an accelerator is chosen until it has so many more tasks than one without."""


class Custom(PlacerInterface):
    """Shortest pipeline first, on the class of nodes that suits the task."""

    name: ClassVar[str] = "custom"
    summary: ClassVar[str] = (
        "Takes the shortest pipeline first and matches tasks to classes of nodes by kind and model."
    )
    source: ClassVar[str] = "Rodrigues, Corona, Antunes, Aguiar, Electronics 2025, 14(13), 2555"

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Compose: least remaining seconds, suitable class."""
        return plan_in_turn(request, by_remaining_seconds(AGING), SuitableClass(request))


class SuitableClass(Assignment):
    """Chooses by the table of classes and the rule of the task's kind."""

    def __init__(self, request: PlacementRequest) -> None:
        nodes = request.snapshot.nodes
        self.classes = node_classes(nodes)
        self.bonus = [ACCELERATOR_BONUS if has_accelerator(node) else 0 for node in nodes]
        self.memory = [node.allocatable.memory_bytes for node in nodes]
        self.size = [(cpu_flags(node), power(node)) for node in nodes]
        index = {node.name: position for position, node in enumerate(nodes)}
        self.hosts: dict[str, set[int]] = {}
        for run in request.runs:
            names = {*run.finished_on.values(), *(bound.node for bound in run.bound)}
            self.hosts[run.run_id] = {index[name] for name in names if name in index}
        self.suitable: dict[tuple[int, Rule], Sequence[int]] = {}

    def choose(self, task: WaitingTask, needs: Needs, cluster: Cluster, at: float) -> Choice:
        """The rule's first choice, or the sooner finish of one that has room now."""
        rule = rule_for(task.workload)
        pool = self._pool(rule, needs, cluster)
        node = self._first(task, rule, pool, cluster, at)
        reason = f"suits {rule.prefer}: class {self.classes[node]}"
        free = [] if cluster.has_room(needs, node, at) else cluster.with_room(needs, at)
        if free:
            other = self._first(task, rule, [index for index in free if index in pool] or free, cluster, at)
            if self._finish(task, other, cluster, at) < self._finish(task, node, cluster, at):
                node, reason = other, f"finishes sooner than after waiting for class {self.classes[node]}"
        self.hosts.setdefault(task.run_id, set()).add(node)
        return Choice(node, reason, float(self._rank(rule, node, cluster, at)[0]))

    def _pool(self, rule: Rule, needs: Needs, cluster: Cluster) -> Sequence[int]:
        """Nodes of the rule's classes that can run the task; all that can where there is none."""
        key = (id(needs), rule)
        if key not in self.suitable:
            nodes = [node for node in needs.nodes if self._is_suitable(rule, node, cluster)]
            self.suitable[key] = most_wished(needs, nodes or needs.nodes)
        return cluster.part_of(self.suitable[key], MOST_NODES_COMPARED)

    def _is_suitable(self, rule: Rule, node: int, cluster: Cluster) -> bool:
        if rule.architectures is not None and cluster.nodes[node].architecture not in rule.architectures:
            return False
        return self.classes[node] in rule.classes

    def _first(self, task: WaitingTask, rule: Rule, nodes: Sequence[int], cluster: Cluster, at: float) -> int:
        """The best of the nodes by the rule of the task's kind."""
        if rule.prefer == "small":
            beside = self.hosts.get(task.run_id, set())
            nodes = [node for node in nodes if node in beside] or nodes
        return min(nodes, key=lambda node: self._rank(rule, node, cluster, at))

    def _rank(self, rule: Rule, node: int, cluster: Cluster, at: float) -> tuple[float, ...]:
        tasks = cluster.tasks_on(node, at)
        if rule.prefer == "accelerator":
            return (tasks - self.bonus[node], tasks)
        return (tasks, self.memory[node]) if rule.prefer == "memory" else (tasks, *self.size[node])

    def _finish(self, task: WaitingTask, node: int, cluster: Cluster, at: float) -> float:
        offer = cluster.offer(task, node, at)
        return NEVER if offer is None else offer.finish
