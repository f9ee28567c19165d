"""What if: the cluster with a node more or less, the queue with other priorities, another strategy or objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from server.domain.errors import InvalidRequestError
from server.domain.node import HOSTNAME_LABEL, Node, Snapshot
from server.domain.placement import WaitingRun


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be different from how it is. `add_nodes` names nodes to have one more of each; `remove_nodes` take
    nothing more, and what runs there ends there; `priorities` by run id."""

    strategy: str | None = None
    objective: str | None = None
    add_nodes: tuple[str, ...] = ()
    remove_nodes: tuple[str, ...] = ()
    priorities: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        """Whether anything is different."""
        return self != Changes()


def changed_snapshot(snapshot: Snapshot, changes: Changes) -> Snapshot:
    """The nodes as they would be. Raises InvalidRequestError for a node that is not there."""
    known = {node.name: node for node in snapshot.nodes}
    for name in (*changes.add_nodes, *changes.remove_nodes):
        if name not in known:
            raise InvalidRequestError(
                f"there is no node {name!r}", hint=f"nodes are: {', '.join(list(known)[:20]) or 'none'}"
            )
    nodes = [
        replace(node, is_schedulable=False) if node.name in changes.remove_nodes else node for node in snapshot.nodes
    ]
    for number, name in enumerate(changes.add_nodes, 1):
        nodes.append(_another(known[name], number))
    return replace(snapshot, nodes=tuple(nodes))


def changed_runs(runs: Sequence[WaitingRun], changes: Changes) -> tuple[WaitingRun, ...]:
    """The queue as it would be. Raises InvalidRequestError for a run that does not wait."""
    known = {run.run_id for run in runs}
    for run_id in changes.priorities:
        if run_id not in known:
            raise InvalidRequestError(f"run {run_id!r} has nothing that waits", hint="`mlopx queue` lists what waits")
    return tuple(replace(run, priority=changes.priorities.get(run.run_id, run.priority)) for run in runs)


def _another(node: Node, number: int) -> Node:
    name = f"{node.name}+{number}"
    labels = {**node.labels, HOSTNAME_LABEL: name} if HOSTNAME_LABEL in node.labels else node.labels
    return replace(node, name=name, labels=labels, is_ready=True, is_schedulable=True, is_virtual=False)


__all__ = ["Changes", "changed_runs", "changed_snapshot"]
