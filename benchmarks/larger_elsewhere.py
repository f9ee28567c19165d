"""Full-size runs on machines that were never seen, from six small runs per component on one machine.

The protocol of Lotaru (Bader et al., "Lotaru: Locally Predicting Workflow Task Runtimes for Resource Management on
Heterogeneous Infrastructures", 2023) on its public traces: a folder `lotaru` of the benchmark data holds the traces'
repository (`traces/MACHINE/results_WORKFLOW/execution_report_*.csv`). The machines' speeds are the benchmark scores
that were published with it.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.hindsight import Asked, Small
from server.domain.node import Node
from server.domain.resources import Resources
from server.estimators.bands import SHORTEST_SECONDS
from server.estimators.chain import ChainEstimator
from server.estimators.interface import Observation, Profile
from server.testing.contracts.estimator import an_observation

LOCAL = "local"
SCORES: Mapping[str, tuple[float, float, float | None]] = {
    LOCAL: (437, 415, 18_600),
    "asok01": (223, 303, None),
    "asok02": (223, 339, None),
    "n1": (369, 483, 13_400),
    "n2": (467, 483, 17_000),
    "c2": (523, 483, 18_900),
}
"""Of a core, of the disk, and of memory where it was measured."""

SIX = 6
Row = Mapping[str, str]
Wanted = list[tuple[Profile, Node, float]]


def traces(folder: Path) -> list[Row]:
    """All runs on record, in the order of the files."""
    found: list[Row] = []
    for path in sorted((folder / "traces").glob("*/results_*/execution_report_*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found.extend(csv.DictReader(file))
    return found


def splits(rows: Sequence[Row]) -> Iterator[tuple[ChainEstimator, Wanted]]:
    """For both training sets: what was learnt from six runs per component, and what is asked for."""
    nodes = machines()
    wanted = [
        (_profile(row), nodes[row["Machine"]], float(row["Realtime"]) / 1000)
        for row in rows
        if row["Label"] == "test" and row["Machine"] in nodes and row["Machine"] != LOCAL
    ]
    for label in ("train-1", "train-2"):
        small: dict[str, list[Observation]] = defaultdict(list)
        for row in rows:
            if row["Machine"] == LOCAL and row["Label"] == label:
                profile, seconds = _profile(row), float(row["Realtime"]) / 1000
                small[profile.component].append(an_observation(profile, nodes[LOCAL], seconds))
        chain = ChainEstimator()
        history = [seen for runs in small.values() for seen in runs[:SIX]]
        chain.teach(history)
        chain.settle(most_fits=len(history))
        yield chain, wanted


def asked(rows: Sequence[Row]) -> list[Asked]:
    """The same questions as plain figures, for bounds: with the six runs, and the full run on the known machine where
    there was one."""
    small: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    full: dict[tuple[str, str], float] = {}
    for row in rows:
        component, size, seconds = _figures(row)
        if row["Machine"] == LOCAL and row["Label"] == "test":
            full[component, row["NumberSequences"]] = seconds
        elif row["Machine"] == LOCAL and len(small[row["Label"], component]) < SIX:
            small[row["Label"], component].append((size, seconds))
    found = []
    for label in ("train-1", "train-2"):
        for row in rows:
            if row["Label"] == "test" and row["Machine"] in SCORES and row["Machine"] != LOCAL:
                component, size, seconds = _figures(row)
                runs = Small(label, component, tuple(small[label, component]))
                known = full.get((component, row["NumberSequences"]))
                found.append(Asked(runs, row["Machine"], size, seconds, known))
    return found


def machines() -> dict[str, Node]:
    """The machines by name, with speeds relative to the one that is known."""
    core, disk, memory = SCORES[LOCAL]
    found = {}
    for name, (own_core, own_disk, own_memory) in SCORES.items():
        speeds = {"single": own_core / core, "disk": own_disk / disk}
        if own_memory and memory:
            speeds["memory"] = own_memory / memory
        found[name] = Node(name, Resources(), speeds=speeds)
    return found


def _figures(row: Row) -> tuple[str, float, float]:
    size, seconds = float(row["TaskInputSizeUncompressed"]), float(row["Realtime"]) / 1000
    return f"{row['Workflow']}/{row['Task']}", size, max(seconds, SHORTEST_SECONDS)


def _profile(row: Row) -> Profile:
    component, size, _ = _figures(row)
    return Profile(component, "1", "default", 0, input_bytes=size)


__all__ = ["asked", "splits", "traces"]
