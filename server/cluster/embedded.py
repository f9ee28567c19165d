"""Nodes that the platform itself provides: the local platform's virtual ones, or those of a fake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from server.cluster.interface import NodeSourceInterface, NodesSeen
from server.domain.node import Node


class EmbeddedNodes(NodeSourceInterface):
    """Asks the platform for its nodes. Nobody else uses them, so there are no foreign occupancies."""

    def __init__(self, name: str, nodes: Callable[[], Awaitable[Sequence[Node]]], now: Callable[[], datetime]) -> None:
        self.name = name
        self._nodes, self._now = nodes, now

    async def look(self) -> NodesSeen:
        return NodesSeen(seen_at=self._now(), source=self.name, nodes=tuple(await self._nodes()))
