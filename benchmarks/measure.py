"""One measured figure, the baseline it is held against, and the limit it must keep; and how they are shown and kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its unit. `most` or `least` is its limit; `baseline` was measured in the same run."""

    what: str
    figure: float
    unit: str
    most: float | None = None
    least: float | None = None
    baseline: float | None = None
    baseline_name: str = ""

    @property
    def ratio(self) -> float | None:
        """Figure over baseline."""
        return None if not self.baseline else self.figure / self.baseline

    @property
    def is_kept(self) -> bool:
        """Whether the figure keeps its limit; one without a limit always does."""
        return (self.most is None or self.figure <= self.most) and (self.least is None or self.figure >= self.least)

    @property
    def limit(self) -> str:
        """The limit in words."""
        if self.most is not None and self.least is not None:
            return f"{self.least:.3g} to {self.most:.3g}"
        if self.most is not None:
            return f"<= {self.most:g}"
        return "" if self.least is None else f">= {self.least:g}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def show(measures: Sequence[Measure], out: Console) -> None:
    """A table of everything measured."""
    table = Table(box=None, pad_edge=False)
    for heading in ("what", "measured", "unit", "must be", "", "baseline", "ratio"):
        table.add_column(heading, justify="right" if heading in ("measured", "ratio") else "left")
    for one in measures:
        verdict = "" if not one.limit else "kept" if one.is_kept else "MISSED"
        baseline = "" if one.baseline is None else f"{one.baseline:.3g} ({one.baseline_name})"
        ratio = "" if one.ratio is None else f"{one.ratio:.3g}"
        table.add_row(one.what, f"{one.figure:.4g}", one.unit, one.limit, verdict, baseline, ratio)
    out.print(table)


def keep(measures: Sequence[Measure], folder: Path) -> Path:
    """Write the measures and the machine they were taken on as one JSON file, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    at = datetime.now().astimezone()
    path = folder / f"{at:%Y%m%d-%H%M%S}.json"
    machine = {
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    document = {
        "at": at.isoformat(timespec="seconds"),
        "machine": machine,
        "measures": [{**asdict(one), "ratio": one.ratio, "is_kept": one.is_kept} for one in measures],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
