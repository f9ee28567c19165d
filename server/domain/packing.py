"""A table of estimates as columns of numbers: what travels to the placer's worker instead of a million small objects.

Whoever asks for a row gets the same `Estimate` values as before; who wants the numbers takes the columns.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import overload

from server.domain.placement import Estimate, Estimates
from server.domain.run import TaskKey
from server.domain.starting import NO_STARTS, Starts

Row = tuple[Estimate, ...]
Columns = tuple[bytes, bytes, bytes, bytes, bytes]


class PackedTable(Sequence[Row]):
    """The rows of `Estimates.table`, each made when it is first asked for.

    `p10`, `p50`, `p90` hold all rows one after the other, `width` figures each.
    """

    __slots__ = ("_count", "_peaks", "_rows", "_said", "_sources", "p10", "p50", "p90", "width")

    def __init__(self, count: int, width: int, columns: Columns, sources: Sequence[str]) -> None:
        figures = [array("d", column) for column in columns[:4]]
        self.p10, self.p50, self.p90, self._peaks = figures
        self._said, self._sources = array("I", columns[4]), tuple(sources)
        self._count, self.width = count, width
        self._rows: dict[int, Row] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        if at not in self._rows:
            self._rows[at] = tuple(self._cells(at * self.width, (at + 1) * self.width))
        return self._rows[at]

    def __reduce__(self) -> tuple[type[PackedTable], tuple[int, int, Columns, tuple[str, ...]]]:
        figures = (self.p10.tobytes(), self.p50.tobytes(), self.p90.tobytes())
        return PackedTable, (
            self._count,
            self.width,
            (*figures, self._peaks.tobytes(), self._said.tobytes()),
            self._sources,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((len(self), self.width))

    def _cells(self, begin: int, end: int) -> Iterator[Estimate]:
        for i in range(begin, end):
            peak = None if math.isnan(self._peaks[i]) else self._peaks[i]
            yield Estimate(self.p50[i], self.p10[i], self.p90[i], self._sources[self._said[i]], peak)


class StackedTable(Sequence[Row]):
    """A table of rows that are packed one by one, so that a row can outlive the table; figures as in `PackedTable`."""

    __slots__ = ("_rows", "p10", "p50", "p90")

    def __init__(self, rows: Sequence[PackedTable]) -> None:
        self._rows = rows
        self.p10, self.p50, self.p90 = (b"".join(map(attrgetter(name), rows)) for name in ("p10", "p50", "p90"))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [row[0] for row in self._rows[index]]
        return self._rows[index][0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(len(self))


_FIELDS = tuple(getattr(Estimate, name) for name in Estimate.__slots__)


def estimates_from(*columns: Sequence[float | str | None]) -> list[Estimate]:
    """Estimates from columns, one for each field, in order: as of the constructor, but several times quicker, since
    their number is what takes time."""
    found = list(map(Estimate.__new__, repeat(Estimate, len(columns[0]))))
    for field, column in zip(_FIELDS, columns, strict=True):
        deque(map(field.__set__, found, column), maxlen=0)
    return found


def packed_row(row: Row) -> PackedTable:
    """A table of this row alone."""
    return PackedTable(*_packed((row,)))


def packed(estimates: Estimates) -> tuple[int, int, Columns, tuple[str, ...]]:
    """The arguments of `PackedTable` for a table."""
    return _packed(estimates.table)


def _packed(table: Sequence[Row]) -> tuple[int, int, Columns, tuple[str, ...]]:
    cells = list(chain.from_iterable(table))
    numbers: dict[str, int] = {}
    said = array("I", [numbers.setdefault(source, len(numbers)) for source in map(attrgetter("source"), cells)])
    peaks = array("d", [math.nan if peak is None else peak for peak in map(attrgetter("peak_memory_bytes"), cells)])
    figures = [array("d", map(attrgetter(name), cells)).tobytes() for name in ("p10", "p50", "p90")]
    width = len(table[0]) if len(table) else 0
    return (
        len(table),
        width,
        (figures[0], figures[1], figures[2], peaks.tobytes(), said.tobytes()),
        tuple(numbers),
    )


def unpacked(
    profile_of: Mapping[tuple[str, TaskKey, str], int],
    column_of: Mapping[str, int],
    count: int,
    width: int,
    columns: Columns,
    sources: Sequence[str],
    starts: Starts = NO_STARTS,
) -> Estimates:
    """The estimates that `packed` took apart."""
    return Estimates(profile_of, column_of, PackedTable(count, width, columns, sources), starts)


__all__ = ["PackedTable", "StackedTable", "estimates_from", "packed", "packed_row", "unpacked"]
