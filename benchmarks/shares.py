"""Whether nodes give the CPU share that they promise, with three of them busy at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.definitions import alone, shares
from benchmarks.ground import BenchServer, serving
from benchmarks.measure import Measure
from mlopx import Pipeline

NODES = """
[agent]
preload = []
[[node]]
name = "full"
cpus = 1
memory = "1Gi"
[[node]]
name = "half"
cpus = 1
speed = 0.5
memory = "1Gi"
[[node]]
name = "quarter"
cpus = 1
speed = 0.25
memory = "1Gi"
"""
SPEEDS = {"full": 1.0, "half": 0.5, "quarter": 0.25}
CPU_SECONDS = {"full": 6.0, "half": 3.0, "quarter": 1.5}
TOLERANCE = 0.05


def measure(folder: Path) -> Iterator[Measure]:
    """CPU seconds over wall seconds of tasks that only compute, against the node's speed."""
    with serving(folder / "shares", NODES, PLACER="fifo_greedy") as server:
        alone_share = CPU_SECONDS["full"] / _walls(server, alone, full=CPU_SECONDS["full"])["full"]
        for processes, words in ((1, "one process"), (3, "three processes")):
            walls = _walls(server, shares, **CPU_SECONDS, processes=processes)
            for node, speed in SPEEDS.items():
                yield Measure(
                    f"CPU share of the node with speed {speed:g}, {words}",
                    CPU_SECONDS[node] / walls[node],
                    "of a core",
                    most=speed * (1 + TOLERANCE),
                    least=speed * (1 - TOLERANCE),
                    baseline=speed * alone_share,
                    baseline_name="speed x full node alone",
                )


def _walls(server: BenchServer, definition: Pipeline, **arguments: object) -> dict[str, float]:
    run = server.ended(server.client.submit(definition.build(), arguments)["run_id"])
    return {task["node"]: float(task["outputs"]["output"]["value"]) for task in run["tasks"]}
