"""Many pipelines over time: the public streams through the simulator, against the results recorded with them.

Ratios are to "FIFO + any idle node" (`fifo_k8s`) and, for the 95th percentile, to "FIFO + earliest finish" (`fifo_eft`)
of the same stream. The recorded results with estimate error were made with one error per task, the same on all nodes:
an own simulation of `srpt_eft` comes near them with that (and with running tasks that are expected to end any moment
once they are late), and nowhere near with an error per task and type of node. So the first has the limit; the second is
printed beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.measure import Measure
from benchmarks.placement.table import Context, Table, geometric_mean
from server.simulation.engine import simulate
from server.simulation.reading import CaseMaker
from server.simulation.report import Measures, measures
from server.simulation.scenario import Scenario

STREAMS = 4
KINDS = ("t0", "t1", "t2", "t3")
MEAN_LIMITS = {"0.7": 0.42, "0.95": 0.39, "1.3": 0.23}
SLOWDOWN_LIMITS = {"0.7": 0.12, "0.95": 0.03, "1.3": 0.015}
TAIL_LOADS, TAIL_LIMIT = ("0.7", "0.95"), 1.1
"""Up to these loads the 95th percentile has a limit."""
ERRORS: dict[str, dict[str, Any]] = {
    "exact": {},
    "error per task": {"error_sigma": 0.6},
    "error per task and type": {"error_sigma": 0.6, "error_of": "task-and-kind"},
}
ERROR_LIMIT = 1.08


def online(context: Context) -> Table:
    """Mean and 95th percentile of turnaround and 99th of slowdown at three loads, and the mean under estimate error."""
    if context.data is None:
        raise FileNotFoundError("set MLOPX_BENCH_DATA to the folder with the public data")
    folder = context.data / "online"
    said = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]
    recorded = {(one["seed"], str(one["rho"])): one["policies"] for one in said}
    rows: list[list[Any]] = []
    for load in MEAN_LIMITS:
        for stream in range(STREAMS):
            known = recorded[stream, load]
            for told, estimates in ERRORS.items():
                found = _simulated(folder / f"stream-{stream}.jsonl.gz", load, estimates, context.seed)
                rows.append([load, stream, told, *_ratios(found, known), found.slowdown.max])
    columns = ["load", "stream", "estimates", "mean turnaround", "p95 turnaround", "p99 slowdown", "most slowdown"]
    taken = [one for load in MEAN_LIMITS for one in _measures(load, rows)]
    return Table("Online streams", columns, rows, taken, ["The baselines are the recorded results of the streams."])


def _simulated(stream: Path, load: str, estimates: dict[str, Any], seed: int) -> Measures:
    nodes = [{"kind": kind, "count": 4, "cpus": 1} for kind in KINDS]
    scenario = Scenario.model_validate(
        {
            "cluster": {"node": nodes},
            "arrivals": {"file": str(stream), "key": load, "kinds": list(KINDS), "cpus": 1},
            "estimates": estimates,
            "server": [{"placer": "online"}],
        }
    )
    return measures(simulate(CaseMaker(stream, scenario).case(scenario.server[0], seed)))


def _ratios(found: Measures, known: dict[str, dict[str, float]]) -> list[float]:
    first, finish = known["fifo_k8s"], known["fifo_eft"]
    return [
        found.turnaround.mean / first["jct"],
        found.turnaround.p95 / finish["p95"],
        found.slowdown.p99 / first["p99sl"],
    ]


def _measures(load: str, rows: Iterable[list[Any]]) -> list[Measure]:
    of_load = [row for row in rows if row[0] == load]

    def mean(column: int, told: str = "exact") -> float:
        return geometric_mean(row[column] for row in of_load if row[2] == told)

    tail = TAIL_LIMIT if load in TAIL_LOADS else None
    return [
        Measure(f"load {load}: mean turnaround over FIFO + any idle node", mean(3), "", most=MEAN_LIMITS[load]),
        Measure(f"load {load}: p95 turnaround over FIFO + earliest finish", mean(4), "", most=tail),
        Measure(f"load {load}: p99 slowdown over FIFO + any idle node", mean(5), "", most=SLOWDOWN_LIMITS[load]),
        Measure(f"load {load}: largest slowdown of all", max(row[6] for row in of_load if row[2] == "exact"), ""),
        Measure(
            f"load {load}: mean turnaround with an error of 0.6 per task over that without",
            mean(3, "error per task") / mean(3),
            "",
            most=ERROR_LIMIT,
        ),
        Measure(
            f"load {load}: the same with an error per task and type of node",
            mean(3, "error per task and type") / mean(3),
            "",
        ),
    ]


__all__ = ["online"]
