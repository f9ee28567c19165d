"""Data on its way between nodes: alone on its link, or sharing the network cards fairly (max-min) with all the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from server.domain.network import NodeNetwork, Zones
from server.domain.node import Node
from server.simulation.agenda import Agenda

SMALLEST_BYTES = 1e-3
"""Less than this left is nothing left."""

Sharing = Literal["free", "alone", "cards"]


@dataclass(frozen=True, slots=True)
class Wires:
    """The network. `sharing`: `free` (data costs nothing), `alone` (each transfer has the bandwidth for itself), or
    `cards` (each node's full-duplex card is shared fairly). `bytes_per_second` is what a card does each way. Transfers
    between `zones` are slower; `zone_of` says where nodes are."""

    sharing: Sharing = "free"
    bytes_per_second: float = 125e6
    latency_seconds: float = 0.0
    zones: Zones | None = None
    zone_of: Mapping[str, str] = field(default_factory=dict)

    @property
    def network(self) -> NodeNetwork:
        """The same in the words of strategies."""
        is_shared = self.sharing == "cards"
        return NodeNetwork(
            self.bytes_per_second, {}, self.latency_seconds, is_shared=is_shared, zones=self.zones, zone_of=self.zone_of
        )

    def among(self, nodes: Iterable[Node]) -> Wires:
        """With the zones of these nodes."""
        return replace(self, zone_of=self.network.among(nodes).zone_of)


@dataclass(slots=True, eq=False)
class _Batch:
    """All transfers that one task waits for."""

    missing: int
    done: Callable[[], None]


@dataclass(slots=True, eq=False)
class _Flow:
    source: str
    target: str
    left: float
    batch: _Batch
    most: float = math.inf
    rate: float = 0.0

    @property
    def ports(self) -> list[tuple[str, str | int]]:
        """What it goes through: two cards, and the way between two zones, of which each transfer has its own."""
        cards: list[tuple[str, str | int]] = [("up", self.source), ("down", self.target)]
        return cards if self.most == math.inf else [*cards, ("way", id(self))]


class Transfers:
    """Moves bytes; calls back when the last of a task's inputs has arrived."""

    def __init__(self, agenda: Agenda, wires: Wires) -> None:
        self._agenda, self._wires, self._network = agenda, wires, wires.network
        self._flows: list[_Flow] = []
        self._touched = 0.0
        self._ticket = 0

    def fetch(self, target: str, sources: Sequence[tuple[str, float]], done: Callable[[], None]) -> None:
        """Bring `(node, bytes)` to a node. What lies there already, and everything on a free network, is there."""
        wires = self._wires
        wanted = [(node, size) for node, size in sources if node != target and size > 0]
        if not wanted or wires.sharing == "free":
            done()
        elif wires.sharing == "alone":
            longest = max(size / self._network.link(node, target) for node, size in wanted)
            self._agenda.after(wires.latency_seconds + longest, done)
        else:
            batch = _Batch(len(wanted), done)
            flows = [_Flow(node, target, size, batch, self._network.between(node, target)) for node, size in wanted]
            self._agenda.after(wires.latency_seconds, lambda: self._enter(flows))

    def _enter(self, flows: list[_Flow]) -> None:
        self._advance()
        self._flows.extend(flows)
        self._share()

    def _advance(self) -> None:
        """Count what moved since the last change."""
        passed = self._agenda.seconds - self._touched
        for flow in self._flows:
            flow.left -= flow.rate * passed
        self._touched = self._agenda.seconds

    def _share(self) -> None:
        """Set all rates anew, and come back when the first transfer ends at these rates."""
        self._ticket += 1
        _fill(self._flows, self._network)
        if self._flows:
            ticket = self._ticket
            soonest = min(flow.left / flow.rate for flow in self._flows)
            self._agenda.after(max(soonest, 0.0), lambda: self._finish(ticket))

    def _finish(self, ticket: int) -> None:
        if ticket != self._ticket:
            return
        self._advance()
        slack = max(SMALLEST_BYTES, self._wires.bytes_per_second * 1e-9)
        ended = [flow for flow in self._flows if flow.left <= slack]
        self._flows = [flow for flow in self._flows if flow.left > slack]
        for flow in ended:
            flow.batch.missing -= 1
            if not flow.batch.missing:
                flow.batch.done()
        self._share()


def _fill(flows: Sequence[_Flow], network: NodeNetwork) -> None:
    """Max-min fairness by progressive filling: the narrowest card fixes the rates of what goes through it first."""
    room: dict[tuple[str, str | int], float] = {}
    through: dict[tuple[str, str | int], list[_Flow]] = {}
    for flow in flows:
        for port in flow.ports:
            room[port] = flow.most if isinstance(port[1], int) else network.rate(port[1])
            through.setdefault(port, []).append(flow)
    while through:
        port = min(through, key=lambda one: room[one] / len(through[one]))
        share = room[port] / len(through[port])
        for flow in through.pop(port):
            flow.rate = share
            for other in flow.ports:
                if other in through:
                    room[other] -= share
                    through[other].remove(flow)
                    if not through[other]:
                        del through[other]


__all__ = ["Sharing", "Transfers", "Wires"]
