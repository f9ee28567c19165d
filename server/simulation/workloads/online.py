"""Many small pipelines on unlike nodes: 4 to 12 tasks, log-normal sizes, speeds of the kinds with an affinity per task.

Offered load is counted against a cluster in which every task runs at the mean speed of all nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from server.simulation.chance import chance
from server.simulation.machines import Machine
from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival, TaskWork, Way, make_work
from server.simulation.workloads.arriving import arrive
from server.simulation.workloads.layers import random_graph

SIZE_MEDIAN_SECONDS, SIZE_SIGMA = 60.0, 1.0
TASK_SIGMA, AFFINITY_SIGMA = 0.7, 0.3


def generate(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """Pipelines whose tasks take a whole node each."""
    luck = chance(seed, "online")
    speed_of = {machine.kind: machine.node.speed for machine in machines}
    capacity = sum(machine.node.speed for machine in machines)
    works, cluster_seconds = [], []
    for number in range(table.pipelines):
        scale = SIZE_MEDIAN_SECONDS * math.exp(luck.gauss(0, SIZE_SIGMA))
        tasks, total = [], 0.0
        for index, after in enumerate(random_graph(luck.randint(4, 12), luck)):
            work = scale * math.exp(luck.gauss(0, TASK_SIGMA))
            seconds = {
                kind: round(work / speed * math.exp(luck.gauss(0, AFFINITY_SIGMA)), 3)
                for kind, speed in speed_of.items()
            }
            total += work
            tasks.append(TaskWork(f"t{index}", (Way(seconds, cpu_millicores=1000),), after))
        works.append(make_work(f"p{number}", tasks, kinds=list(speed_of)))
        cluster_seconds.append(total / capacity)
    return arrive(works, table, cluster_seconds, luck)


__all__ = ["generate"]
