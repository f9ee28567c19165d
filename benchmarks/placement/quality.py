"""How good plans are: random graphs against the best known and the reference library, real workflows, small optima."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from benchmarks.measure import Measure
from benchmarks.placement import reference
from benchmarks.placement.instances import Graph, graphs, layered, workflow
from benchmarks.placement.table import Context, Table, geometric_mean
from server.planning.constructors import cpop, heft, max_min, min_min, peft, sufferage
from server.planning.problem import Problem
from server.planning.schedule import Schedule
from server.planning.search import anytime

SMALL = 100
"""Tasks: up to here a graph is small."""
ROUNDED = 1e-6
"""Relative: the files give run times and sizes in about seven digits, and makespans as they were before."""
WORKFLOW_NODES = (4, 16, 64)
LONG_SECONDS = 10.0
"""A search that stands in for the best known where nobody has published one."""
CONSTRUCTORS: dict[str, Callable[[Problem], Schedule]] = {
    "heft": heft,
    "peft": peft,
    "cpop": cpop,
    "min_min": min_min,
    "max_min": max_min,
    "sufferage": sufferage,
}


def searched(problem: Problem, seconds: float, seed: int) -> float:
    """The makespan that `anytime` reaches in so many seconds of processor time: what else runs here does not count."""
    return anytime(problem, seconds=seconds, monotonic=time.process_time, seed=seed).makespan


def small_graphs(context: Context) -> Table:
    """Random graphs of up to a hundred tasks: against the best known and all algorithms of the reference library."""
    found = [one for one in graphs(_data(context)) if one.problem.task_count <= SMALL]
    asked = reference.measured([one.path for one in found], context.environments)
    rows = []
    for one in found:
        makespans = {name: build(one.problem).makespan for name, build in CONSTRUCTORS.items()}
        known = reference.recorded(one.path).best
        theirs = min(known, asked[one.path].best) if asked else known
        quick, second = (searched(one.problem, seconds, context.seed) for seconds in (0.1, 1.0))
        rows.append([one.name, one.best_known, *makespans.values(), theirs, quick, second])
    columns = ["graph", "best known", *CONSTRUCTORS, "best of the reference library", "anytime 0.1 s", "anytime 1 s"]

    def against_best(column: str) -> float:
        return geometric_mean(row[columns.index(column)] / row[1] for row in rows)

    beaten = sum(row[-3] < row[-1] * (1 - ROUNDED) for row in rows)
    measures = [
        Measure("anytime 0.1 s over the best known, geometric mean", against_best("anytime 0.1 s"), "", most=1.03),
        Measure("anytime 1 s over the best known, geometric mean", against_best("anytime 1 s"), "", most=1.01),
        Measure("graphs on which an algorithm of the reference library beats anytime 1 s", beaten, "", most=0),
        *(Measure(f"{name} over the best known, geometric mean", against_best(name), "") for name in CONSTRUCTORS),
        Measure("best of the reference library over the best known", against_best(columns[-3]), ""),
    ]
    ran = "run here as well" if asked else "as recorded in the files; it could not be installed here"
    return Table("Random graphs, up to 100 tasks", columns, rows, measures, [f"The reference library: {ran}."])


def large_graphs(context: Context) -> Table:
    """Graphs of a thousand tasks: against the better of HEFT and MinMin."""
    columns = ["graph", "lower bound", "heft", "min_min", "anytime 1 s", "anytime 5 s"]
    rows: list[list[Any]] = []
    for one in graphs(_data(context)):
        if one.problem.task_count > SMALL:
            searches = [searched(one.problem, seconds, context.seed) for seconds in (1.0, 5.0)]
            plans = heft(one.problem).makespan, min_min(one.problem).makespan
            rows.append([one.name, one.lower_bound, *plans, *searches])

    def over(column: int, chosen: Iterable[list[Any]]) -> float:
        return geometric_mean(row[column] / min(row[2], row[3]) for row in chosen)

    measures = [
        Measure("1,000 tasks: anytime 1 s over the better of HEFT and MinMin", over(4, rows), "", most=0.98),
        Measure("1,000 tasks: anytime 5 s over the better of HEFT and MinMin", over(5, rows), "", most=0.96),
        Measure("1,000 tasks: the lower bound over the same", over(1, rows), ""),
    ]
    for nodes in sorted({row[0].split("_")[0] for row in rows}):
        of_size = [row for row in rows if row[0].startswith(nodes + "_")]
        measures.append(Measure(f"{nodes}: anytime 5 s (lower bound {over(1, of_size):.3f})", over(5, of_size), ""))
    return Table("Random graphs, 1,000 tasks", columns, rows, measures)


def workflows(context: Context) -> Table:
    """Recorded workflows on clusters of 4, 16 and 64 nodes of four types."""
    columns = ["workflow", "nodes", "tasks", "heft", "anytime 1 s", "best known"]
    rows = []
    for path in sorted((_data(context) / "wfinstances").glob("*.json")):
        for nodes in WORKFLOW_NODES:
            problem = workflow(path, nodes, context.seed)
            plan, second = heft(problem).makespan, searched(problem, 1.0, context.seed)
            best = min(plan, second, searched(problem, LONG_SECONDS, context.seed + 1))
            rows.append([path.stem, nodes, problem.task_count, plan, second, best])
    ratio = geometric_mean(row[4] / row[5] for row in rows)
    worse = sum(row[4] > row[3] * (1 + 1e-9) for row in rows)
    measures = [
        Measure(f"workflows: anytime 1 s over the best known ({LONG_SECONDS:g} s)", ratio, "", most=1.002),
        Measure("workflows: HEFT over the same", geometric_mean(row[3] / row[5] for row in rows), ""),
        Measure("workflows on which anytime 1 s is worse than HEFT", worse, "", most=0),
    ]
    return Table("Recorded workflows", columns, rows, measures)


def proofs(context: Context) -> Table:
    """Seconds until the optimum is proved, on random graphs with uniform links."""
    from server.planning.exact import prove

    columns = ["tasks", "nodes", "transfers over run times", "seed", "seconds", "proved"]
    rows = []
    for tasks, limit in ((20, 60.0), (40, 60.0)):
        for nodes in (4, 8):
            for ratio in (0.1, 1.0, 5.0):
                for seed in range(context.seed, context.seed + 2):
                    problem = layered(tasks, nodes, ratio=ratio, seed=seed)
                    hint = anytime(problem, seconds=0.1, monotonic=time.monotonic, seed=seed)
                    began = time.monotonic()
                    proof = prove(problem, seconds=limit, hint=hint)
                    rows.append([tasks, nodes, ratio, seed, time.monotonic() - began, proof.is_proved])

    def middle(tasks: int) -> float:
        return median(row[4] if row[5] else float("inf") for row in rows if row[0] == tasks)

    measures = [
        Measure("optimum proved, 20 tasks, median", middle(20), "s", most=1.0),
        Measure("optimum proved, 40 tasks, median", middle(40), "s", most=5.0),
    ]
    return Table("Proved optima", columns, rows, measures)


def _data(context: Context) -> Any:
    if context.data is None:
        raise FileNotFoundError("set MLOPX_BENCH_DATA to the folder with the public data")
    return context.data


__all__ = ["CONSTRUCTORS", "Graph", "large_graphs", "proofs", "searched", "small_graphs", "workflows"]
