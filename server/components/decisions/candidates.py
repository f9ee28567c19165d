"""The nodes that a decision record names for a task: those it would end on first if it were next, with the figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from server.domain.placement import Candidate, Estimate, Estimates, TaskRef, WaitingTask
from server.domain.starting import NO_STARTS
from server.placers.halves import Cluster
from server.placers.halves.cluster import MOST_NODES_COMPARED, UNKNOWN_SECONDS
from server.planning.needs import Needs
from server.planning.problem import NEVER, Floats

Booleans = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
"""Nodes by their place in `Needs.nodes`."""

Images = tuple[str | None, ...]
Key = tuple[int, tuple[int | None, ...], Images]
"""Tasks with equal needs, and with the same row of estimates and image for each option, have the same candidates."""

DIGITS = 3
TURNS_KEPT = 8
_LARGEST_SCALED, _NEAR_HALF = 1e9, 1e-5
_UNKNOWN = Estimate(UNKNOWN_SECONDS, UNKNOWN_SECONDS, UNKNOWN_SECONDS, "unknown")
_AT_LAST = float(np.finfo(np.float64).max)
"""Where room never comes, yet a task can run: after everything else that can run it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Offers:
    """What n nodes offer to tasks with equal needs and q options.

    `can` [n, q] says which options work there, `start` [n, q] when they could start (NaN where nobody asked yet,
    infinite where the room never comes), `has_room` [n] whether one could start now (-1 where nobody asked).
    """

    needs: Needs
    names: tuple[str, ...]
    nodes: Places
    can: Booleans
    start: Floats
    has_room: npt.NDArray[np.int8]

    @classmethod
    def of(cls, task: WaitingTask, needs: Needs) -> _Offers:
        """Nothing is asked yet."""
        names = tuple(option.name for option in task.options)
        works = [{option.name for option in needs.options[node]} for node in needs.nodes]
        can = np.array([[name in there for name in names] for there in works], np.bool_).reshape(-1, len(names))
        nodes = np.array(needs.nodes, np.int64)
        return cls(needs, names, nodes, can, np.full(can.shape, np.nan), np.full(len(nodes), -1, np.int8))


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """One row of estimates in columns, with what is assumed of nodes without one at its end: medians, and the rounded
    10th, 50th and 90th percentiles. `row` is held, so that no other takes its identity."""

    row: Sequence[Estimate]
    p50: Floats
    low: Sequence[float]
    usual: Sequence[float]
    high: Sequence[float]

    @classmethod
    def of(cls, row: Sequence[Estimate]) -> _Band:
        """Of a row."""
        low, usual, high = (
            np.fromiter(map(attrgetter(name), (*row, _UNKNOWN)), np.float64, len(row) + 1)
            for name in ("p10", "p50", "p90")
        )
        return cls(row, usual, rounded(low), rounded(usual), rounded(high))


class Bands:
    """Rows of estimates in columns; those of rows that stay the same are kept from cycle to cycle."""

    def __init__(self) -> None:
        self._table: Sequence[Sequence[Estimate]] = ()
        self._unknown: Sequence[Estimate] = ()
        self._bands: dict[int, _Band] = {}
        self._looked_at: dict[int, int] = {}
        self._turn = 0

    @property
    def kept(self) -> int:
        """How many rows are kept."""
        return len(self._bands)

    def turn_to(self, estimates: Estimates) -> None:
        """From now on it is about these estimates; what nobody looked at for `TURNS_KEPT` turns is forgotten."""
        self._table = estimates.table
        self._unknown = (_UNKNOWN,) * (len(self._table[0]) if len(self._table) else 0)
        self._turn += 1
        for row in [row for row, turn in self._looked_at.items() if turn < self._turn - TURNS_KEPT]:
            del self._bands[row], self._looked_at[row]

    def of(self, number: int | None) -> _Band:
        """Of one row, None for a task without estimates."""
        row = self._unknown if number is None else self._table[number]
        band = self._bands.get(id(row))
        if band is None:
            self._bands[id(row)] = band = _Band.of(row)
        self._looked_at[id(row)] = self._turn
        return band


