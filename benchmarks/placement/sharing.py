"""What plans are worth when transfers share network cards: searched with one port a card, judged by fair sharing."""

from __future__ import annotations

import json
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Measure
from benchmarks.placement.instances import Graph, graphs, with_cards
from benchmarks.placement.quality import SMALL
from benchmarks.placement.table import Context, Table, geometric_mean
from server.planning.card_bounds import makespan_bound_on_cards
from server.planning.constructors import heft
from server.planning.prediction import predict
from server.planning.problem import Problem, Sharing
from server.planning.schedule import Schedule
from server.planning.search import anytime

REFEREE = Path(__file__).with_name("simgrid_referee.py")
SYSTEM_PYTHON = "/usr/bin/python3"
LIMITS = {"1": 0.68, "5": 0.28}
LARGEST_ERROR = 0.05
BOUNDED_TASKS, BOUNDED_RATIO, BOUND_SECONDS = 20, "5", 100.0
"""Graphs of so many tasks and this ratio of transfers to run times get a proved lower bound, in so many seconds."""


def shared_links(context: Context) -> Table:
    """Contention-free HEFT, contention-free search and one-port search, all judged with shared cards."""
    if context.data is None:
        raise FileNotFoundError("set MLOPX_BENCH_DATA to the folder with the public data")
    has_referee, has_solver = _has_referee(), find_spec("ortools") is not None
    rows: list[list[Any]] = []
    errors = []
    for one in graphs(context.data):
        if one.problem.task_count > SMALL:
            continue
        alone = with_cards(one.problem, Sharing.CONTENTION_FREE)
        ported = with_cards(one.problem, Sharing.ONE_PORT)
        plain = heft(alone)
        blind = anytime(alone, seconds=1.0, monotonic=time.monotonic, seed=context.seed)
        aware = anytime(ported, seconds=1.0, monotonic=time.monotonic, seed=context.seed)
        ours = [predict(alone, plan).makespan for plan in (plain, blind, aware)]
        judged = [_judged(alone, plan) for plan in (plain, blind, aware)] if has_referee else ours
        errors += [abs(mine - theirs) / theirs for mine, theirs in zip(ours, judged, strict=True)]
        bound = _bound(one, ported, aware) if has_solver else None
        rows.append([one.name, one.ratio, plain.makespan, *judged, *ours, bound])
    columns = ["graph", "transfers over run times", "HEFT's own prediction"]
    columns += ["HEFT", "search, contention-free", "search, one port"]
    columns += ["HEFT, predicted", "search, contention-free, predicted", "search, one port, predicted"]
    columns += ["proved lower bound"]
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
    bounded = [row for row in rows if row[-1] is not None]
    if bounded:
        what = f"CCR {BOUNDED_RATIO}, the {len(bounded)} graphs of {BOUNDED_TASKS} tasks"
        found = geometric_mean(row[-2] / row[6] for row in bounded)
        least = geometric_mean(row[-1] / row[6] for row in bounded)
        measures.append(Measure(f"{what}: one-port search over HEFT, predicted", found, ""))
        measures.append(Measure(f"{what}: proved lower bound of any plan over HEFT, predicted", least, ""))
    if has_referee:
        measures.append(Measure("largest error of our prediction against SimGrid", max(errors), "", most=LARGEST_ERROR))
    judge = "SimGrid" if has_referee else "our own prediction: SimGrid (Debian: python3-simgrid) is not installed"
    return Table("Shared links", columns, rows, measures, [f"The judge: {judge}."])


def _bound(one: Graph, ported: Problem, found: Schedule) -> float | None:
    if one.problem.task_count != BOUNDED_TASKS or one.ratio != BOUNDED_RATIO:
        return None
    return makespan_bound_on_cards(ported, predict(ported, found), seconds=BOUND_SECONDS)


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
