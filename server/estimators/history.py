"""Predicts from what happened: every component's own regression, over machine factors that all components share.

One run already helps, many dominate; runs elsewhere, of earlier versions and with other inputs count for what they are
worth, with a wider band. Where the flow goes: `records` keep the runs, `machines` compares the machines, `regression`
weighs the hypotheses, `pooling` carries over what all components have in common.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators.bands import LONGEST_SECONDS, SHORTEST_SECONDS, Z90
from server.estimators.classes import node_class
from server.estimators.columns import Columns, Kind
from server.estimators.holding_out import few_accelerators, kinds_of
from server.estimators.interface import EstimatorInterface, Observation, Profile
from server.estimators.machines import Array, MachineSpeeds, MachineTable, machine_of
from server.estimators.memory import PeakMemory, peak_memory
from server.estimators.points import Terms
from server.estimators.pooling import EMPTY_POOL, Pool, pooled
from server.estimators.records import CENSORED, Described, Indexed, Record
from server.estimators.regression import Fit, fit, predict
from server.estimators.sources import Sources

ComponentKey = tuple[str, str]
"""Name and option."""

MOST_COMPONENTS, MOST_GROUPS_IN_ALL, MOST_NODES, MOST_ROWS = 5_000, 20_000, 4_096, 64
MOST_HELD_OUT = 64
STALE_PART, MANY_GROUPS = 8, 48
"""A run that is over is compared with a fit that lacks at most one run for so many groups of them."""

POOLING_PART = 64
"""What is shared is worked out anew when more than one run in so many is new."""


LEARNT_FROM = frozenset({"succeeded"}) | CENSORED


@dataclass(slots=True)
class _Kept:
    """The newest fit of a component: of which version of its runs, with which pool, and what it predicted so far.

    `is_rough`: only the likeliest hypotheses of an earlier fit were weighed.
    """

    version: int
    pool: Pool
    widening: float
    fitted: Fit
    indexed: Indexed
    is_rough: bool = False
    predicted: dict[Hashable, dict[tuple[Kind, str | None], Estimate]] = field(default_factory=dict)
    rows: dict[Hashable, list[Estimate | None]] = field(default_factory=dict)


class HistoryEstimator(EstimatorInterface):
    """Regression over past runs. `widening` is a factor on the width of the bands, set by whoever checks them.

    What is shared changes a little with every run of any component. So that an answer stays quick, at most `most_fits`
    components without new runs of their own follow such a change per question; `settle` lets all follow.
    """

    name = "history"

    def __init__(self, *, most_fits: int = 16) -> None:
        self.widening = 1.0
        self._most_fits, self._fits_left = most_fits, most_fits
        self._records: OrderedDict[ComponentKey, Record] = OrderedDict()
        self._groups = self._learnt = self._learnt_unpooled = 0
        self._machines = MachineTable()
        self._speeds: OrderedDict[tuple[str, bool], MachineSpeeds] = OrderedDict()
        self._columns = Columns((), self._speeds_known)
        self._pool = EMPTY_POOL
        self._kept: dict[ComponentKey, _Kept] = {}

    @property
    def learnt(self) -> int:
        """Runs learnt so far."""
        return self._learnt

    def observe(self, observations: Sequence[Observation]) -> None:
        """Learn from attempts that succeeded, and from those that were cut off: those would have taken longer."""
        for seen in observations:
            if seen.state in LEARNT_FROM and math.isfinite(seen.run_seconds) and seen.run_seconds >= 0:
                self._learn(seen)

    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        """One row per profile; all None for what never ran."""
        self._look(nodes)
        self._fits_left = self._most_fits
        if self._learnt_unpooled > self._learnt // POOLING_PART:
            self._pool = pooled(self._records, self._machines, self._most_fits, 1)
            self._learnt_unpooled = 0
        return [self._row(profile) for profile in profiles]

    def estimate_one(self, seen: Observation) -> Estimate | None:
        """What is predicted for a run that is over but not yet learnt, None if its component never ran."""
        key = (seen.profile.component, seen.profile.option)
        record = self._records.get(key)
        if record is None or not record.groups:
            return None
        machine = machine_of(seen.node_class or seen.node, seen.profile.accelerators)
        kind = (machine, self._speeds_of(seen))
        kept, described = self._kept.get(key), record.described(seen.profile)
        if kept is None or record.version - kept.version > len(record.groups) // STALE_PART:
            kept = self._refitted(key, record, kept)
        return self._predicted(kept, record, seen.profile, described, [kind], [seen.node], is_time_only=True)[0]

    def settle(self, *, most_fits: int = 10_000) -> None:
        """Let all that is known follow what was learnt: for programs that ask once, and at start.

        Of at most `most_fits` components, the latest, is worked out what they say of the others.
        """
        self._pool = pooled(self._records, self._machines, most_fits, min(most_fits // 4, MOST_HELD_OUT))
        self._learnt_unpooled = 0
        self._kept.clear()

    def _learn(self, seen: Observation) -> None:
        key = (seen.profile.component, seen.profile.option)
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = Record()
        self._records.move_to_end(key)
        speeds = self._speeds_of(seen)
        self._machines.see(machine_of(seen.node_class or seen.node, seen.profile.accelerators), speeds)
        before = len(record.groups)
        record.add(seen, speeds)
        self._groups += len(record.groups) - before
        while len(self._records) > MOST_COMPONENTS or self._groups > MOST_GROUPS_IN_ALL:
            forgotten, old = self._records.popitem(last=False)
            self._groups -= len(old.groups)
            self._kept.pop(forgotten, None)
        self._learnt += 1
        self._learnt_unpooled += 1

    def _speeds_of(self, seen: Observation) -> MachineSpeeds:
        """As measured when it ran; else as known of the node now."""
        is_accelerated = bool(seen.profile.accelerators)
        speeds = MachineSpeeds.from_figures(seen.node_speeds, seen.node_speed, seen.node_cores, is_accelerated)
        return self._speeds.get((seen.node, is_accelerated), speeds) if speeds.is_unknown else speeds

    def _speeds_known(self, node: Node, is_accelerated: bool) -> MachineSpeeds:
        """Take note of a node's speeds."""
        speeds = MachineSpeeds.of(node, is_accelerated)
        machine = (node_class(node), is_accelerated)
        if machine not in self._machines.known:
            self._learnt_unpooled = self._learnt
        self._machines.see(machine, speeds)
        self._speeds[node.name, is_accelerated] = speeds
        if len(self._speeds) > MOST_NODES:
            self._speeds.popitem(last=False)
        return speeds

    def _look(self, nodes: Sequence[Node]) -> None:
        """Take note of the nodes; nothing to do when they are those of the last time."""
        if not self._columns.are_of(nodes):
            self._columns = Columns(tuple(nodes), self._speeds_known)
            for kept in self._kept.values():
                kept.rows.clear()

    def _row(self, profile: Profile) -> list[Estimate | None]:
        key = (profile.component, profile.option)
        record = self._records.get(key)
        if record is None or not record.groups:
            return [None] * len(self._columns.nodes)
        kept, described = self._fitted(key, record), record.described(profile)
        asked = (profile.component_digest, bool(profile.accelerators), described.identity)
        row = kept.rows.get(asked)
        if row is None:
            if len(kept.predicted) >= MOST_ROWS:
                kept.predicted.clear()
                kept.rows.clear()
            row = kept.rows[asked] = self._fresh_row(kept, record, profile, described, asked)
        return row

    def _fresh_row(
        self, kept: _Kept, record: Record, profile: Profile, described: Described, asked: Hashable
    ) -> list[Estimate | None]:
        """One prediction for each distinct machine, and for each node with runs of its own."""
        columns = self._columns
        kind_of_node = columns.kind_of_node[bool(profile.accelerators)]
        wanted: list[tuple[Kind, str | None]] = [(columns.kinds[index], None) for index in sorted(set(kind_of_node))]
        own = [name for name in record.indexed().nodes if name in columns.position]
        wanted.extend((columns.kinds[kind_of_node[columns.position[name]]], name) for name in own)
        predicted = kept.predicted.setdefault(asked, {})
        if missing := [one for one in wanted if one not in predicted]:
            kinds, names = zip(*missing, strict=True)
            found = self._predicted(kept, record, profile, described, kinds, names)
            predicted.update(zip(missing, found, strict=True))
        by_kind = {index: predicted[columns.kinds[index], None] for index in set(kind_of_node)}
        row: list[Estimate | None] = [by_kind[index] for index in kind_of_node]
        for name in own:
            position = columns.position[name]
            row[position] = predicted[columns.kinds[kind_of_node[position]], name]
        return row

    def _predicted(
        self,
        kept: _Kept,
        record: Record,
        profile: Profile,
        described: Described,
        kinds: Sequence[Kind],
        names: Sequence[str | None],
        *,
        is_time_only: bool = False,
    ) -> list[Estimate]:
        """Predictions for machines, and for nodes of them where a name is given; of memory too, or `is_time_only`."""
        machines = [machine for machine, _ in kinds]
        queries = kept.indexed.queries(profile.component_digest, described, machines, names)
        middle, down, up = predict(kept.fitted, queries, self._terms(kinds))
        sources = Sources(record, profile.component_digest)
        said = [sources.of(machine, name) for machine, name in zip(machines, names, strict=True)]
        peak = None if is_time_only else peak_memory(record, described.log_size)
        widths = self._pool.widths
        kinds_asked = kinds_of(kept.fitted.points, queries, kept.fitted.varying)
        factor = np.array([kept.widening * widths.get(kind, 1.0) for kind in kinds_asked])
        if profile.accelerators:
            ran = set(zip(kept.fitted.points.machine.tolist(), kept.fitted.points.key.tolist(), strict=True))
            asked = zip(queries.machine.tolist(), queries.key.tolist(), strict=True)
            wider, own = few_accelerators(self._pool.accelerators), self._pool.on_accelerator
            factor *= np.array(
                [
                    1.0 if pair in ran else wider * own.get(machine, 1.0)
                    for pair, machine in zip(asked, machines, strict=True)
                ]
            )
        return _estimates(middle, down * factor, up * factor, said, peak)

    def _fitted(self, key: ComponentKey, record: Record) -> _Kept:
        """The component's regression: anew after runs of its own, in its turn after others'."""
        kept = self._kept.get(key)
        if kept is not None and kept.version == record.version and not kept.is_rough:
            if kept.pool is self._pool or self._fits_left <= 0:
                return kept
            self._fits_left -= 1
        return self._refitted(key, record, None)

    def _refitted(self, key: ComponentKey, record: Record, before: _Kept | None) -> _Kept:
        """Fit anew; roughly where an earlier fit is given and much is known, which does to compare a run with."""
        indexed = record.indexed()
        is_rough = before is not None and len(indexed.points.weight) >= MANY_GROUPS
        earlier = before.fitted if before is not None and is_rough else None
        fitted = fit(indexed.points, self._terms(indexed.kinds()), self._pool.grid, self._pool.growth, earlier)
        kept = self._kept[key] = _Kept(record.version, self._pool, self.widening, fitted, indexed, is_rough)
        return kept

    def _terms(self, kinds: Sequence[Kind]) -> Terms:
        return Terms.of(self._pool.corrections, kinds)


def _estimates(
    middle: Array, down: Array, up: Array, sources: Sequence[str], peak: PeakMemory | None
) -> list[Estimate]:
    logs = np.stack([middle - Z90 * down, middle, middle + Z90 * up])
    logs = np.clip(logs, math.log(SHORTEST_SECONDS), math.log(LONGEST_SECONDS))
    usual, high = (peak.usual_bytes, peak.high_bytes) if peak is not None else (None, None)
    return [
        Estimate(p50, p10, p90, source, usual, high)
        for p10, p50, p90, source in zip(*np.exp(logs).tolist(), sources, strict=True)
    ]


__all__ = ["HistoryEstimator"]