class Candidates:
    """The candidates for the tasks of one cycle; what tasks with equal needs and estimates find is worked out once.

    `most`: how many each of them gets.
    """

    def __init__(self, cluster: Cluster, bands: Bands, most: int) -> None:
        self.cluster, self.bands, self.most = cluster, bands, most
        estimates = cluster.request.estimates
        bands.turn_to(estimates)
        self._profile_of = estimates.profile_of
        columns = estimates.column_of if len(estimates.table) else {}
        self._columns = np.array([columns.get(node.name, -1) for node in cluster.nodes], np.int64)
        self._starts = estimates.starts if estimates.starts != NO_STARTS else None
        self._begun: dict[str | None, Floats] = {}
        self._offers: dict[int, _Offers] = {}
        self._known: dict[Key, list[Candidate]] = {}
        self._keys: dict[TaskRef, Key] = {}

    def of(self, task: WaitingTask) -> list[Candidate]:
        """Nodes that can run the task, by predicted finish if it were next; its best option on each."""
        key = self._key(task)
        if key not in self._known:
            self.find([task])
        return self._known[key]

    def find(self, tasks: Iterable[WaitingTask]) -> None:
        """Work out the candidates of all these tasks together, which is quicker than one by one."""
        groups: dict[int, list[tuple[Key, Sequence[int]]]] = {}
        asked: set[Key] = set()
        for task in tasks:
            key = self._key(task)
            if key in self._known or key in asked:
                continue
            asked.add(key)
            needs = self.cluster.needs(task)
            if id(needs) not in self._offers:
                self._offers[id(needs)] = _Offers.of(task, needs)
            part = self.cluster.part_of(needs.nodes, MOST_NODES_COMPARED)
            groups.setdefault(id(needs), []).append((key, part))
        for number, members in groups.items():
            offers = self._offers[number]
            keys, parts = [key for key, _ in members], [part for _, part in members]
            self._known.update(zip(keys, self._ranked(offers, keys, parts), strict=True))

    def changed(self, node: int) -> None:
        """The node has less room than before."""
        self._known.clear()
        for offers in self._offers.values():
            offers.start[offers.nodes == node] = np.nan
            offers.has_room[offers.nodes == node] = -1

    def _key(self, task: WaitingTask) -> Key:
        found = self._keys.get(task.ref)
        if found is None:
            rows = tuple(self._profile_of.get((task.run_id, task.key, option.name)) for option in task.options)
            images = tuple(option.image for option in task.options) if self._starts is not None else ()
            self._keys[task.ref] = found = id(self.cluster.needs(task)), rows, images
        return found

    def _ranked(self, offers: _Offers, keys: Sequence[Key], parts: Sequence[Sequence[int]]) -> list[list[Candidate]]:
        """For each of k questions, with its row of estimates for each option and the nodes to look at, its candidates:
        by finish, then by node."""
        rows = [row for _, row, _ in keys]
        if not len(offers.nodes):
            return [[] for _ in rows]
        places = _places(offers, parts)
        number: dict[int | None, int] = {}
        known = np.array([[number.setdefault(row, len(number)) for row in each] for each in rows])
        bands = [self.bands.of(row) for row in number]
        columns = self._columns[offers.nodes[places]]
        seconds = np.stack([band.p50 for band in bands])[known[:, None, :], columns[:, :, None]]
        if self._starts is not None:
            begins = np.array([[self._begins(image) for image in images] for _, _, images in keys])
            seconds = seconds + np.take_along_axis(begins, offers.nodes[places][:, None, :], 2).transpose(0, 2, 1)
        is_compared = self._promising(offers, seconds, places)
        self._ask_starts(offers, places[is_compared])
        is_offer = offers.can[places] & is_compared[:, :, None]
        finish = np.where(is_offer, np.minimum(offers.start[places] + seconds, _AT_LAST), np.inf)
        option = finish.argmin(axis=2)  # what ends later on the same node is left out
        best = finish.min(axis=2)
        order = np.argsort(best, axis=1, kind="stable")[:, : self.most]
        who, rank = np.nonzero(best[np.arange(len(rows))[:, None], order] < np.inf)
        column = order[who, rank]
        choice = option[who, column]
        start = offers.start[places[who, column], choice]
        made = self._made(
            [bands[index] for index in known[who, choice].tolist()],
            offers.nodes[places[who, column]].tolist(),
            [offers.names[chosen] for chosen in choice.tolist()],
            start,
            start + seconds[who, column, choice],
        )
        ends = np.cumsum(np.bincount(who, minlength=len(rows))).tolist()
        return [made[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    def _begins(self, image: str | None) -> Floats:
        """[m] seconds until a task with this image runs, on each node of the cluster."""
        found = self._begun.get(image)
        if found is None and self._starts is not None:
            seconds = [self._starts.seconds(image, node.name) for node in self.cluster.nodes]
            found = self._begun[image] = np.array(seconds)
        return found if found is not None else np.zeros(len(self.cluster.nodes))

    def _promising(self, offers: _Offers, seconds: Floats, places: Places) -> Booleans:
        """[k, c] whether a place is worth comparing: of many, the quickest, and the quickest of those with room now."""
        is_compared = np.ones(places.shape, np.bool_)
        if places.shape[1] <= MOST_NODES_COMPARED:
            return is_compared
        half, free, each = MOST_NODES_COMPARED // 2, self._free(offers), np.arange(len(places))[:, None]
        usual = seconds[each, np.arange(places.shape[1]), offers.can.argmax(axis=1)]
        is_compared[:] = False
        is_compared[each, np.argsort(usual, axis=1, kind="stable")[:, :half]] = True
        is_compared[each, free[np.argsort(usual[:, free], axis=1, kind="stable")[:, :half]]] = True
        return is_compared

    def _free(self, offers: _Offers) -> Places:
        """The places with room now."""
        for place in np.flatnonzero(offers.has_room < 0).tolist():
            offers.has_room[place] = self.cluster.has_room(offers.needs, offers.needs.nodes[place], 0.0)
        return np.flatnonzero(offers.has_room)

    def _ask_starts(self, offers: _Offers, places: Places) -> None:
        """Ask the nodes at these places when each option could start, unless they were asked before."""
        is_asked = np.zeros(len(offers.nodes), np.bool_)
        is_asked[places] = True
        for place in np.flatnonzero(is_asked & np.isnan(offers.start).all(axis=1)).tolist():
            node = offers.needs.nodes[place]
            for option in offers.needs.options[node]:
                start = self.cluster.timelines[node].earliest_start(option.requests, 0.0)
                offers.start[place, offers.names.index(option.name)] = start

    def _made(
        self, bands: Sequence[_Band], nodes: Sequence[int], options: Sequence[str], start: Floats, finish: Floats
    ) -> list[Candidate]:
        """Candidates with these bands, nodes and options, with rounded figures."""
        is_offered = start < NEVER
        starts, finishes = rounded(np.where(is_offered, start, 0.0)), rounded(np.where(is_offered, finish, 0.0))
        figures = zip(is_offered.tolist(), (start <= 0).tolist(), starts, finishes, strict=True)
        columns, named = self._columns.tolist(), self.cluster.nodes
        found = []
        for band, node, option, (offered, is_free, begin, end) in zip(bands, nodes, options, figures, strict=True):
            at = columns[node]
            seconds = (band.low[at], band.usual[at], band.high[at])
            times = (end, is_free, begin, end) if offered else (None, False)
            found.append(Candidate(named[node].name, option, *seconds, *times))
        return found


def _places(offers: _Offers, parts: Sequence[Sequence[int]]) -> Places:
    """[k, c] where the nodes of each part stand among the offers, ascending."""
    if parts[0] is offers.needs.nodes:
        return np.broadcast_to(np.arange(len(offers.nodes)), (len(parts), len(offers.nodes)))
    return np.searchsorted(offers.nodes, np.sort(np.array(parts, np.int64), axis=1))


def rounded(values: Floats) -> list[float]:
    """Each as `round(value, 3)` gives it, all together: only what is near half a thousandth is asked one by one."""
    scaled = values * 10.0**DIGITS
    found: list[float] = (np.rint(scaled) / 10.0**DIGITS).tolist()
    is_near = np.abs(scaled - np.floor(scaled) - 0.5) < _NEAR_HALF
    for index in np.flatnonzero(is_near | ~(np.abs(scaled) < _LARGEST_SCALED)).tolist():
        found[index] = round(float(values[index]), DIGITS)
    return found


__all__ = ["Bands", "Candidates", "rounded"]
