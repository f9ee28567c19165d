"""When pipelines arrive: one by one at random, in bursts, or all at once; at the rate that makes a given load."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival, Work


def arrive(
    works: Sequence[Work], table: GeneratorTable, cluster_seconds: Sequence[float], luck: Random
) -> list[Arrival]:
    """Spread the pipelines over time.

    `cluster_seconds[i]` is how long pipeline i would keep the whole cluster busy; offered at `table.load`, the mean
    gap between two arrivals is the mean of these over the load.
    """
    gap = sum(cluster_seconds) / len(cluster_seconds) / table.load
    at = 0.0
    found = []
    for index, work in enumerate(works):
        if table.process == "poisson":
            at += luck.expovariate(1 / gap)
        elif table.process == "bursts" and index % table.burst == 0:
            at += luck.expovariate(1 / (gap * table.burst))
        found.append(Arrival(round(at, 3), f"r{index:06d}", work))
    return found


__all__ = ["arrive"]
