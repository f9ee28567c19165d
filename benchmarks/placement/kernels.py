"""How fast HEFT is as compiled: against what the reference library took, and against reading the matrix once."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from benchmarks.measure import Measure
from benchmarks.placement.reference import heft_seconds
from benchmarks.placement.table import Context, Table
from server.planning.constructors import heft
from server.planning.problem import Edges, Network, Problem, exclusive_problem

REFERENCE_MILLISECONDS = {(1000, 20): 345.0, (1000, 100): 2790.0}
"""HEFT of anrg-saga 2.1.0 on related machines of that size, CPU time, as measured once on a quiet machine: used where
it cannot be measured in the same run."""
REFERENCE_SEEDS = {(1000, 20): range(7), (1000, 100): range(3)}
LEAST_SPEED_UP = {(1000, 20): 1000.0, (1000, 100): 5000.0}
LARGE = (10_000, 1000)
REPEATS = 15
UPSTREAMS = 3


def kernels(context: Context) -> Table:
    """CPU milliseconds of HEFT, problem statement not included: medians of both sides where the library runs here."""
    rows: list[list[object]] = []
    measures, notes = [], []
    for (tasks, nodes), recorded in REFERENCE_MILLISECONDS.items():
        now = heft_seconds(tasks, nodes, REFERENCE_SEEDS[tasks, nodes], context.environments)
        theirs = recorded if now is None else 1000 * median(now)
        if now is None:
            notes.append(f"{tasks} x {nodes}: theirs is as recorded on another day, so the ratio is of two machines.")
        problem = layered(tasks, nodes, context.seed, _uneven(nodes, context.seed))
        spent = spent_milliseconds(partial(heft, problem))
        ours = min(spent) if now is None else median(spent)
        rows.append([f"{tasks} x {nodes}, uneven links", ours, theirs, theirs / ours])
        what = f"HEFT {tasks} x {nodes}: times less CPU than the reference library took"
        measures.append(Measure(what, theirs / ours, "", least=LEAST_SPEED_UP[tasks, nodes]))
    problem = layered(*LARGE, context.seed, Network(uniform=1.0))
    heft(problem)
    reading = least_milliseconds(problem.seconds.sum)
    ours = least_milliseconds(partial(heft, problem), repeats=5)
    rows.append([f"{LARGE[0]} x {LARGE[1]}, uniform network, against one sum", ours, reading, reading / ours])
    measures.append(Measure("HEFT 10,000 x 1,000 over one pass of numpy", ours / reading, "", most=6.0))
    share = _peak_bytes(problem) / problem.seconds.nbytes
    measures.append(Measure("working memory over the matrix, matrix included", 1 + share, "", most=1.5))
    return Table("Kernels", ["what", "HEFT, ms", "against, ms", "ratio"], rows, measures, notes)


def layered(tasks: int, nodes: int, seed: int, network: Network) -> Problem:
    """A random graph in layers as wide as the root of its size, three upstreams a task, unrelated nodes."""
    draw = np.random.default_rng(seed)
    seconds = draw.uniform(10, 30, tasks)[:, None] * draw.uniform(0.5, 1.5, (tasks, nodes))
    width = max(1, int(tasks**0.5))
    layer = np.arange(width, tasks) // width
    senders = [np.unique(draw.integers((k - 1) * width, k * width, UPSTREAMS)) for k in layer]
    counts = [0] * width + [len(found) for found in senders]
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    edges = Edges(first, np.concatenate(senders).astype(np.int32), draw.uniform(5, 40, int(first[-1])))
    return exclusive_problem(seconds, edges, network)


def least_milliseconds(run: Callable[[], object], *, repeats: int = REPEATS) -> float:
    """The least CPU time of this process, the first run (which may compile) aside."""
    return min(spent_milliseconds(run, repeats=repeats))


def spent_milliseconds(run: Callable[[], object], *, repeats: int = REPEATS) -> list[float]:
    """CPU time of this process for each run but the first, which may compile."""
    run()
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        spent.append(1000 * (time.process_time() - began))
    return spent


def _uneven(nodes: int, seed: int) -> Network:
    pairs = np.random.default_rng(seed + 1).uniform(0.5, 1.5, (nodes, nodes))
    np.fill_diagonal(pairs, 0.0)
    return Network(pairs=pairs)


def _peak_bytes(problem: Problem) -> int:
    tracemalloc.start()
    try:
        heft(problem)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


__all__ = ["kernels", "layered", "least_milliseconds", "spent_milliseconds"]
