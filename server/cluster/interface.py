"""The port that knows the nodes: which there are, what they can do, how loaded they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from server.domain.node import Load, Node, Occupancy
from server.domain.starting import NodeImages


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """What one source saw at one instant.

    `foreign` are resources held by others than our own tasks; of what lies beside one of these and goes with it they
    tell the run and the task's path. `images` are those that lie on a node already.
    """

    seen_at: datetime
    source: str
    nodes: Sequence[Node] = ()
    foreign: Sequence[Occupancy] = ()
    loads: Mapping[str, Load] = field(default_factory=dict)
    problems: Sequence[str] = ()
    images: Mapping[str, NodeImages] = field(default_factory=dict)


class NodeSourceInterface(ABC):
    """A source of nodes. Missing or stale figures are left out (unknown), never zero."""

    name: str

    @abstractmethod
    async def look(self) -> NodesSeen:
        """See the nodes now. Raises UnavailableError when the source cannot be reached."""
