"""The modes of a request's tasks: how long each takes on which node, its start and the fetching of its inputs included.

Equal modes share a row of seconds (one per profile of estimates, set of nodes, option and image).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter

import numpy as np

from server.domain.datasets import DatasetUse
from server.domain.packing import PackedTable, StackedTable
from server.domain.placement import UNKNOWN_SECONDS, Estimates, PlacementRequest, TaskOption, WaitingTask
from server.domain.resources import Resources
from server.domain.starting import NO_STARTS
from server.planning.needs import Needs
from server.planning.problem import NEVER, Floats

WISH_WEIGHT = 0.5
"""A node that misses wishes of weight 100 is taken as so much slower than one that fulfils them."""

UNKNOWN_SPREAD = 1.0
_Z_P90 = 1.2815515594

Fetched = tuple[tuple[tuple[str, float], ...], tuple[DatasetUse, ...]]
"""Bytes by the node on which they lie, and data sets."""

NOTHING: Fetched = ((), ())


class Modes:
    """Modes, and the rows of seconds that equal ones share."""

    def __init__(self, request: PlacementRequest, kinds: Sequence[str]) -> None:
        self.estimates, self.kinds = request.estimates, kinds
        self.nodes = request.snapshot.nodes
        self.first_mode, self.row_of_mode = [0], list[int]()
        self.demand: list[tuple[float, ...]] = []
        self.options: list[TaskOption] = []
        self._rows: dict[tuple[int, int, str, Fetched, str | None], int] = {}
        self._images: dict[int, str | None] = {}
        self._is_start_known = self.estimates.starts != NO_STARTS
        self._fetched: dict[int, Fetched] = {}
        self._network = request.network
        self._parts: list[tuple[int, Needs, str]] = []
        self._demands: list[tuple[float, ...]] = []

    def add(self, task: WaitingTask, needs: Needs, lying: Mapping[str, float]) -> None:
        profile_of = self.estimates.profile_of
        fetched = _fetched(task, lying) if self._network is not None else NOTHING
        for option in task.options:
            profile = profile_of.get((task.run_id, task.key, option.name), -1)
            image = option.image if self._is_start_known else None
            key = (profile, id(needs), option.name, fetched, image)
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = len(self._parts)
                self._parts.append((profile, needs, option.name))
                if fetched is not NOTHING:
                    self._fetched[row] = fetched
                if self._is_start_known:
                    self._images[row] = image
                self._demands.append(amounts(option.requests, self.kinds))
            self.row_of_mode.append(row)
            self.options.append(option)
            self.demand.append(self._demands[row])
        self.first_mode.append(len(self.row_of_mode))

    def matrices(self) -> tuple[Floats, Floats, Floats]:
        """[p, m] medians, the same with wishes counted in, and standard deviations of their logarithm."""
        median, spread = table_of(self.estimates, [node.name for node in self.nodes])
        profiles = np.array([profile for profile, _, _ in self._parts], np.int64)
        medians, factors = median[profiles], np.empty((len(profiles), len(self.nodes)), np.float32)
        known: dict[tuple[int, str], Floats] = {}
        for row, (_, needs, option) in enumerate(self._parts):
            key = (id(needs), option)
            if key not in known:
                known[key] = _factors(needs, option, len(self.nodes))
            factors[row] = known[key]
        for row, fetched in self._fetched.items():
            medians[row] += self._fetching(fetched)
        begins = {image: self._beginning(image) for image in set(self._images.values())}
        for row, image in self._images.items():
            medians[row] += begins[image]
        return medians, medians * factors, spread[profiles]

    def _beginning(self, image: str | None) -> Floats:
        """[m] seconds until a task with this image runs, once it has its node."""
        starts = self.estimates.starts
        return np.array([starts.seconds(image, node.name) for node in self.nodes], np.float32)

    def _fetching(self, fetched: Fetched) -> Floats:
        """[m] seconds until the inputs are on each node."""
        assert self._network is not None
        lying, datasets = dict(fetched[0]), fetched[1]
        return np.array([self._network.seconds(lying, node.name, datasets) for node in self.nodes], np.float32)


def _fetched(task: WaitingTask, lying: Mapping[str, float]) -> Fetched:
    return (tuple(sorted(lying.items())), task.datasets) if lying or task.datasets else NOTHING


def table_of(estimates: Estimates, names: Sequence[str]) -> tuple[Floats, Floats]:
    """[profiles + 1, m] medians and standard deviations of the logarithm, columns in the order of `names`; the last
    row, and nodes without a column, stand for what nobody estimated."""
    rows = len(estimates.table)
    median = np.full((rows + 1, len(names)), UNKNOWN_SECONDS, np.float32)
    spread = np.full((rows + 1, len(names)), UNKNOWN_SPREAD, np.float32)
    columns = [estimates.column_of.get(name, -1) for name in names]
    if rows and max(columns, default=-1) >= 0:
        shape = (rows, len(estimates.table[0]))
        low, mid, high = (_read(estimates, shape, name) for name in ("p10", "p50", "p90"))
        wide = np.log(np.maximum(high, 1e-9) / np.maximum(low, 1e-9)) / (2 * _Z_P90)
        at = np.array(columns)
        is_known = at >= 0
        median[:-1, is_known] = np.maximum(mid[:, at[is_known]], 0.0)
        spread[:-1, is_known] = np.clip(wide[:, at[is_known]], 0.0, 3.0)
    return median, spread


def amounts(resources: Resources, kinds: Sequence[str]) -> tuple[float, ...]:
    """CPU in millicores, memory in bytes, pods, then one figure per kind of accelerator."""
    base = (float(resources.cpu_millicores), float(resources.memory_bytes), float(resources.pods))
    if not kinds:
        return base
    return (*base, *(float(resources.accelerator_count(kind)) for kind in kinds))


def _read(estimates: Estimates, shape: tuple[int, int], name: str) -> Floats:
    if isinstance(estimates.table, PackedTable | StackedTable):
        return np.frombuffer(getattr(estimates.table, name), np.float64).reshape(shape).astype(np.float32)
    values = map(attrgetter(name), chain.from_iterable(estimates.table))
    return np.fromiter(values, np.float32, shape[0] * shape[1]).reshape(shape)


def _factors(needs: Needs, option: str, node_count: int) -> Floats:
    """What the seconds of a mode are multiplied with: infinite where it cannot or should not run."""
    factors = np.full(node_count, NEVER, np.float32)
    top = max((needs.preference.get(node, 0) for node in needs.nodes), default=0)
    for node in needs.nodes:
        choices = needs.options[node]
        if len(choices) == 1 and choices[0].name != option:
            continue
        if len(choices) == 1 or any(choice.name == option for choice in choices):
            factors[node] = 1.0
            if needs.preference:
                factors[node] += WISH_WEIGHT * (top - needs.preference.get(node, 0)) / 100
    return factors


__all__ = ["UNKNOWN_SPREAD", "WISH_WEIGHT", "Modes", "amounts", "table_of"]
