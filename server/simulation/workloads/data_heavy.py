"""Pipelines that move more than they compute: outputs of gigabytes, so that where a task's inputs lie decides."""

from __future__ import annotations

import math
from collections.abc import Sequence

from server.simulation.chance import chance
from server.simulation.machines import Machine
from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival, TaskWork, Way, make_work
from server.simulation.workloads.arriving import arrive
from server.simulation.workloads.layers import random_graph

SECONDS_MEDIAN, SECONDS_SIGMA = 40.0, 0.6
BYTES_MEDIAN, BYTES_SIGMA = 4e9, 0.8
"""At 1 Gbit/s the median output takes 32 s: about as long as a task."""


def generate(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """Pipelines of 4 to 10 tasks, two CPUs each."""
    luck = chance(seed, "data-heavy")
    speed_of = {machine.kind: machine.node.speed for machine in machines}
    capacity = sum(machine.node.speed * (machine.node.allocatable.cpu_millicores // 2000) for machine in machines)
    works, cluster_seconds = [], []
    for number in range(table.pipelines):
        tasks, total = [], 0.0
        for index, after in enumerate(random_graph(luck.randint(4, 10), luck)):
            work = SECONDS_MEDIAN * math.exp(luck.gauss(0, SECONDS_SIGMA))
            total += work
            size = BYTES_MEDIAN * math.exp(luck.gauss(0, BYTES_SIGMA))
            seconds = {kind: round(work / speed, 3) for kind, speed in speed_of.items()}
            way = Way(seconds, cpu_millicores=2000)
            tasks.append(TaskWork(f"t{index}", (way,), after, output_bytes=round(size)))
        works.append(make_work(f"p{number}", tasks, kinds=list(speed_of)))
        cluster_seconds.append(total / max(capacity, 1e-9))
    return arrive(works, table, cluster_seconds, luck)


__all__ = ["generate"]
