"""`make bench`: measure what was asked for by name, or everything; print a table and keep it in `results/bench/`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from rich.console import Console

from benchmarks import dashboard, estimates, following, idle, kubeflow, nodes, overhead, shares, submissions
from benchmarks.measure import Measure, keep, show

WIDTH = 150
RESULTS = Path(__file__).resolve().parent.parent / "results" / "bench"
BENCHMARKS: dict[str, Callable[[Path], Iterator[Measure]]] = {
    "overhead": lambda folder: overhead.measure(folder, RESULTS / "environments"),
    "idle": idle.measure,
    "submissions": submissions.measure,
    "shares": shares.measure,
    "nodes": nodes.measure,
    "estimates": estimates.measure,
    "kubeflow": lambda folder: chain(kubeflow.measure(folder), following.measure(folder)),
    "dashboard": dashboard.measure,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks; 1 if a limit is missed, 2 if a name is unknown."""
    out = Console(highlight=False)
    out.width = max(out.width, WIDTH)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        out.print(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    found: list[Measure] = []
    with tempfile.TemporaryDirectory(prefix="mlopx-bench-", ignore_cleanup_errors=True) as folder:
        for name in names or BENCHMARKS:
            out.print(f"measuring {name} …")
            found.extend(BENCHMARKS[name](Path(folder)))
    show(found, out)
    out.print(f"kept in {keep(found, RESULTS)}")
    return int(not all(one.is_kept for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
