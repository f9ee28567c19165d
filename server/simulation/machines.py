"""The simulated nodes: what each is, whether it is up, and what happens on it now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from server.domain.node import Node
from server.domain.resources import Resources
from server.domain.run import TaskKey
from server.simulation.work import TaskWork, Way


@dataclass(slots=True, eq=False)
class Going:
    """An attempt on its way: bound to a machine, preparing or running. `ticket` outdates what was planned for it."""

    run_id: str
    key: TaskKey
    number: int
    machine: Machine
    task: TaskWork
    way: Way
    ticket: int = 0
    is_running: bool = False
    left_seconds: float = 0.0
    touched: float = 0.0
    fails: bool = False


@dataclass(slots=True, eq=False)
class Machine:
    """One node. `joins_at`: seconds from the start at which it becomes part of the cluster."""

    node: Node
    kind: str
    joins_at: float = 0.0
    is_up: bool = True
    is_there: bool = True
    going: dict[Going, None] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    free: Resources = field(default_factory=Resources)
    neighbours: int = 0

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    def seen(self) -> Node:
        """The node as the platform shows it now."""
        return self.node if self.is_up else replace(self.node, is_ready=False)

    def running(self) -> list[Going]:
        """Attempts that run here now."""
        return [going for going in self.going if going.is_running]


__all__ = ["Going", "Machine"]
