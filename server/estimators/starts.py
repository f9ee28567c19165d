"""How long tasks take to start once they are bound, per class of nodes: queue at the platform, image, process.

Kept apart from run times, so that a slow registry does not make a component look slow.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

from server.estimators.interface import Observation

MOST_CLASSES, MOST_STARTS = 512, 64


@dataclass(frozen=True, slots=True)
class StartTime:
    """Seconds from binding to the start of a run, over the latest `runs` on one class of nodes."""

    node_class: str
    runs: int
    p10_seconds: float
    p50_seconds: float
    p90_seconds: float


class StartTimes:
    """Keeps the latest start times per node class; bounded."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, deque[float]] = OrderedDict()

    def observe(self, seen: Observation) -> None:
        """Learn from one run, however it ended."""
        if seen.start_seconds is None or not 0 <= seen.start_seconds < math.inf:
            return
        place = seen.node_class or seen.node
        self._latest.setdefault(place, deque(maxlen=MOST_STARTS)).append(seen.start_seconds)
        self._latest.move_to_end(place)
        if len(self._latest) > MOST_CLASSES:
            self._latest.popitem(last=False)

    def of(self, node_class: str) -> StartTime | None:
        """What to expect on a class of nodes, None before the first run there."""
        latest = self._latest.get(node_class)
        if not latest:
            return None
        ordered = sorted(latest)
        p10, p50, p90 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.1, 0.5, 0.9))
        return StartTime(node_class, len(ordered), p10, p50, p90)

    def all(self) -> list[StartTime]:
        """Of every class of nodes, by name."""
        return [found for name in sorted(self._latest) if (found := self.of(name)) is not None]


__all__ = ["StartTime", "StartTimes"]
