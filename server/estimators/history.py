"""Predicts from what happened: every component's own regression, over machine factors that all components share.

One run already helps, many dominate; runs elsewhere, of earlier versions and with other inputs count for what they are
worth, with a wider band. Where the flow goes: `records` keep the runs, `machines` compares the machines, `regression`
weighs the hypotheses, `pooling` carries over what all components have in common.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators.answering import Kept, Row, answer, estimates
from server.estimators.classes import node_class
from server.estimators.columns import Columns
from server.estimators.described import Described
from server.estimators.interface import EstimatorInterface, Observation, Profile
from server.estimators.machines import MachineSpeeds, MachineTable, machine_of
from server.estimators.points import Terms
from server.estimators.pooling import EMPTY_POOL, pooled
from server.estimators.records import CENSORED, Record
from server.estimators.regression import fit, fit_roughly

ComponentKey = tuple[str, str]
"""Name and option."""

MOST_COMPONENTS, MOST_GROUPS_IN_ALL, MOST_NODES, MOST_ROWS = 5_000, 20_000, 4_096, 64
MOST_HELD_OUT = 32
STALE_PART = 8
"""A run that is over is compared with a fit that lacks at most one run for so many groups of them (with one where there
is no time for more)."""

FEW_GROUPS, MOST_ROUGHLY = 8, 16
"""Of more groups than a few, or where there is no time, a fit for that is made roughly: of so many of the latest."""

POOLING_PART = 64
"""What is shared is worked out anew when more than one run in so many is new."""


LEARNT_FROM = frozenset({"succeeded"}) | CENSORED


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
        self._groups = self._learnt = self._learnt_unpooled = self._questions = 0
        self._machines = MachineTable()
        self._speeds: OrderedDict[tuple[str, bool], MachineSpeeds] = OrderedDict()
        self._columns = Columns((), self._speeds_known)
        self._pool = EMPTY_POOL
        self._kept: dict[ComponentKey, Kept] = {}

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
        self._questions += 1
        if self._learnt_unpooled > self._learnt // POOLING_PART:
            self._pool = pooled(self._records, self._machines, self._most_fits, 1)
            self._learnt_unpooled = 0
        return self._rows(profiles)

    def estimate_one(self, seen: Observation, *, is_patient: bool = True) -> Estimate | None:
        """What is predicted for a run that is over but not yet learnt, None if its component never ran."""
        key = (seen.profile.component, seen.profile.option)
        record = self._records.get(key)
        if record is None or not record.groups:
            return None
        profile, kept = seen.profile, self._kept.get(key)
        if kept is None or (is_patient and self._is_stale(kept, record, 0)):
            kept = self._refitted(key, record, not is_patient or len(record.groups) > FEW_GROUPS)
        place = ((machine_of(seen.node_class or seen.node, profile.accelerators), self._speeds_of(seen)), seen.node)
        asked, digest, is_accelerated = (
            [record.described(profile)],
            profile.component_digest,
            bool(profile.accelerators),
        )
        return estimates(kept, record, digest, is_accelerated, asked, [place], self._pool, is_time_only=True)[0][0]

    def follow(self, profile: Profile) -> bool:
        """Let a fit that is too old to compare runs with follow those since; whether that was much work."""
        key = (profile.component, profile.option)
        record, kept = self._records.get(key), self._kept.get(key)
        if record is None or len(record.groups) == 1 or (kept and not self._is_stale(kept, record, 1)):
            return False
        self._refitted(key, record, is_rough=True)
        return True

    def _is_stale(self, kept: Kept, record: Record, least: int) -> bool:
        return record.version - kept.version > max(len(record.groups) // STALE_PART, least)

    def settle(self, *, most_fits: int = 10_000) -> None:
        """Let all that is known follow what was learnt: for programs that ask once, and at start.

        Of at most `most_fits` components, the latest, is worked out what they say of the others.
        """
        self._pool = pooled(self._records, self._machines, most_fits, min(most_fits // 4, MOST_HELD_OUT))
        self._learnt_unpooled = 0
        for kept in self._kept.values():
            kept.forget()

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
                kept.forget_rows()

    def _rows(self, profiles: Sequence[Profile]) -> list[Row]:
        """What is not known yet is worked out together for all profiles of a component's version."""
        unknown: Row = [None] * len(self._columns.nodes)
        known: dict[ComponentKey, tuple[Kept, Record] | None] = {}
        new: dict[tuple[ComponentKey, str, bool], dict[Hashable, Described]] = {}
        asked_of: list[tuple[Kept, Hashable] | None] = []
        for profile in profiles:
            key = (profile.component, profile.option)
            if key not in known:
                record = self._records.get(key)
                known[key] = (self._fitted(key, record), record) if record is not None and record.groups else None
            found = known[key]
            if found is None:
                asked_of.append(None)
                continue
            kept, record = found
            described, is_accelerated = record.described(profile), bool(profile.accelerators)
            asked = (profile.component_digest, is_accelerated, described.identity)
            asked_of.append((kept, asked))
            if kept.row(asked, self._questions) is None:
                new.setdefault((key, profile.component_digest, is_accelerated), {})[asked] = described
        for (key, digest, is_accelerated), some in new.items():
            if (found := known[key]) is not None:
                answer(*found, self._columns, digest, is_accelerated, some, self._pool)
        return [unknown if one is None else one[0].rows[one[1]] for one in asked_of]

    def _fitted(self, key: ComponentKey, record: Record) -> Kept:
        """The component's regression: anew after runs of its own, in its turn after others'."""
        kept = self._kept.get(key)
        if kept is not None and kept.version == record.version and not kept.is_rough:
            if kept.pool is self._pool or self._fits_left <= 0:
                return kept
            self._fits_left -= 1
        return self._refitted(key, record, is_rough=False)

    def _refitted(self, key: ComponentKey, record: Record, is_rough: bool) -> Kept:
        """Fit anew; or roughly, which does to compare a run with."""
        before, pool = self._kept.get(key), self._pool
        indexed = record.latest(MOST_ROUGHLY) if is_rough else record.indexed()
        points, terms = indexed.points, Terms.of(pool.corrections, indexed.kinds())
        if is_rough:
            if before is not None:
                strange = dict(zip(before.indexed.groups, before.fitted.points.excess.tolist(), strict=False))
                points = replace(points, excess=np.array([strange.get(group, 0.0) for group in indexed.groups]))
            fitted = fit_roughly(points, terms, pool.grid, pool.growth, before.fitted if before is not None else None)
        else:
            fitted = fit(points, terms, pool.grid, pool.growth)
        kept = self._kept[key] = Kept(record.version, pool, self.widening, fitted, indexed, is_rough)
        return kept


__all__ = ["LEARNT_FROM", "MOST_COMPONENTS", "ComponentKey", "HistoryEstimator"]
