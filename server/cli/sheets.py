"""Reads tables that people have: CSV with a header, any delimiter, columns under several names, and says what is wrong
with a cell by file, line and column.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DELIMITERS = ",;\t|"
LARGEST = 1e30
"""Of any number: what is more is a slip."""

NOTHING = frozenset({"", "nan", "na", "n/a", "none", "null", "-"})
LONGEST_NOTHING = max(map(len, NOTHING))


class BadCellError(Exception):
    """A cell that cannot be used; its text says where it is and why."""


class UnreadableSheetError(Exception):
    """A table that cannot be used at all; its text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, other names it goes by, and whether a table must have it."""

    name: str
    others: tuple[str, ...] = ()
    is_needed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. Cells that are empty, or say that they are, are absent."""

    file: str
    line: int
    cells: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        """A cell as it is."""
        return self.cells.get(name, default)

    def needed(self, name: str) -> str:
        """A cell that must be there. Raises BadCellError."""
        if name not in self.cells:
            raise BadCellError(f"{self.file}:{self.line}:{name}: is empty, but must be given")
        return self.cells[name]

    def number(self, name: str, default: float | None = None) -> float:
        """A cell as a number from 0 to LARGEST. Raises BadCellError."""
        text = self.cells.get(name)
        if text is None and default is not None:
            return default
        text = text if text is not None else self.needed(name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= LARGEST:
            comma = text.replace(",", ".", 1)
            hint = f" (a point divides: {comma})" if math.isnan(value) and _is_number(comma) else ""
            kind = f"a number{hint}" if math.isnan(value) else f"between 0 and {LARGEST:g}"
            raise BadCellError(f"{self.file}:{self.line}:{name}: {text!r} is not {kind}")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """A cell as names with values: a JSON object, or `name=value; other=value`. Raises BadCellError."""
        text = self.text(name)
        if text.startswith("{"):
            try:
                found = json.loads(text)
            except RecursionError:
                raise BadCellError(f"{self.file}:{self.line}:{name}: has too many brackets inside brackets") from None
            except ValueError as error:
                raise BadCellError(f"{self.file}:{self.line}:{name}: {text!r} is not JSON: {error}") from None
            if isinstance(found, dict):
                return found
        parts = [part.strip() for part in text.replace(",", ";").split(";") if part.strip()]
        return {key.strip(): value.strip() for key, _, value in (part.partition("=") for part in parts)}


@dataclass(slots=True)
class Sheet:
    """A table: its rows, and what was odd about it."""

    rows: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_sheet(path: Path, columns: Sequence[Column]) -> Sheet:
    """Read a table. Raises UnreadableSheetError if there is none, or a needed column is missing."""
    lines = _lines(path)
    _, header = next(lines, (0, None))
    if header is None:
        raise UnreadableSheetError(f"{path} is empty; its first line must name the columns: {_names(columns)}")
    known, unknown = _recognised(header, columns)
    missing = [column.name for column in columns if column.is_needed and column.name not in known.values()]
    if missing:
        raise UnreadableSheetError(
            f"{path} has no column {' and none named '.join(missing)}; it has {', '.join(filter(None, header))}."
            f" Understood are {_names(columns)}"
        )
    sheet = Sheet()
    if unknown:
        sheet.warnings.append(f"{path}:1: columns that are not understood are ignored: {', '.join(unknown)}")
    places = sorted(known.items())
    file, width = str(path), len(header)
    for number, cells in lines:
        there = places if len(cells) >= width else [place for place in places if place[0] < len(cells)]
        present = {
            name: cell
            for index, name in there
            if (cell := cells[index].strip()) and (len(cell) > LONGEST_NOTHING or cell.lower() not in NOTHING)
        }
        if len(cells) > width:
            sheet.warnings.append(
                f"{path}:{number}: has {len(cells)} cells, the header {len(header)}; the rest is ignored"
            )
        if present:
            sheet.rows.append(Row(file, number, present))
    return sheet


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each line's cells, with the number of the line in the file on which they end."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableSheetError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableSheetError(f"{path} is not text in UTF-8: {error.reason}; save it as UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise UnreadableSheetError(f"{path} is not a table: {error}") from error


def _recognised(header: Sequence[str], columns: Sequence[Column]) -> tuple[dict[int, str], list[str]]:
    """Which place holds which column, and the names of the rest. A column's own name wins over its other names."""
    places = {_plain(name): index for index, name in reversed(list(enumerate(header)))}
    known: dict[int, str] = {}
    for column in columns:
        for name in (column.name, *column.others):
            index = places.get(_plain(name))
            if index is not None and index not in known:
                known[index] = column.name
                break
    return known, [name for index, name in enumerate(header) if index not in known and name.strip()]


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)


__all__ = ["BadCellError", "Column", "Row", "Sheet", "UnreadableSheetError", "read_sheet"]
