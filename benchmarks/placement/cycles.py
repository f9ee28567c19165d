"""How long one decision takes through the real path: request pickled, worker, plan checked, room offered, recorded."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from dataclasses import replace
from datetime import timedelta

from benchmarks.measure import Measure, percentile
from benchmarks.placement.table import Context, Table
from server.components.decision_unit import DecisionUnit
from server.domain.node import Occupancy
from server.domain.placement import PlacementRequest, WaitingRun
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task

CASES = ((1_000, 100, 60, 0.2), (10_000, 1_000, 8, 2.0))
"""Waiting tasks, nodes, decisions taken, and the most seconds that the slowest in a hundred may take."""

COMPONENTS, TASKS_PER_RUN = 200, 5
SPEEDS = (0.5, 1.0, 1.5, 2.0, 3.0)


def cycles(context: Context) -> Table:
    """Decisions by the default strategy on a queue that changes a little from one to the next."""
    rows, measures = [], []
    for tasks, nodes, count, most in CASES:
        took, cpu = asyncio.run(_decide(a_queue(tasks, nodes), count))
        p99 = percentile(took, 0.99)
        rows.append((tasks, nodes, count, percentile(took, 0.5), p99, cpu))
        what = f"one decision, {tasks:,} waiting tasks on {nodes:,} nodes, p99"
        measures.append(Measure(what, p99, "s", most=most))
    columns = ("tasks", "nodes", "decisions", "median_seconds", "p99_seconds", "mean_cpu_seconds_of_the_server")
    load = f"Load average while it was measured: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores."
    return Table("One decision cycle", columns, rows, measures, (load, "Building the request is not counted."))


def a_queue(tasks: int, nodes: int) -> PlacementRequest:
    """Runs of five tasks, half of them chains, on shared nodes of four sizes and five speeds, most of them taken."""
    cluster = [
        a_node(f"node-{i:04}", cpus=2 ** (1 + i % 4), memory_gib=2 ** (3 + i % 4), speed=SPEEDS[i % 5])
        for i in range(nodes)
    ]
    runs = [_run(number, tasks) for number in range(tasks // TASKS_PER_RUN)]
    seconds = {
        (f"component-{c:03}", node.name): (20.0 + c * 7919 % 200) / node.speed
        for c in range(COMPONENTS)
        for node in cluster
    }
    taken = [
        Occupancy(node.name, node.allocatable, "other", f"task-{i}", NOW + timedelta(seconds=5 + i % 300))
        for i, node in enumerate(cluster)
        if i % 10
    ]
    return a_request(cluster, runs, seconds=seconds, occupancies=taken)


def _run(number: int, tasks: int) -> WaitingRun:
    name = f"run-{number:05}"
    steps = []
    for step in range(TASKS_PER_RUN):
        waits_for = [f"step-{step - 1}"] if step and number % 2 else []
        task = a_task(name, f"step-{step}", cpus=1 + step % 2, memory_gib=1 + step, waits_for=waits_for)
        component = f"component-{(number * 7 + step * 13) % COMPONENTS:03}"
        steps.append(replace(task, component=component))
    return a_run(name, *steps, submitted_seconds_ago=tasks - number)


async def _decide(request: PlacementRequest, count: int) -> tuple[list[float], float]:
    """Wall seconds of each decision, and the server's mean CPU seconds."""
    ids = itertools.count()
    unit = DecisionUnit(
        placer="online", new_id=lambda: str(next(ids)), time_limit_seconds=60.0, start_patience_seconds=300.0
    )
    await unit.start()
    took, begun = [], 0.0
    for number in range(-2, count):  # two to warm up
        if number == 0:
            begun = time.process_time()
        changed = replace(request, cycle=number, runs=request.runs[number % 7 :], time_limit_seconds=60.0)
        before = time.monotonic()
        outcome = await unit.decide(changed)
        took.append(time.monotonic() - before)
        if outcome.problem is not None:
            raise RuntimeError(outcome.problem)
    cpu = (time.process_time() - begun) / count
    await unit.aclose()
    return took[2:], cpu


__all__ = ["a_queue", "cycles"]
