"""The examples that the papers print: the same makespans, and how soon the optima are found."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from benchmarks.measure import Measure
from benchmarks.placement.table import Context, Table
from server.planning.constructors import cpop, heft, peft
from server.planning.problem import Problem
from server.planning.schedule import Schedule
from server.planning.search import anytime
from server.testing.random_problems import arabnejad, topcuoglu

PUBLISHED: tuple[tuple[str, Problem, Callable[[Problem], Schedule], float], ...] = (
    ("Topcuoglu 2002, HEFT", topcuoglu(), heft, 80),
    ("Topcuoglu 2002, CPOP", topcuoglu(), cpop, 86),
    ("Arabnejad 2014, HEFT", arabnejad(), heft, 133),
    ("Arabnejad 2014, PEFT", arabnejad(), peft, 122),
)
OPTIMA = (("Topcuoglu 2002", topcuoglu(), 73.0), ("Arabnejad 2014", arabnejad(), 113.0))
BUDGET_SECONDS = 0.05
SEEDS = 20


def published(context: Context) -> Table:
    """Makespans as printed, and optima within fifty milliseconds over twenty seeds."""
    rows: list[list[object]] = []
    measures = []
    for what, problem, build, printed in PUBLISHED:
        makespan = build(problem).makespan
        rows.append([what, printed, makespan])
        measures.append(Measure(what, makespan, "", most=printed, least=printed))
    for what, problem, optimum in OPTIMA:
        anytime(problem, seconds=BUDGET_SECONDS, monotonic=time.monotonic)  # compiles
        found, spent = [], []
        for seed in range(context.seed, context.seed + SEEDS):
            began = time.monotonic()
            found.append(anytime(problem, seconds=BUDGET_SECONDS, monotonic=time.monotonic, seed=seed).makespan)
            spent.append(time.monotonic() - began)
        rows += [[f"{what}, anytime, seed {seed}", optimum, makespan] for seed, makespan in enumerate(found)]
        reached = sum(makespan <= optimum + 1e-9 for makespan in found) / SEEDS
        measures.append(Measure(f"{what}: share of {SEEDS} seeds that reach the optimum", reached, "", least=1.0))
        measures.append(Measure(f"{what}: seconds of a search of {BUDGET_SECONDS} s, median", median(spent), "s"))
    return Table("Published examples", ["example", "expected", "makespan"], rows, measures)


__all__ = ["published"]
