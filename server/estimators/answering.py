"""Answers about one component: rows of estimates from its newest fit, many profiles at once, kept while it lasts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np

from server.domain.packing import estimates_from
from server.domain.placement import Estimate
from server.estimators.bands import LONGEST_SECONDS, SHORTEST_SECONDS, Z90
from server.estimators.columns import Columns, Kind
from server.estimators.described import Described
from server.estimators.fitted import Fit
from server.estimators.holding_out import ELSEWHERE, KINDS, LARGER, MUCH_LARGER, few_accelerators, kinds_of
from server.estimators.indexed import Indexed
from server.estimators.machines import Array, Indices
from server.estimators.memory import PeakMemory, peak_memory
from server.estimators.points import Points, Terms
from server.estimators.pooling import Pool
from server.estimators.predicting import machine_variance, predict_all
from server.estimators.records import Record
from server.estimators.sources import Sources

MOST_ROWS = 64

Place = tuple[Kind, str | None]
"""A machine, and a node of it that has runs of its own (None: any)."""

Row = list[Estimate | None]
Known = tuple[tuple[Place, ...], list[Estimate]]
"""What was predicted of a profile: the places, shared by all that were asked for with it, and an estimate for each."""


@dataclass(slots=True)
class Kept:
    """The newest fit of a component: of which version of its runs, with which pool, and what it predicted so far.

    `is_rough`: it is to be fitted anew before it is asked: not all hypotheses were weighed, or what is shared is other.
    """

    version: int
    pool: Pool
    widening: float
    fitted: Fit
    indexed: Indexed
    is_rough: bool = False
    predicted: dict[Hashable, Known] = field(default_factory=dict)
    rows: dict[Hashable, Row] = field(default_factory=dict)
    older: tuple[dict[Hashable, Known], dict[Hashable, Row]] = field(default_factory=lambda: ({}, {}))
    asked_in: int = 0

    def row(self, asked: Hashable, question: int) -> Row | None:
        """What was predicted before."""
        if self.asked_in != question:
            self.asked_in = question
            if len(self.predicted) >= MOST_ROWS:
                self.older = (self.predicted, self.rows)
                self.predicted, self.rows = {}, {}
        predicted, rows = self.older
        if asked in predicted:
            self.predicted[asked] = predicted.pop(asked)
            if asked in rows:
                self.rows[asked] = rows.pop(asked)
        return self.rows.get(asked)

    def forget_rows(self) -> None:
        """The nodes are others; what was predicted for machines holds."""
        self.rows.clear()
        self.older[1].clear()

    def forget(self) -> None:
        """What was predicted no longer holds, and the fit is to follow."""
        self.is_rough = True
        self.rows, self.predicted, self.older = {}, {}, ({}, {})


def answer(
    kept: Kept,
    record: Record,
    columns: Columns,
    digest: str,
    is_accelerated: bool,
    asked: Mapping[Hashable, Described],
    widths: Pool,
) -> None:
    """Add the rows of profiles of one version of the code: one prediction for each node with runs of its own, and for
    each distinct machine that others are."""
    kind_of_node = columns.kind_of_node[is_accelerated]
    own = [name for name in kept.indexed.nodes if name in columns.position]
    positions = [columns.position[name] for name in own]
    theirs = set(positions)
    used = sorted({kind for position, kind in enumerate(kind_of_node) if position not in theirs})
    wanted: list[Place] = [(columns.kinds[index], None) for index in used]
    wanted.extend((columns.kinds[kind_of_node[position]], name) for position, name in zip(positions, own, strict=True))
    everything = tuple(wanted)
    new = [one for one in asked if one not in kept.predicted]
    missing: dict[tuple[Place, ...], list[Hashable]] = {everything: new} if new else {}
    for one in asked:
        before = kept.predicted.get(one)
        if before is not None and (lacking := tuple(place for place in wanted if place not in before[0])):
            missing.setdefault(lacking, []).append(one)
    for places, many in missing.items():
        found = estimates(kept, record, digest, is_accelerated, [asked[one] for one in many], places, widths)
        for one, some in zip(many, found, strict=True):
            known, row = kept.predicted.get(one, ((), []))
            kept.predicted[one] = (known + places if known else places, row + some)
    spread = itemgetter(*kind_of_node) if len(kind_of_node) > 1 else lambda kinds: (kinds[kind_of_node[0]],)
    for one in asked:
        known, row = kept.predicted[one]
        if known is not everything:
            by_place = dict(zip(known, row, strict=True))
            row = [by_place[place] for place in wanted]
        by_kind: Row = [None] * len(columns.kinds)
        for index, estimate in zip(used, row, strict=False):
            by_kind[index] = estimate
        filled = kept.rows[one] = list(spread(by_kind))
        for position, estimate in zip(positions, row[len(used) :], strict=True):
            filled[position] = estimate


def estimates(
    kept: Kept,
    record: Record,
    digest: str,
    is_accelerated: bool,
    asked: Sequence[Described],
    places: Sequence[Place],
    widths: Pool,
    *,
    is_time_only: bool = False,
) -> list[list[Estimate]]:
    """A row per profile, a column per place; with memory and sources, or `is_time_only`. `widths` says how wide bands
    must be."""
    fitted, indexed = kept.fitted, kept.indexed
    kinds = [kind for kind, _ in places]
    machines = [machine for machine, _ in kinds]
    profiles, there = indexed.profiles(digest, asked), indexed.places(machines, [name for _, name in places])
    terms = Terms.of(kept.pool.corrections, kinds)
    middle, down, up = predict_all(fitted, profiles, there, terms)
    asked_kinds = kinds_of(fitted, profiles, there.machine[None, :])
    if not is_accelerated:
        is_elsewhere, larger = asked_kinds == KINDS.index(ELSEWHERE), widths.widths.get(LARGER, 1.0)
        down, up = (_of_growth(fitted, profiles, terms, is_elsewhere, larger, width) for width in (down, up))
    middle = middle + np.array([[indexed.shift(one)] for one in asked])
    for number, one in enumerate(asked):
        if told := one.foretold:
            below, above = fitted.unsure(
                profiles.chosen(np.array([number])), told.size_spread, indexed.number_spreads(one)
            )
            down[number], up[number] = np.hypot(down[number], below), np.hypot(up[number], above)
    factor = kept.widening * np.array([widths.widths.get(kind, 1.0) for kind in KINDS])[asked_kinds]
    if is_accelerated:
        factor *= _on_accelerators(fitted, profiles, there, widths, machines)
    if is_time_only:
        return _estimates(middle, down * factor, up * factor, [""] * len(places), [None] * len(asked))
    sources, peaks = Sources(record, digest), peak_memory(record, profiles.log_size)
    said = [sources.of(machine, name) for machine, (_, name) in zip(machines, places, strict=True)]
    return _estimates(middle, down * factor, up * factor, said, peaks or [None] * len(asked))


def _of_growth(
    fitted: Fit, profiles: Points, terms: Terms, is_elsewhere: Indices, factor: float, width: Array
) -> Array:
    """The width of bands of inputs that are larger than any that ran, on machines that nothing ran on: by the factor
    for larger inputs, but for what is not known of the machine, of which those that were held out say nothing."""
    if factor == 1 or not is_elsewhere.any():
        return width
    is_larger = fitted.beyond(profiles) > MUCH_LARGER
    of_machine = np.minimum(machine_variance(fitted, terms), width**2)
    found: Array = np.sqrt(of_machine + factor**2 * (width**2 - of_machine))
    return np.where(is_elsewhere & is_larger[:, None], found, width)


def _on_accelerators(
    fitted: Fit, profiles: Points, there: Points, widths: Pool, machines: Sequence[tuple[str, bool]]
) -> Array:
    """The same of what never ran on a kind of accelerators; 1 for what did."""
    ran = set(zip(fitted.points.machine.tolist(), fitted.points.key.tolist(), strict=True))
    wider, own = few_accelerators(widths.accelerators), widths.on_accelerator
    elsewhere = [wider * own.get(machine, 1.0) for machine in machines]
    numbers = there.machine.tolist()
    by_key = {
        key: [1.0 if (number, key) in ran else factor for number, factor in zip(numbers, elsewhere, strict=True)]
        for key in set(profiles.key.tolist())
    }
    return np.array([by_key[key] for key in profiles.key.tolist()])


def _estimates(
    middle: Array, down: Array, up: Array, sources: Sequence[str], peaks: Sequence[PeakMemory | None]
) -> list[list[Estimate]]:
    logs = np.stack([middle - Z90 * down, middle, middle + Z90 * up])
    low, usual, high = np.exp(np.clip(logs, math.log(SHORTEST_SECONDS), math.log(LONGEST_SECONDS)))
    memory = [(peak.usual_bytes, peak.high_bytes) if peak is not None else (None, None) for peak in peaks]
    width = len(sources)
    made = estimates_from(
        usual.ravel().tolist(),
        low.ravel().tolist(),
        high.ravel().tolist(),
        list(sources) * len(memory),
        [usual for usual, _ in memory for _ in range(width)],
        [most for _, most in memory for _ in range(width)],
    )
    return [made[begin : begin + width] for begin in range(0, len(made), width)]


__all__ = ["Kept", "Row", "answer", "estimates"]
