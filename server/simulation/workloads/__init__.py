"""Pipelines made up from a seed, or made from public data: one module per kind, named in `generators`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.simulation.machines import Machine
from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival
from server.simulation.workloads import data_heavy, gpu_cluster, online, original, scale, workflows

Generate = Callable[[GeneratorTable, Sequence[Machine], int], list[Arrival]]

generators: dict[str, Generate] = {
    "original-a": original.experiment_a,
    "original-b": original.experiment_b,
    "online": online.generate,
    "gpu-cluster": gpu_cluster.generate,
    "workflows": workflows.generate,
    "data-heavy": data_heavy.generate,
    "scale": scale.generate,
}


def generate(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """The pipelines of a generator, in order of arrival. Raises ScenarioError where data is missing."""
    return generators[table.kind](table, machines, seed)


__all__ = ["generate", "generators"]
