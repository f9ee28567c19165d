"""One table of the placement benchmark: rows as they were measured, the figures drawn from them, and how it is kept."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Measure


@dataclass(frozen=True, slots=True)
class Context:
    """What a table may use: the folder with public data (None if not given), and one for environments that are kept."""

    data: Path | None
    environments: Path
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A title, rows under columns, the figures that have limits, and what a reader must know."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    measures: Sequence[Measure] = field(default=())
    notes: Sequence[str] = field(default=())


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios."""
    found = list(values)
    return math.exp(sum(map(math.log, found)) / len(found))


def write_csv(table: Table, path: Path) -> None:
    """All rows, figures in full."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows(table.rows)


def as_markdown(name: str, table: Table) -> str:
    """The figures with their limits, the notes, and where the rows are."""
    lines = [f"## {table.title}", ""]
    if table.measures:
        lines += ["| what | measured | must be | |", "|---|---|---|---|"]
        lines += [
            f"| {one.what} | {one.figure:.4g} {one.unit} | {one.limit} | {_verdict(one)} |" for one in table.measures
        ]
        lines.append("")
    lines += [*table.notes, "", f"All {len(table.rows)} rows: `{name}.csv`."]
    return "\n".join(lines)


def _verdict(one: Measure) -> str:
    return "" if not one.limit else "kept" if one.is_kept else "**missed**"


__all__ = ["Context", "Table", "as_markdown", "geometric_mean", "write_csv"]
