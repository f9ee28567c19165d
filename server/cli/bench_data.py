"""The tables of `mlopx-server bench` that are made of public data: task graphs, recorded workflows, online streams.

Each yields one pair of figures per instance: of the strategy, and of the baseline. `MLOPX_BENCH_DATA` names the folder.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.exchange.reading import Question
    from server.simulation.report import Measures

GRAPHS, WORKFLOW_FILES = "graphs", "workflow-files"
LOADS = ("0.7", "0.95", "1.3")
STREAMS = tuple(f"stream-{load}" for load in LOADS)
DATA_TABLES = (GRAPHS, WORKFLOW_FILES, *STREAMS)

MOST_TASKS = 100
"""Larger task graphs are left out: they are for searches of seconds."""

CLUSTER = """
[[node]]
name = "slow"
count = 4
speed = 0.6
[[node]]
name = "plain"
count = 4
[[node]]
name = "quick"
count = 4
speed = 1.5
[[node]]
name = "quickest"
count = 4
speed = 2.2
[network]
bytes_per_second = 125e6
kind = "cards"
sharing = "max_min"
"""


def makespans(table: str, folder: Path, placer: str, against: str) -> Iterator[tuple[float, float]]:
    """Makespans of both on each file of a table. Raises UnreadableError for what a strategy cannot answer."""
    from server.solving.answering import Wish, solve

    for question in _questions(table, folder):
        mine, theirs = (
            solve(question, Wish(name, "makespan", 1.0, 0, _counting_clock())).value for name in (placer, against)
        )
        yield mine, theirs


def streams(table: str, folder: Path, placer: str, against: str) -> Iterator[tuple[Measures, Measures]]:
    """Measures of both on each recorded stream at one load. Raises MlopxError."""
    from server.simulation.engine import simulate
    from server.simulation.reading import CaseMaker
    from server.simulation.report import measures
    from server.simulation.scenario import Scenario, ServerTable

    kinds = [f"t{number}" for number in range(4)]
    for path in sorted((folder / "online").glob("stream-*.jsonl.gz")):
        scenario = Scenario.model_validate(
            {
                "cluster": {"node": [{"kind": kind, "count": 4, "cpus": 1, "memory": "16Gi"} for kind in kinds]},
                "arrivals": {"file": path.name, "kinds": kinds, "key": table.removeprefix("stream-"), "cpus": 1},
            }
        )
        maker = CaseMaker(path.with_suffix(".toml"), scenario)
        mine, theirs = (measures(simulate(maker.case(ServerTable(placer=name), 0))) for name in (placer, against))
        yield mine, theirs


def _counting_clock() -> Callable[[], float]:
    """A clock that goes on with every look, so that answers do not depend on the machine."""
    return partial(next, itertools.count(0.0, 1e-2))


def _questions(table: str, folder: Path) -> Iterator[Question]:
    import tempfile

    from server.exchange.reading import read_question

    if table == GRAPHS:
        for path in sorted((folder / "dags").glob("*.json.gz")):
            question = read_question(path)
            if question.problem.task_count <= MOST_TASKS:
                yield question
        return
    with tempfile.TemporaryDirectory() as place:
        cluster = Path(place) / "cluster.toml"
        cluster.write_text(CLUSTER, encoding="utf-8")
        for path in sorted((folder / "wfinstances").glob("*.json")):
            yield read_question(path, cluster)


__all__ = ["DATA_TABLES", "STREAMS", "makespans", "streams"]
