"""The reference library's side of the comparison: `python reference_side.py FILE …` in an environment that has it.

The library (`anrg-saga`, Python 3.12) only knows speeds: run time = cost / speed. So that it can be given the same
problems, costs and speeds are numbers that look the quotient up in the problem's matrix. It prints one JSON object per
file: makespan and CPU seconds per algorithm, only of schedules that an own check finds whole and valid.
"""

from __future__ import annotations

import gzip
import itertools
import json
import sys
import time
from typing import Any

TOLERANCE = 1e-6
ALGORITHMS = [
    "BIL",
    "Cpop",
    "Duplex",
    "ETF",
    "FCP",
    "FLB",
    "FastestNode",
    "Heft",
    "MCT",
    "MET",
    "MSBC",
    "MST",
    "MaxMin",
    "MinMin",
    "OLB",
    "PEFT",
    "Sufferage",
    "WBA",
]
"""Those that answer a hundred tasks within seconds and leave no task out."""


class Cost(float):
    """What a task costs; divided by a node's speed it is the run time that the matrix says."""

    row: list[float]

    def __truediv__(self, other: Any) -> float:
        return self.row[other.column] if isinstance(other, Speed) else float(self) / other


class Speed(float):
    """The speed of one node."""

    column: int


def main(paths: list[str]) -> None:
    """Print one line per file."""
    for path in paths:
        with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as file:
            problem = json.load(file)
        print(json.dumps({"file": path, "results": run_all(problem)}), flush=True)


def run_all(problem: dict[str, Any]) -> dict[str, Any]:
    """Makespan and CPU seconds of every algorithm, or what went wrong."""
    import saga.schedulers

    network, graph = library_problem(problem)
    found: dict[str, Any] = {}
    for name in ALGORITHMS:
        kind = next(value for key, value in vars(saga.schedulers).items() if key.lower() == f"{name}scheduler".lower())
        began = time.process_time()
        try:
            schedule = kind().schedule(network, graph)
        except Exception as error:
            found[name] = {"problem": f"{type(error).__name__}: {error}"[:200]}
            continue
        seconds = time.process_time() - began
        placed = [
            (int(task.name[1:]), int(node[1:]), task.start, task.end)
            for node, tasks in schedule.items()
            for task in tasks
        ]
        flaw = flaw_of(problem, placed)
        found[name] = (
            {"problem": flaw} if flaw else {"makespan": max(end for *_, end in placed), "cpu_seconds": seconds}
        )
    return found


def library_problem(problem: dict[str, Any]) -> tuple[Any, Any]:
    """The problem in the library's own terms."""
    from saga import Network, NetworkNode, TaskGraph, TaskGraphEdge, TaskGraphNode

    seconds, per_byte = problem["run_seconds"], problem["seconds_per_byte"]
    nodes = []
    for column in range(len(per_byte)):
        speed = Speed(1.0 / (sum(row[column] for row in seconds) / len(seconds)))
        speed.column = column
        nodes.append(NetworkNode.model_construct(name=f"n{column}", speed=speed))
    links = [
        (f"n{one}", f"n{other}", float("inf") if one == other else 1.0 / per_byte[one][other])
        for one in range(len(nodes))
        for other in range(one, len(nodes))
    ]
    plain = Network.create([(node.name, float(node.speed)) for node in nodes], links)
    network = Network.model_construct(nodes=frozenset(nodes), edges=plain.edges)
    tasks = []
    for number, row in enumerate(seconds):
        cost = Cost(sum(row) / len(row))
        cost.row = row
        tasks.append(TaskGraphNode.model_construct(name=f"t{number}", cost=cost))
    edges = [TaskGraphEdge(source=f"t{one}", target=f"t{other}", size=size) for one, other, size in problem["edges"]]
    return network, TaskGraph.model_construct(tasks=frozenset(tasks), dependencies=frozenset(edges))


def flaw_of(problem: dict[str, Any], placed: list[tuple[int, int, float, float]]) -> str:
    """What is wrong with a schedule; empty for a valid one."""
    seconds, per_byte = problem["run_seconds"], problem["seconds_per_byte"]
    if sorted(task for task, *_ in placed) != list(range(len(seconds))):
        return f"places {len({task for task, *_ in placed})} of {len(seconds)} tasks"
    where = {task: (node, start, end) for task, node, start, end in placed}
    for task, (node, start, end) in where.items():
        if abs(end - start - seconds[task][node]) > TOLERANCE * max(end, 1):
            return f"task {task} has the wrong run time"
    for sender, receiver, size in problem["edges"]:
        arrives = where[sender][2] + size * per_byte[where[sender][0]][where[receiver][0]]
        if where[receiver][1] < arrives - TOLERANCE * max(arrives, 1):
            return f"task {receiver} starts before the output of {sender} is there"
    for node in range(len(per_byte)):
        spans = sorted((start, end) for _, at, start, end in placed if at == node)
        for (_, end), (start, _) in itertools.pairwise(spans):
            if start < end - TOLERANCE * max(end, 1):
                return f"node {node} runs two tasks at once"
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
