"""The nodes as they are now: what the sources see, joined with what our own live tasks hold.

Sources are looked at in the background; `current` joins their last word with the journal's live runs and does no I/O.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from server.cluster.interface import NodeSourceInterface, NodesSeen
from server.components.clock import Clock
from server.components.live_view import LiveView
from server.domain.errors import MlopxError
from server.domain.node import Node, Occupancy, Snapshot
from server.domain.request import Defaults
from server.domain.run import Run

log = logging.getLogger(__name__)


class NodeManager:
    """Keeps the newest picture of all nodes."""

    def __init__(
        self,
        *,
        sources: Sequence[NodeSourceInterface],
        live: Callable[[], Sequence[Run]],
        defaults: Defaults,
        clock: Clock,
        refresh_seconds: float,
    ) -> None:
        self._sources, self._live, self._clock = sources, live, clock
        self._live_view = LiveView(defaults)
        self._refresh_seconds = refresh_seconds
        self._seen: dict[str, NodesSeen] = {}
        self._problems: dict[str, str] = {}
        self._assignments: Counter[str] = Counter()
        self._on_change: list[Callable[[], None]] = []

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back when the set of nodes or their readiness changed."""
        self._on_change.append(callback)

    async def refresh(self) -> None:
        """Look at every source once. A source that fails keeps its last word, and its problem is remembered."""
        before = self._picture()
        for source in self._sources:
            try:
                self._seen[source.name] = await source.look()
                self._problems.pop(source.name, None)
            except MlopxError as error:
                if source.name not in self._problems:
                    log.warning("node source %s failed: %s", source.name, error)
                self._problems[source.name] = error.message
        if self._picture() != before:
            for callback in self._on_change:
                callback()

    async def refresh_forever(self) -> None:
        """Refresh every `refresh_seconds`, until cancelled."""
        while True:
            await self.refresh()
            await self._clock.sleep(self._refresh_seconds)

    def current(self) -> Snapshot:
        """The newest snapshot. `taken_at` is when the oldest source was last seen; no I/O."""
        seen = list(self._seen.values())
        foreign = [occupancy for look in seen for occupancy in look.foreign]
        loads = {name: load for look in seen for name, load in look.loads.items()}
        taken_at: datetime = min((look.seen_at for look in seen), default=self._clock.now())
        return Snapshot(
            taken_at=taken_at,
            nodes=self._nodes(),
            occupancies=(*foreign, *self._own()),
            loads=loads,
            source="+".join(self._seen),
        )

    async def nodes(self) -> tuple[Node, ...]:
        """All nodes, whatever is held on them, looking first if nothing was ever seen."""
        if not self._seen:
            await self.refresh()
        return self._nodes()

    async def snapshot(self) -> Snapshot:
        """The newest snapshot, looking first if nothing was ever seen."""
        if not self._seen:
            await self.refresh()
        return self.current()

    def count_assignment(self, node: str) -> None:
        """One more task was given to this node."""
        self._assignments[node] += 1

    def assignments(self) -> Mapping[str, int]:
        """Tasks given to each node since the start."""
        return dict(self._assignments)

    def problems(self) -> Mapping[str, str]:
        """What is wrong with which source now."""
        return dict(self._problems)

    def _nodes(self) -> tuple[Node, ...]:
        found: dict[str, Node] = {}
        for look in self._seen.values():
            for node in look.nodes:
                found.setdefault(node.name, node)
        return tuple(found.values())

    def _own(self) -> list[Occupancy]:
        runs = self._live()
        self._live_view.keep_only(run.id for run in runs)
        return self._live_view.held(runs)

    def _picture(self) -> set[tuple[str, bool, bool]]:
        return {(node.name, node.is_ready, node.is_schedulable) for look in self._seen.values() for node in look.nodes}
