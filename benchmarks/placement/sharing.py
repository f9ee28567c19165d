"""What plans are worth when transfers share network cards: searched with one port a card, judged by fair sharing.

The graphs come with a speed for each pair of nodes. HEFT and the contention-free search plan with those, as if every
pair had a cable of its own; a card has the mean bandwidth of its node's pairs.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Measure
from benchmarks.placement.instances import graphs, with_cards
from benchmarks.placement.quality import SMALL
from benchmarks.placement.table import Context, Table, geometric_mean
from server.planning.constructors import heft
from server.planning.prediction import predict
from server.planning.problem import Problem, Sharing
from server.planning.schedule import Schedule
from server.planning.search import anytime

REFEREE = Path(__file__).with_name("simgrid_referee.py")
SYSTEM_PYTHON = "/usr/bin/python3"
LIMITS = {"1": 0.68, "5": 0.28}
LARGEST_ERROR = 0.05
SECONDS = 1.0
"""That a search may take, of processor time, so that what else the machine does does not count."""


def shared_links(context: Context) -> Table:
    """Contention-free HEFT, contention-free search and one-port search, all judged with shared cards."""
    if context.data is None:
        raise FileNotFoundError("set MLOPX_BENCH_DATA to the folder with the public data")
    has_referee = _has_referee()
    rows: list[list[Any]] = []
    errors = []
    for one in graphs(context.data):
        if one.problem.task_count > SMALL:
            continue
        alone = with_cards(one.problem, Sharing.CONTENTION_FREE)
        ported = with_cards(one.problem, Sharing.ONE_PORT)
        plain = heft(one.problem)
        blind = anytime(one.problem, seconds=SECONDS, monotonic=time.process_time, seed=context.seed)
        aware = anytime(ported, seconds=SECONDS, monotonic=time.process_time, seed=context.seed)
        ours = [predict(alone, plan).makespan for plan in (plain, blind, aware)]
        judged = [_judged(alone, plan) for plan in (plain, blind, aware)] if has_referee else ours
        errors += [abs(mine - theirs) / theirs for mine, theirs in zip(ours, judged, strict=True)]
        rows.append([one.name, one.ratio, plain.makespan, *judged, *ours])
    columns = ["graph", "transfers over run times", "HEFT's own prediction"]
    columns += ["HEFT", "search, contention-free", "search, one port"]
    columns += ["HEFT, predicted", "search, contention-free, predicted", "search, one port, predicted"]
    measures = []
    for ratio in sorted({row[1] for row in rows}):
        chosen = [row for row in rows if row[1] == ratio]
        figure = geometric_mean(row[5] / row[3] for row in chosen)
        measures.append(Measure(f"CCR {ratio}: one-port search over HEFT", figure, "", most=LIMITS.get(ratio)))
        measures.append(
            Measure(
                f"CCR {ratio}: contention-free search over HEFT",
                geometric_mean(row[4] / row[3] for row in chosen),
                "",
            )
        )
    if has_referee:
        measures.append(Measure("largest error of our prediction against SimGrid", max(errors), "", most=LARGEST_ERROR))
    judge = "SimGrid" if has_referee else "our own prediction: SimGrid (Debian: python3-simgrid) is not installed"
    return Table("Shared links", columns, rows, measures, [f"The judge: {judge}."])


def _has_referee() -> bool:
    asked = subprocess.run([SYSTEM_PYTHON, "-c", "import simgrid"], check=False, capture_output=True)
    return asked.returncode == 0


def _judged(problem: Problem, schedule: Schedule) -> float:
    """The makespan that SimGrid gives the plan."""
    edges, tasks = problem.edges, np.arange(problem.task_count)
    receivers = np.repeat(tasks, np.diff(edges.first))
    cards = problem.network.cards
    assert cards is not None
    order: list[list[int]] = [[] for _ in range(problem.node_count)]
    for task in schedule.order():
        order[schedule.node[task]].append(int(task))
    plan = {
        "seconds": problem.seconds[tasks, schedule.node].tolist(),
        "node": schedule.node.tolist(),
        "order": order,
        "edges": [
            list(edge) for edge in zip(edges.task.tolist(), receivers.tolist(), edges.bytes.tolist(), strict=True)
        ],
        "latency_seconds": problem.network.latency_seconds,
        "cards": cards.tolist(),
    }
    asked = subprocess.run(
        [SYSTEM_PYTHON, REFEREE], input=json.dumps(plan), capture_output=True, text=True, check=True, timeout=600
    )
    return max(json.loads(asked.stdout)["finish"])


__all__ = ["shared_links"]
