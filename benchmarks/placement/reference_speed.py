"""How long the reference library takes for HEFT: `python reference_speed.py TASKS NODES SEED …` in its environment.

On its own terms, which are its fastest: costs over speeds, and links of uneven bandwidth. The graphs have the shape of
`benchmarks.placement.kernels.layered`. It prints one JSON list: CPU seconds per seed, without building the
problem.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

UPSTREAMS = 3


def main(tasks: int, nodes: int, seeds: list[int]) -> None:
    """Print the list."""
    print(json.dumps([heft_seconds(tasks, nodes, seed) for seed in seeds]))


def heft_seconds(tasks: int, nodes: int, seed: int) -> float:
    """CPU seconds of one schedule."""
    from saga.schedulers import HeftScheduler

    network, graph = problem(tasks, nodes, random.Random(seed))
    began = time.process_time()
    HeftScheduler().schedule(network, graph)
    return time.process_time() - began


def problem(tasks: int, nodes: int, draw: random.Random) -> tuple[Any, Any]:
    """Layers as wide as the root of the graph's size, three upstreams a task."""
    from saga import Network, TaskGraph

    machines = [(f"n{column}", draw.uniform(0.5, 1.5)) for column in range(nodes)]
    links = [
        (f"n{one}", f"n{other}", float("inf") if one == other else 1 / draw.uniform(0.5, 1.5))
        for one in range(nodes)
        for other in range(one, nodes)
    ]
    width = max(1, int(tasks**0.5))
    edges = []
    for task in range(width, tasks):
        end = task // width * width
        senders = {draw.randrange(end - width, end) for _ in range(UPSTREAMS)}
        edges += [(f"t{sender}", f"t{task}", draw.uniform(5, 40)) for sender in sorted(senders)]
    costs = [(f"t{task}", draw.uniform(10, 30)) for task in range(tasks)]
    return Network.create(machines, links), TaskGraph.create(costs, edges)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), [int(seed) for seed in sys.argv[3:]])
