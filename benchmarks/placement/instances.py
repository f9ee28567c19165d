"""Reads the public problems: random graphs with their best-known results, and real workflows on made-up clusters."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from server.planning.problem import Edges, Network, Problem, Sharing, exclusive_problem

SPEEDS = (0.6, 1.0, 1.5, 2.2)
"""Of the four types of node in a made-up cluster."""
AFFINITY = 0.35
"""Standard deviation of the logarithm of how well a program suits a type of node."""
SECONDS_PER_BYTE = 8 / 1e9
"""A network of one gigabit per second."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A problem with what is known of it."""

    name: str
    path: Path
    problem: Problem
    best_known: float
    lower_bound: float
    is_proved: bool

    @property
    def ratio(self) -> str:
        """How transfers compare with run times, as the name says."""
        return self.name.split("_ccr")[1].split("_")[0] if "_ccr" in self.name else ""


def graphs(folder: Path) -> list[Graph]:
    """The random graphs, smaller ones first."""
    found = [_graph(path) for path in sorted((folder / "dags").glob("*.json.gz"))]
    return sorted(found, key=lambda one: (one.problem.task_count, one.problem.node_count, one.name))


def _graph(path: Path) -> Graph:
    with gzip.open(path, "rt") as file:
        said = json.load(file)
    seconds = np.array(said["run_seconds"])
    network = Network(pairs=np.array(said["seconds_per_byte"]))
    problem = exclusive_problem(seconds, edges_of(said["edges"], len(seconds)), network)
    return Graph(said["name"], path, problem, said["best_known"], said["lower_bound"], said["proved_optimal"])


def edges_of(triples: list[Any], task_count: int) -> Edges:
    """From [sender, receiver, bytes] to edges by receiver."""
    ordered = sorted(triples, key=lambda edge: (edge[1], edge[0]))
    first = np.zeros(task_count + 1, np.int32)
    np.cumsum(np.bincount([edge[1] for edge in ordered], minlength=task_count), out=first[1:])
    senders = np.array([edge[0] for edge in ordered], np.int32)
    return Edges(first, senders, np.array([edge[2] for edge in ordered], np.float64))


def layered(task_count: int, node_count: int, *, ratio: float, seed: int) -> Problem:
    """A random graph in layers, each task fed by one to four of the layer above, on unrelated nodes with equal links.

    `ratio` is that of the mean transfer to the mean run time; run times vary by half around a task's own mean.
    """
    random = np.random.default_rng(seed)
    width = max(2, round(task_count**0.5))
    layer = np.sort(random.integers(0, max(2, task_count // width), task_count))
    means = random.uniform(10, 100, task_count)
    triples = []
    for task in range(task_count):
        above = np.flatnonzero(layer == layer[task] - 1)
        if layer[task] and len(above):
            senders = random.choice(above, min(len(above), int(random.integers(1, 5))), replace=False)
            triples += [[int(sender), task, float(random.uniform(0, 2))] for sender in senders]
    seconds = means[:, None] * random.uniform(0.5, 1.5, (task_count, node_count))
    mean_bytes = np.mean([size for *_, size in triples]) if triples else 1.0
    return exclusive_problem(
        seconds, edges_of(triples, task_count), Network(uniform=float(ratio * seconds.mean() / mean_bytes))
    )


def with_cards(problem: Problem, sharing: Sharing) -> Problem:
    """The same problem with one network card per node, with the mean bandwidth of its links."""
    pairs = problem.network.pairs
    if pairs is None:
        raise ValueError("only a network given by pairs can be turned into cards")
    is_link = ~np.eye(len(pairs), dtype=bool)
    bandwidth = np.mean(1 / pairs[is_link].reshape(len(pairs), -1), axis=1)
    return exclusive_problem(problem.seconds, problem.edges, Network(cards=1 / bandwidth, sharing=sharing))


def workflow(path: Path, node_count: int, seed: int) -> Problem:
    """A real workflow (WfFormat 1.5) on nodes of four types, each program suiting each type more or less."""
    with path.open(encoding="utf-8") as file:
        said = json.load(file)["workflow"]
    tasks = said["specification"]["tasks"]
    ran = {task["id"]: task["runtimeInSeconds"] for task in said["execution"]["tasks"]}
    sizes = {file["id"]: file["sizeInBytes"] for file in said["specification"].get("files", [])}
    number = {task["id"]: index for index, task in enumerate(tasks)}
    random = np.random.default_rng(seed)
    suits: dict[str, Any] = {}
    rows = []
    for task in tasks:
        program = task["name"].rstrip("0123456789_.-")
        if program not in suits:
            suits[program] = np.exp(random.normal(0, AFFINITY, len(SPEEDS)))
        rows.append(max(ran[task["id"]], 1e-3) * suits[program] / np.array(SPEEDS))
    seconds = np.array(rows)[:, np.arange(node_count) % len(SPEEDS)]
    outputs = {task["id"]: set(task.get("outputFiles", [])) for task in tasks}
    triples = [
        [number[parent], number[task["id"]], sum(sizes.get(name, 0) for name in shared)]
        for task in tasks
        for parent in task.get("parents", [])
        for shared in [outputs[parent] & set(task.get("inputFiles", []))]
    ]
    return exclusive_problem(
        np.ascontiguousarray(seconds), edges_of(triples, len(tasks)), Network(uniform=SECONDS_PER_BYTE)
    )


__all__ = ["Graph", "edges_of", "graphs", "layered", "with_cards", "workflow"]
