"""What travels to the placer's worker: what is new to it, and numbers for what the request before named as well.

Runs, nodes, held room and rows of estimates are frozen values, and the same objects from cycle to cycle while nothing
about them changes. So both ends keep what the latest request named, and only that: a cycle about ten thousand waiting
tasks is a few thousand numbers. A new worker begins with nothing and is sent everything.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.components.collecting import uncollected
from server.components.placer_workers.pickling import pickled
from server.domain.packing import PackedTable, StackedTable, packed_row
from server.domain.placement import Estimates, PlacementRequest, WaitingRun
from server.domain.run import TaskKey

NO_ROW = -1
"""Stands where a task's option has no estimates."""


@dataclass(frozen=True, slots=True)
class Named:
    """Values by number, in order; those that the worker has not seen yet are in `new`."""

    numbers: array[int]
    new: Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request on its way.

    `rest` is the request without what is named; `rows_of_options` tells the row of estimates of every option of every
    task, in order; `table` is a table of estimates that is sent whole, where its rows cannot be kept apart.
    """

    serial: int
    rest: PlacementRequest
    runs: Named
    nodes: Named
    occupancies: Named
    rows: Named
    rows_of_options: array[int]
    column_of: Mapping[str, int]
    table: PackedTable | None


@dataclass(frozen=True, slots=True)
class Frame:
    """A parcel as bytes, and what the worker will have kept once it has read them: by identity, number and value."""

    data: bytes
    kept: Mapping[int, tuple[int, object]]


class Packer:
    """The server's end, one for each worker: packs requests, and knows what the worker has kept."""

    def __init__(self) -> None:
        self._kept: Mapping[int, tuple[int, object]] = {}
        self._numbers = itertools.count()

    def frame(self, serial: int, request: PlacementRequest) -> Frame:
        """The request, to be sent. Nothing counts as kept by the worker before it is `sent`."""
        with uncollected():
            naming = _Naming(self._kept, self._numbers)
            return Frame(pickled(_parcel(serial, request, naming)), naming.found)

    def sent(self, frame: Frame) -> None:
        """The frame is on its way for good: the worker reads it before the next one."""
        self._kept = frame.kept


class Shelf:
    """The worker's end: what the latest request named."""

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}

    def unpacked(self, parcel: Parcel) -> PlacementRequest:
        """The request, and nothing kept but its parts."""
        kept, self._kept = self._kept, {}
        runs, nodes, occupancies, rows = (
            self._taken(kept, part) for part in (parcel.runs, parcel.nodes, parcel.occupancies, parcel.rows)
        )
        told = zip(_keys(runs), parcel.rows_of_options, strict=True)
        estimates = Estimates(
            {key: row for key, row in told if row != NO_ROW},
            parcel.column_of,
            StackedTable(rows) if parcel.table is None else parcel.table,
            parcel.rest.estimates.starts,
        )
        snapshot = replace(parcel.rest.snapshot, nodes=nodes, occupancies=occupancies)
        return replace(parcel.rest, runs=runs, snapshot=snapshot, estimates=estimates)

    def _taken(self, kept: Mapping[int, Any], part: Named) -> tuple[Any, ...]:
        known = {number: part.new[number] if number in part.new else kept[number] for number in part.numbers}
        self._kept.update(known)
        return tuple(map(known.__getitem__, part.numbers))


class _Naming:
    """Gives the values of one request their numbers. The values are held, so that no other takes their identity."""

    def __init__(self, kept: Mapping[int, tuple[int, object]], numbers: Iterator[int]) -> None:
        self.found: dict[int, tuple[int, object]] = {}
        self._kept, self._numbers = kept, numbers

    def named(self, values: Sequence[object], packed: Callable[[Any], object] = lambda value: value) -> Named:
        """Numbers for values, `packed` where they are new."""
        numbers, new = array("Q"), {}
        for value in values:
            known = self.found.get(id(value)) or self._kept.get(id(value))
            if known is None:
                known = (next(self._numbers), value)
                new[known[0]] = packed(value)
            self.found[id(value)] = known
            numbers.append(known[0])
        return Named(numbers, new)


def _parcel(serial: int, request: PlacementRequest, naming: _Naming) -> Parcel:
    estimates, snapshot = request.estimates, request.snapshot
    table = estimates.table if isinstance(estimates.table, PackedTable) else None
    rest = replace(snapshot, nodes=(), occupancies=())
    return Parcel(
        serial=serial,
        rest=replace(request, runs=(), snapshot=rest, estimates=Estimates({}, {}, (), estimates.starts)),
        runs=naming.named(request.runs),
        nodes=naming.named(snapshot.nodes),
        occupancies=naming.named(snapshot.occupancies),
        rows=naming.named(estimates.table if table is None else (), packed_row),
        rows_of_options=array("i", [estimates.profile_of.get(key, NO_ROW) for key in _keys(request.runs)]),
        column_of=estimates.column_of,
        table=table,
    )


def _keys(runs: Iterable[WaitingRun]) -> Iterator[tuple[str, TaskKey, str]]:
    """By what the estimates of every option of every task are looked up."""
    return ((run.run_id, task.key, option.name) for run in runs for task in run.tasks for option in task.options)


__all__ = ["Frame", "Packer", "Parcel", "Shelf"]
