"""What people have today: every task on the node that the default kube-scheduler would give it.

Ready tasks are taken one at a time, by priority and then by the time they became ready. A task without room stays
pending and keeps nothing free: smaller ones overtake it. Tasks that are not ready are unknown to Kubernetes and are
held. The nodes' images and the pods' neighbours are not known here; they score nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import numpy as np

from server.domain.instants import after
from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest, TaskOption, WaitingTask
from server.placers.halves.ordering import drawn_for
from server.placers.interface import PlacerInterface
from server.placers.kubernetes.nodes import Amounts, Machines
from server.placers.kubernetes.scheduling import Decision, Question, most_looked_at
from server.placers.kubernetes.translating import hold_occupancy, machine_of, pod_of
from server.planning.needs import Needs, NeedsTable, no_node_reason


class Kubernetes(PlacerInterface):
    """The default profile of kube-scheduler 1.36, ties drawn by the request's seed."""

    name: ClassVar[str] = "kubernetes"
    summary: ClassVar[str] = "Gives each ready task the node that the default kube-scheduler would choose."
    source: ClassVar[str] = "kube-scheduler 1.36, default profile"
    looks_ahead: ClassVar[bool] = False
    takes_turns: ClassVar[bool] = True

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Bind what is ready and fits, one task at a time; hold the rest."""
        queue = _Queue(request)
        placements: list[Placement] = []
        holds = [Hold(task.run_id, task.key, _not_ready(task)) for task in request.tasks() if not task.is_ready]
        for task in _in_order(request):
            placed = queue.schedule(task)
            if placed is None:
                holds.append(Hold(task.run_id, task.key, queue.reason(task)))
            else:
                placements.append(placed)
        return PlacementPlan(tuple(placements), tuple(holds))


class _Queue:
    """The scheduler's view during one cycle, in which nodes only fill up."""

    def __init__(self, request: PlacementRequest) -> None:
        self.request = request
        self.table = NeedsTable(request.snapshot.nodes)
        self.real = [index for index, node in enumerate(request.snapshot.nodes) if not node.is_virtual]
        self.machines = Machines([machine_of(request.snapshot.nodes[index]) for index in self.real])
        for occupancy in request.snapshot.occupancies:
            hold_occupancy(self.machines, occupancy)
        self.enough = most_looked_at(len(self.real))
        self.begin = sum(request.history.values()) % max(len(self.real), 1)
        self.questions: dict[int, list[tuple[TaskOption, Question]]] = {}
        self.reasons: dict[int, str] = {}

    def schedule(self, task: WaitingTask) -> Placement | None:
        """A node for the task with the first of its options that fits anywhere; None if it stays pending."""
        needs = self.table.of(task)
        if id(needs) in self.reasons:
            return None
        for option, question in self._questions(task, needs):
            nodes = self._sampled(question.feasible())
            decision = question.decide(nodes)
            best = decision.best()
            if best:
                node = best[0] if len(best) == 1 else drawn_for(self.request, task.ref, "tie").choice(best)
                pod = question.pod
                self.machines.hold(node, pod.requests, pod.held_cpu_millicores, pod.held_memory_bytes, 1)
                return self._placement(task, option, node, decision)
        self.reasons[id(needs)] = self._pending(task, needs)
        return None

    def reason(self, task: WaitingTask) -> str:
        """Why the task stays pending."""
        return self.reasons[id(self.table.of(task))]

    def _questions(self, task: WaitingTask, needs: Needs) -> list[tuple[TaskOption, Question]]:
        if id(needs) not in self.questions:
            usable = set(needs.nodes)
            found = []
            for option in task.options:
                rows = [index in usable and option in needs.options.get(index, ()) for index in self.real]
                found.append((option, Question(pod_of(task, option), self.machines, np.array(rows, np.bool_))))
            self.questions[id(needs)] = found
        return self.questions[id(needs)]

    def _sampled(self, nodes: Amounts) -> Amounts:
        """On a large cluster the search ends when enough nodes are found; the next one begins where it ended."""
        if len(nodes) < self.enough or self.enough == len(self.real):
            return nodes
        first = np.searchsorted(nodes, self.begin)
        found = np.concatenate((nodes[first:], nodes[:first]))[: self.enough]
        self.begin = (int(found[-1]) + 1) % len(self.real)
        return np.sort(found)

    def _placement(self, task: WaitingTask, option: TaskOption, node: int, decision: Decision) -> Placement:
        name, now = self.machines.nodes[node].name, self.request.now
        score = None if len(decision.nodes) < 2 else -float(decision.final.max())
        return Placement(
            run_id=task.run_id,
            key=task.key,
            node=name,
            option=option.name,
            planned_start_at=now,
            planned_finish_at=self._finish(task, option, name, now),
            score=score,
            reason="the only node that fits" if score is None else _told(decision, node),
        )

    def _finish(self, task: WaitingTask, option: TaskOption, node: str, now: datetime) -> datetime | None:
        try:
            return after(now, self.request.estimates.seconds(task.ref, node, option.name))
        except KeyError:
            return None

    def _pending(self, task: WaitingTask, needs: Needs) -> str:
        count = len(self.table.nodes)
        if not needs.nodes:
            return no_node_reason(needs, count)
        short: dict[str, int] = {}
        for _, question in self._questions(task, needs)[:1]:
            short = question.shortages()
        said = [f"too little {name} free on {number} of {count} nodes" for name, number in short.items()]
        said += [f"{reason} on {number}" for reason, number in list(needs.rejected.items())[:3]]
        return "no node fits now: " + ("; ".join(said) or "the nodes that could run it are not there yet")


def _in_order(request: PlacementRequest) -> list[WaitingTask]:
    """Ready tasks by priority, then by the time they became ready."""
    ready = [(run, task) for run in request.runs for task in run.tasks if task.is_ready]
    ready.sort(key=lambda pair: (-pair[0].priority, pair[1].ready_at or pair[0].submitted_at))
    return [task for _, task in ready]


def _not_ready(task: WaitingTask) -> str:
    upstreams = ", ".join(str(key) for key in task.waits_for[:3])
    return f"waits for {upstreams}; Kubernetes knows a pod only when it is due" if upstreams else "is not due yet"


def _told(decision: Decision, node: int) -> str:
    """The score of a node with the plug-ins that make it, the heaviest first."""
    at = int(np.searchsorted(decision.nodes, node))
    parts = {name: int(scores[at]) for name, scores in decision.scores.items() if scores[at]}
    listed = ", ".join(f"{name} {score}" for name, score in sorted(parts.items(), key=lambda item: -item[1]))
    return f"scores most of {len(decision.nodes)} nodes, {int(decision.final[at])}: {listed}"


__all__ = ["Kubernetes"]
