"""Keeps long tasks off spot nodes, as often as those were taken away under tasks before.

The journal tells when an attempt ended on a node and whether its node was lost; from both follows a rate per class of
nodes. Before a cycle asks its strategy, every long task that is not `interruptible` gets the spot nodes to avoid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from server.domain import events as happened
from server.domain.lifecycle import Change
from server.domain.node import Node
from server.domain.placement import Estimates, WaitingRun, WaitingTask
from server.domain.run import Attempt
from server.domain.spot import interruptions_per_hour, is_spot, is_too_long
from server.estimators.classes import node_class

MOST_CLASSES = 1_000
ENDS = (happened.TaskSucceeded, happened.TaskFailed, happened.TaskCancelled, happened.TaskLost)


@dataclass(slots=True)
class _Seen:
    hours: float = 0.0
    interruptions: int = 0


class SpotNodes:
    """What was seen of spot nodes, by class. `node_of` tells of a node by its name, None if it is unknown by now."""

    def __init__(self, node_of: Callable[[str], Node | None]) -> None:
        self._node_of = node_of
        self._seen: dict[str, _Seen] = {}
        self._spot_class: dict[str, str] = {}

    def notice(self, change: Change) -> None:
        """Learn from attempts that ended, or were lost with their node."""
        for event in change.events:
            if isinstance(event, ENDS):
                task = change.run.tasks[event.key]
                attempt = next((one for one in task.attempts if one.number == event.attempt), None)
                if attempt is not None:
                    self._learn(attempt, isinstance(event, happened.TaskLost))

    def per_hour(self, name: str) -> float:
        """Interruptions to expect of a task in an hour on nodes of a class."""
        seen = self._seen.get(name, _Seen())
        return interruptions_per_hour(seen.interruptions, seen.hours)

    def rates(self) -> dict[str, float]:
        """Interruptions per hour by class of the spot nodes that tasks of ours ended on."""
        return {name: self.per_hour(name) for name in sorted(self._seen)}

    def advised(self, runs: Sequence[WaitingRun], nodes: Sequence[Node], estimates: Estimates) -> Sequence[WaitingRun]:
        """The runs, their long tasks told which spot nodes to avoid; the same objects where nothing is to be said."""
        spots = [(node.name, node_class(node)) for node in nodes if is_spot(node)]
        self._spot_class.update(spots)
        if not spots:
            return runs
        rates = [(name, self.per_hour(kind)) for name, kind in spots]
        return [_advised(run, rates, estimates) for run in runs]

    def _learn(self, attempt: Attempt, is_lost: bool) -> None:
        name = attempt.actual_node or attempt.node
        if name is None or attempt.started_at is None or attempt.finished_at is None:
            return
        kind = self._class_of(name)
        if kind is None or (kind not in self._seen and len(self._seen) >= MOST_CLASSES):
            return
        seen = self._seen.setdefault(kind, _Seen())
        seen.hours += max((attempt.finished_at - attempt.started_at).total_seconds(), 0.0) / 3600
        seen.interruptions += is_lost

    def _class_of(self, name: str) -> str | None:
        """Class of a spot node, also of one that was just taken away; None for other nodes."""
        node = self._node_of(name)
        if node is not None:
            return node_class(node) if is_spot(node) else None
        return self._spot_class.get(name)


def _advised(run: WaitingRun, spots: Sequence[tuple[str, float]], estimates: Estimates) -> WaitingRun:
    avoided = [_avoided(task, spots, estimates) for task in run.tasks]
    if not any(avoided):
        return run
    tasks = zip(run.tasks, avoided, strict=True)
    return replace(run, tasks=tuple(replace(task, spot_nodes=names) if names else task for task, names in tasks))


def _avoided(task: WaitingTask, spots: Sequence[tuple[str, float]], estimates: Estimates) -> tuple[str, ...]:
    if task.is_interruptible:
        return ()
    return tuple(
        name
        for name, per_hour in spots
        if is_too_long(min(estimates.seconds(task.ref, name, option.name) for option in task.options), per_hour)
    )


__all__ = ["SpotNodes"]
