"""The nodes as they are now: what the sources see, joined with what our own live tasks hold.

Sources are looked at in the background; `current` joins their last word with the journal's live runs and does no I/O.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from server.cluster.interface import NodeSourceInterface, NodesSeen
from server.cluster.profiles import Profiles
from server.components.clock import Clock
from server.components.live_view import LiveView
from server.components.reporting.rates import Rates
from server.domain.errors import MlopxError
from server.domain.load import with_placements
from server.domain.node import Load, Node, Occupancy, Snapshot
from server.domain.placement import UNKNOWN_SECONDS
from server.domain.request import Defaults, requests_of
from server.domain.run import Run
from server.domain.starting import NodeImages
from server.domain.underway import underway

log = logging.getLogger(__name__)

MOST_NAMED = 5
LOAD_LASTS = timedelta(seconds=120)
"""A load that was measured longer ago is unknown."""


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
        profiles: Profiles | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._sources, self._live, self._clock = sources, live, clock
        self._live_view, self._defaults = LiveView(defaults), defaults
        self._refresh_seconds = refresh_seconds
        self._profiles, self._rates = profiles or Profiles(), rates or Rates()
        self._complete: dict[str, tuple[Node, Node]] = {}
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
        await asyncio.gather(*(self._look(source) for source in self._sources))
        self._profiles.learn_classes(tuple(node for look in self._seen.values() for node in look.nodes))
        if self._picture() != before:
            for callback in self._on_change:
                callback()

    async def _look(self, source: NodeSourceInterface) -> None:
        try:
            seen = await source.look()
        except MlopxError as error:
            self._say(source.name, error.message)
            return
        self._seen[source.name] = seen
        if seen.problems:
            self._say(source.name, "; ".join(seen.problems))
        else:
            self._problems.pop(source.name, None)

    def _say(self, source: str, problem: str) -> None:
        if source not in self._problems:
            log.warning("node source %s: %s", source, problem)
        self._problems[source] = problem

    async def refresh_forever(self) -> None:
        """Refresh every `refresh_seconds`, until cancelled."""
        while True:
            await self.refresh()
            await self._clock.sleep(self._refresh_seconds)

    def current(self) -> Snapshot:
        """The newest snapshot. `taken_at` is when the oldest source of nodes was last seen; no I/O."""
        seen = list(self._seen.values())
        own = self._own()
        foreign = beside_tasks([one for look in seen for one in look.foreign], own, self._clock.now())
        taken_at: datetime = min((look.seen_at for look in seen if look.nodes), default=self._clock.now())
        return Snapshot(
            taken_at=taken_at,
            nodes=self._nodes(),
            occupancies=(*foreign, *own),
            loads=self._loads(),
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

    def images(self) -> Mapping[str, NodeImages]:
        """The images that lie on nodes, by node, of those that tell; the same object as long as nobody looked anew."""
        told = [look.images for look in self._seen.values() if look.images]
        return told[0] if len(told) == 1 else {name: one for images in reversed(told) for name, one in images.items()}

    def count_assignment(self, node: str) -> None:
        """One more task was given to this node."""
        self._assignments[node] += 1

    def assignments(self) -> Mapping[str, int]:
        """Tasks given to each node since the start."""
        return dict(self._assignments)

    def problems(self) -> Mapping[str, str]:
        """What is wrong with which source now, and with what they say together."""
        counts = Counter(node.name for look in self._seen.values() for node in look.nodes)
        doubles = sorted(name for name, count in counts.items() if count > 1)
        if not doubles:
            return dict(self._problems)
        named = ", ".join(doubles[:MOST_NAMED]) + (" and more" if len(doubles) > MOST_NAMED else "")
        return {**self._problems, "names": f"several nodes are called {named}: what was seen first counts"}

    def _nodes(self) -> tuple[Node, ...]:
        found: dict[str, Node] = {}
        for look in self._seen.values():
            for node in look.nodes:
                if node.name not in found:
                    found[node.name] = self._completed(node)
        return tuple(found.values())

    def _completed(self, node: Node) -> Node:
        """The node with its measured speeds and its price."""
        kept = self._complete.get(node.name)
        if kept is None or kept[0] is not node:
            priced = replace(node, price_per_hour=self._rates.of_node(node))
            kept = self._complete[node.name] = (node, self._profiles.apply(priced))
        return kept[1]

    def _loads(self) -> dict[str, Load]:
        """Measured loads that are not too old to mean anything, with our own tasks that they do not show yet."""
        oldest = self._clock.now() - LOAD_LASTS
        fresh = {
            name: load
            for look in self._seen.values()
            for name, load in look.loads.items()
            if load.measured_at >= oldest
        }
        return with_placements(fresh, self._nodes(), self._placed_lately()) if fresh else {}

    def _placed_lately(self) -> list[tuple[str, int, datetime]]:
        """Node, millicores and instant of every task of ours that is bound, or about to begin."""
        found = []
        for run in self._live():
            for key, attempt in underway(run):
                node, at = attempt.actual_node or attempt.node, attempt.started_at or attempt.placed_at
                if node is not None and at is not None:
                    found.append((node, requests_of(run, key, attempt.option, self._defaults).cpu_millicores, at))
        return found

    def _own(self) -> list[Occupancy]:
        runs = self._live()
        self._live_view.keep_only(run.id for run in runs)
        return self._live_view.held(runs)

    def _picture(self) -> set[tuple[str, bool, bool]]:
        return {(node.name, node.is_ready, node.is_schedulable) for look in self._seen.values() for node in look.nodes}


def beside_tasks(foreign: Sequence[Occupancy], own: Sequence[Occupancy], now: datetime) -> list[Occupancy]:
    """What others hold, where what lies beside a task of ours is expected to go with it."""
    unknown = now + timedelta(seconds=UNKNOWN_SECONDS)
    ends: dict[tuple[str | None, str, str], datetime] = {}
    for one in own:
        place, end = (one.run_id, (one.task or "").split(".")[0], one.node), one.expected_end_at or unknown
        ends[place] = max(end, ends.get(place, end))
    return [
        Occupancy(
            one.node,
            one.requests,
            expected_end_at=one.expected_end_at or ends.get((one.run_id, one.task or "", one.node), unknown),
        )
        if one.run_id is not None
        else one
        for one in foreign
    ]
