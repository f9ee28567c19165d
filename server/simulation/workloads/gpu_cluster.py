"""Training pipelines on three generations of GPUs, with the throughputs that Gavel measured.

Each pipeline prepares data on CPUs, trains one of the single-GPU job types for a number of steps, and evaluates on a
GPU. Run times on K80, P100 and V100 follow from steps per second, so the nodes are unrelated: ratios differ by job
type. Source: Narayanan et al., OSDI 2020, `simulation_throughputs.json` (MIT), read from MLOPX_BENCH_DATA/gavel.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from server.simulation.chance import chance
from server.simulation.machines import Machine
from server.simulation.problems import ScenarioError
from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival, TaskWork, Way, Work, make_work
from server.simulation.workloads.arriving import arrive
from server.simulation.workloads.public_data import data_path, read_document

KINDS = ("k80", "p100", "v100")
GPU = "nvidia.com/gpu"

SHORTEST_SECONDS, LONGEST_SECONDS = 300.0, 10_800.0
"""Training times on a V100 are log-uniform between these."""

EVALUATION_SHARE = 0.05
PREPARATION_SECONDS = (60.0, 600.0)
GIB = 2**30


def generate(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """Pipelines of three tasks. Nodes are of the kinds k80, p100 and v100. Raises ScenarioError."""
    rates = throughputs()
    strange = sorted({machine.kind for machine in machines} - set(KINDS))
    if strange:
        raise ScenarioError(f"generator gpu-cluster: knows nodes of the kinds {', '.join(KINDS)}, not {strange[0]!r}")
    gpus = {kind: sum(_gpus(machine) for machine in machines if machine.kind == kind) for kind in KINDS}
    luck = chance(seed, "gpu-cluster")
    types = sorted(rates)
    works, cluster_seconds = [], []
    for number in range(table.pipelines):
        work, training = _pipeline(f"p{number}", rates[luck.choice(types)], luck)
        works.append(work)
        cluster_seconds.append(1 / sum(gpus[kind] / seconds for kind, seconds in training.items()))
    return arrive(works, table, cluster_seconds, luck)


def throughputs() -> dict[str, dict[str, float]]:
    """Steps per second by job type and kind of GPU, for jobs on one GPU alone that all three can run."""
    path = data_path("gavel", "simulation_throughputs.json")
    document: Mapping[str, Any] = read_document(path)
    found: dict[str, dict[str, float]] = {}
    for text in document.get("v100", {}):
        name, scale = ast.literal_eval(text)
        rates = {kind: float(document[kind].get(text, {}).get("null", 0.0)) for kind in KINDS}
        if scale == 1 and min(rates.values()) > 0:
            found[name] = rates
    if not found:
        raise ScenarioError(f"{path}: holds no throughputs of jobs on one GPU")
    return found


def _gpus(machine: Machine) -> int:
    return machine.node.allocatable.accelerator_count(GPU)


def _pipeline(name: str, rates: Mapping[str, float], luck: Random) -> tuple[Work, dict[str, float]]:
    on_v100 = math.exp(luck.uniform(math.log(SHORTEST_SECONDS), math.log(LONGEST_SECONDS)))
    training = {kind: round(on_v100 * rates["v100"] / rate, 3) for kind, rate in rates.items()}
    evaluation = {kind: round(max(seconds * EVALUATION_SHARE, 5.0), 3) for kind, seconds in training.items()}
    preparation = round(luck.uniform(*PREPARATION_SECONDS), 3)
    tasks = [
        TaskWork("prepare", (Way(dict.fromkeys(KINDS, preparation), 2000, 4 * GIB),)),
        TaskWork("train", (Way(training, 2000, 8 * GIB, GPU),), (0,)),
        TaskWork("evaluate", (Way(evaluation, 2000, 8 * GIB, GPU),), (1,)),
    ]
    total = {kind: training[kind] + evaluation[kind] for kind in KINDS}
    return make_work(name, tasks, kinds=KINDS), total


__all__ = ["generate", "throughputs"]
