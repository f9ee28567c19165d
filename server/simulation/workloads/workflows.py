"""Real scientific workflows as they ran, on a cluster of unlike nodes.

Source: WfInstances (WfFormat 1.5, LGPL-3), read from MLOPX_BENCH_DATA/wfinstances. A task's recorded run time is
what it takes on a node of speed 1; each program has an affinity of its own to each kind of node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from server.simulation.chance import chance, lognormal
from server.simulation.machines import Machine
from server.simulation.problems import ScenarioError
from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival, TaskWork, Way, Work, make_work
from server.simulation.workloads.arriving import arrive
from server.simulation.workloads.public_data import data_path, read_document

AFFINITY_SIGMA = 0.35
LEAST_SECONDS = 0.01


def generate(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """Workflows drawn from all files, each as it is. Raises ScenarioError."""
    speed_of = {machine.kind: machine.node.speed for machine in machines}
    slots = sum(machine.node.speed * (machine.node.allocatable.cpu_millicores // 1000) for machine in machines)
    paths = sorted(data_path("wfinstances").glob("*.json"))
    if not paths:
        raise ScenarioError(f"{data_path('wfinstances')}: holds no workflow")
    luck = chance(seed, "workflows")
    known: dict[Path, tuple[Work, float]] = {}
    works, cluster_seconds = [], []
    for _ in range(table.pipelines):
        path = luck.choice(paths)
        if path not in known:
            known[path] = _read(path, speed_of, seed)
        work, total = known[path]
        works.append(work)
        cluster_seconds.append(total / slots)
    return arrive(works, table, cluster_seconds, luck)


def _read(path: Path, speed_of: Mapping[str, float], seed: int) -> tuple[Work, float]:
    """The pipeline in a file, and its work in seconds on a node of speed 1."""
    try:
        workflow = read_document(path)["workflow"]
        ran = {task["id"]: task for task in workflow["execution"]["tasks"]}
        known = workflow["specification"]["tasks"]
        size_of = {file["id"]: float(file["sizeInBytes"]) for file in workflow["specification"].get("files", [])}
        index = {task["id"]: number for number, task in enumerate(known)}
        handed = _handed_over(known, size_of)
        tasks, total = [], 0.0
        for task in known:
            seconds = max(float(ran[task["id"]]["runtimeInSeconds"]), LEAST_SECONDS)
            program = str(ran[task["id"]].get("command", {}).get("program") or task["name"])
            total += seconds
            by_kind = {
                kind: round(seconds / speed * lognormal(AFFINITY_SIGMA, seed, "affinity", program, kind), 4)
                for kind, speed in speed_of.items()
            }
            after = tuple(index[parent] for parent in task.get("parents", []))
            way = Way(by_kind, cpu_millicores=1000)
            tasks.append(TaskWork(str(task["id"])[:48], (way,), after, output_bytes=handed.get(task["id"], 0.0)))
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioError(f"{path}: is not a workflow in WfFormat 1.5: {type(error).__name__} {error}") from None
    return make_work(path.stem, tasks, kinds=list(speed_of)), total


def _handed_over(tasks: Sequence[Mapping[str, Any]], size_of: Mapping[str, float]) -> dict[str, float]:
    """What each task hands to one of its children, on average: files that it writes and they read."""
    read_by = {task["id"]: set(task.get("inputFiles", [])) for task in tasks}
    found: dict[str, float] = {}
    for task in tasks:
        written = set(task.get("outputFiles", []))
        shared = [
            sum(size_of.get(name, 0.0) for name in written & read_by[child]) for child in task.get("children", [])
        ]
        if shared:
            found[task["id"]] = float(round(sum(shared) / len(shared)))
    return found


__all__ = ["generate"]
