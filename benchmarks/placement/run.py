"""`make bench-placement`: measure the tables that were asked for by name, or all; print them, keep them as a page.

`MLOPX_BENCH_DATA` names the folder with the public data; without it only the tables that need none are measured.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.measure import show
from benchmarks.placement.table import Context, Table, as_markdown, write_csv
from server.planning.warming import warm

WIDTH = 150
ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "results" / "placement"
ENVIRONMENTS = ROOT / "results" / "bench" / "environments"
TABLES = {
    "published": "benchmarks.placement.published:published",
    "small": "benchmarks.placement.quality:small_graphs",
    "large": "benchmarks.placement.quality:large_graphs",
    "workflows": "benchmarks.placement.quality:workflows",
    "online": "benchmarks.placement.online:online",
    "links": "benchmarks.placement.sharing:shared_links",
    "proofs": "benchmarks.placement.quality:proofs",
    "kernels": "benchmarks.placement.kernels:kernels",
    "cycles": "benchmarks.placement.cycles:cycles",
}
"""By name, the function that measures a table: `module:function`, called with a `Context`."""

NEED_NO_DATA = ("published", "kernels", "proofs", "cycles")
"""Tables that are measured without `MLOPX_BENCH_DATA`."""


def main(names: list[str]) -> int:
    """Measure the named tables; 1 if a limit is missed, 2 if a name is unknown or data is missing."""
    out = Console(highlight=False)
    out.width = max(out.width, WIDTH)
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        out.print(f"no table is named {', '.join(unknown)}; there are {', '.join(TABLES)}")
        return 2
    data = os.environ.get("MLOPX_BENCH_DATA")
    context = Context(Path(data) if data else None, ENVIRONMENTS)
    if context.data is not None and not context.data.is_dir():
        out.print(f"MLOPX_BENCH_DATA names {context.data}, which is no folder")
        return 2
    wanted = names or [name for name in TABLES if context.data is not None or name in NEED_NO_DATA]
    if context.data is None and any(name not in NEED_NO_DATA for name in (names or TABLES)):
        out.print("without MLOPX_BENCH_DATA only these tables can be measured: " + ", ".join(NEED_NO_DATA))
        if any(name not in NEED_NO_DATA for name in names):
            return 2
    found = {name: _measured(name, context, out) for name in wanted}
    _keep(found)
    out.print(f"kept in {RESULTS}")
    return int(not all(one.is_kept for table in found.values() for one in table.measures))


def _measured(name: str, context: Context, out: Console) -> Table:
    out.print(f"measuring {name} …")
    warm()  # loading or compiling the kernels is not searching
    module, function = TABLES[name].split(":")
    table: Table = getattr(importlib.import_module(module), function)(context)
    show(table.measures, out)
    for note in table.notes:
        out.print(note)
    return table


def _keep(found: dict[str, Table]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name, table in found.items():
        write_csv(table, RESULTS / f"{name}.csv")
    page = "\n\n".join(["# Placements, measured", *(as_markdown(name, table) for name, table in found.items())])
    (RESULTS / "README.md").write_text(page + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
