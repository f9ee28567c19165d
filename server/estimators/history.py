"""Predicts from what happened: the median of past runs on this node, then on nodes of its class, then anywhere, scaled
by speed. One run already helps; many make the band narrow. Robust: medians, and bands from the median deviation.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from statistics import median

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators.bands import LONGEST_SECONDS, SHORTEST_SECONDS, SLOWEST, banded
from server.estimators.classes import node_class
from server.estimators.inputs import InputScale
from server.estimators.interface import EstimatorInterface, Observation, Profile

Key = Callable[[Profile], Hashable]

MOST_COMPONENTS, MOST_NODES, MOST_CLASSES = 5_000, 256, 64
MOST_RUNS = 32
"""So many of the latest runs count, per component and node, class, and in all."""

PRIOR_SPREAD, PRIOR_WEIGHT = 0.35, 3.0
"""Spread that is assumed before there are runs enough, and how many runs it weighs."""

OTHER_CLASS_SPREAD = 0.4
"""Added for a node of whose class nothing was seen."""

NODE_SHRINK, CLASS_SHRINK = 2.0, 1.0
"""How many runs of the wider group a node's (a class's) own runs are weighed against."""


def by_code(profile: Profile) -> Hashable:
    """The same code, run with the same option."""
    return (profile.component_digest, profile.option)


def by_name(profile: Profile) -> Hashable:
    """A component of the same name, in whatever version."""
    return (profile.component, profile.option)


@dataclass(slots=True)
class _Record:
    """What is remembered of one component: logarithms of seconds by node and class, and of seconds x speed."""

    by_node: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    by_class: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    work: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RUNS))
    peaks: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RUNS))
    scale: InputScale = field(default_factory=InputScale)
    rows: dict[float, list[Estimate | None]] = field(default_factory=dict)


class HistoryEstimator(EstimatorInterface):
    """Medians of past runs. `key` says which runs count as runs of the same thing; `extra_spread` widens the band."""

    name = "history"

    def __init__(self, *, key: Key = by_code, extra_spread: float = 0.0, of_what: str = "") -> None:
        self._key, self._extra_spread, self._of_what = key, extra_spread, of_what
        self._records: OrderedDict[Hashable, _Record] = OrderedDict()
        self._nodes: list[tuple[str, str, float]] = []

    def observe(self, observations: Sequence[Observation]) -> None:
        """Learn from attempts that succeeded; a failed one says nothing about how long success takes."""
        for seen in observations:
            if seen.state == "succeeded" and math.isfinite(seen.run_seconds) and seen.run_seconds >= 0:
                self._learn(seen)

    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        """One row per profile; all None for what never ran."""
        described = [(node.name, node_class(node), node.speed) for node in nodes]
        if described != self._nodes:
            self._nodes = described
            for record in self._records.values():
                record.rows.clear()
        return [self._row(profile) for profile in profiles]

    def _learn(self, seen: Observation) -> None:
        key = self._key(seen.profile)
        record = self._records.setdefault(key, _Record())
        self._records.move_to_end(key)
        if len(self._records) > MOST_COMPONENTS:
            self._records.popitem(last=False)
        seconds = math.log(min(max(seen.run_seconds, SHORTEST_SECONDS), LONGEST_SECONDS))
        work = seconds + math.log(max(seen.node_speed, SLOWEST))
        _append(record.by_node, seen.node, seconds, MOST_NODES)
        _append(record.by_class, seen.node_class, seconds, MOST_CLASSES)
        record.work.append(work)
        record.scale.observe(seen.profile.input_bytes, work)
        if seen.peak_memory_bytes is not None:
            record.peaks.append(seen.peak_memory_bytes)
        record.rows.clear()

    def _row(self, profile: Profile) -> list[Estimate | None]:
        record = self._records.get(self._key(profile))
        if record is None:
            return [None] * len(self._nodes)
        shift = round(record.scale.shift(profile.input_bytes), 3)
        if shift not in record.rows:
            if len(record.rows) >= MOST_RUNS:
                record.rows.clear()
            record.rows[shift] = self._fresh_row(record, shift)
        return record.rows[shift]

    def _fresh_row(self, record: _Record, shift: float) -> list[Estimate | None]:
        base, spread = median(record.work), _spread(record.work)
        shared: dict[tuple[str, float], tuple[float, Estimate]] = {}
        row: list[Estimate | None] = []
        for name, kind, speed in self._nodes:
            if (kind, speed) not in shared:
                shared[kind, speed] = self._of_class(record, kind, base - math.log(max(speed, SLOWEST)), spread, shift)
            wider, estimate = shared[kind, speed]
            runs = record.by_node.get(name)
            row.append(estimate if runs is None else self._on_node(record, name, runs, wider, shift))
        return row

    def _of_class(
        self, record: _Record, kind: str, scaled: float, spread: float, shift: float
    ) -> tuple[float, Estimate]:
        """The logarithm of the median for nodes of a class, and the estimate for one without runs of its own."""
        runs = record.by_class.get(kind)
        if runs is None:
            source = self._said(len(record.work), "on other nodes, scaled by speed")
            return scaled, self._banded(record, scaled + shift, math.hypot(spread, OTHER_CLASS_SPREAD), source)
        centre = _shrunk(runs, scaled, CLASS_SHRINK) if len(runs) < len(record.work) else median(runs)
        source = self._said(len(runs), f"on {kind.partition('/')[0]} nodes")
        return centre, self._banded(record, centre + shift, _spread(runs), source)

    def _on_node(self, record: _Record, name: str, runs: deque[float], wider: float, shift: float) -> Estimate:
        centre = _shrunk(runs, wider, NODE_SHRINK)
        return self._banded(record, centre + shift, _spread(runs), self._said(len(runs), f"on {name}"))

    def _banded(self, record: _Record, centre: float, spread: float, source: str) -> Estimate:
        spread = math.hypot(spread, self._extra_spread)
        return banded(math.exp(centre), spread, source, peak_memory_bytes=max(record.peaks, default=None))

    def _said(self, runs: int, where: str) -> str:
        return f"from {runs} {'run' if runs == 1 else 'runs'}{self._of_what} {where}"


def _append(groups: OrderedDict[str, deque[float]], name: str, value: float, most: int) -> None:
    groups.setdefault(name, deque(maxlen=MOST_RUNS)).append(value)
    groups.move_to_end(name)
    if len(groups) > most:
        groups.popitem(last=False)


def _shrunk(runs: Sequence[float], wider: float, shrink: float) -> float:
    """The median of the runs, drawn towards the wider group's while they are few."""
    weight = len(runs) / (len(runs) + shrink)
    return weight * median(runs) + (1 - weight) * wider


def _spread(runs: Sequence[float]) -> float:
    """Standard deviation of the logarithm, from the median deviation and a prior."""
    centre = median(runs)
    own = 1.4826 * median(abs(run - centre) for run in runs)
    return math.sqrt((len(runs) * own**2 + PRIOR_WEIGHT * PRIOR_SPREAD**2) / (len(runs) + PRIOR_WEIGHT))


__all__ = ["HistoryEstimator", "by_code", "by_name"]
