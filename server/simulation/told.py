"""What the strategy is told: the true seconds with an error, so that a study can say how good estimates must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from server.components.live_view import LiveView
from server.domain.network import NodeNetwork
from server.domain.node import Node
from server.domain.placement import Estimate, WaitingRun, WaitingTask
from server.domain.request import Defaults
from server.domain.run import Run, TaskKey
from server.estimators.bands import banded
from server.estimators.interface import EstimatorInterface, Observation, Profile
from server.simulation.chance import lognormal
from server.simulation.transfers import Wires
from server.simulation.work import KIND_LABEL, TaskWork, Work


@dataclass(frozen=True, slots=True)
class Telling:
    """How good the estimates are.

    Attributes:
        error_sigma: standard deviation of the logarithm of told over true seconds, drawn per `error_of`: a task (the
            same on all nodes), or a task and a kind of node.
        spread: the band that is told along; None tells the error and the noise as they are.
        data: what is told of data: nothing, the network with the `inputs` that lie on nodes, or `all` that is to come.
    """

    error_sigma: float = 0.0
    error_of: Literal["task", "task-and-kind"] = "task"
    spread: float | None = None
    data: Literal["nothing", "inputs", "all"] = "inputs"


class ToldEstimator(EstimatorInterface):
    """Knows every pipeline's truth, and tells it with an error. Learns nothing."""

    name = "told"

    def __init__(self, telling: Telling, *, extra_seconds: float, noise_sigma: float, seed: int) -> None:
        self._telling, self._extra_seconds, self._seed = telling, extra_seconds, seed
        own = (telling.error_sigma**2 + noise_sigma**2) ** 0.5
        self._spread = own if telling.spread is None else telling.spread
        self._tasks: dict[str, tuple[str, TaskWork]] = {}
        self._nodes: list[tuple[str, str]] = []
        self._rows: dict[tuple[str, str], list[Estimate | None]] = {}

    def know(self, work: Work) -> None:
        """Learn the truth about a pipeline's tasks."""
        for path, task in work.tasks.items():
            self._tasks[work.digest_of[path]] = (f"{work.name}/{path}", task)

    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        """One row per profile; None where the task cannot run."""
        described = [(node.name, node.labels.get(KIND_LABEL, node.name)) for node in nodes]
        if described != self._nodes:
            self._nodes = described
            self._rows.clear()
        return [self._row(profile) for profile in profiles]

    def observe(self, observations: Sequence[Observation]) -> None:
        """Nothing to learn: it knows."""

    def _row(self, profile: Profile) -> list[Estimate | None]:
        key = (profile.component_digest, profile.option)
        row = self._rows.get(key)
        if row is None:
            name, task = self._tasks[profile.component_digest]
            seconds = task.way(profile.option).seconds
            known = {
                kind: self._estimate(name, task, kind, seconds.get(kind)) for kind in {kind for _, kind in self._nodes}
            }
            row = self._rows[key] = [known[kind] for _, kind in self._nodes]
        return row

    def _estimate(self, name: str, task: TaskWork, kind: str, seconds: float | None) -> Estimate | None:
        if seconds is None:
            return None
        what = (name, kind) if self._telling.error_of == "task-and-kind" else (name,)
        factor = task.told_factor
        factor = lognormal(self._telling.error_sigma, self._seed, "told", *what) if factor is None else factor
        spread = self._spread if task.told_spread is None else task.told_spread
        return banded(seconds * factor, spread, "told by the scenario", fixed_seconds=self._extra_seconds)


class ToldView(LiveView):
    """Live runs as a strategy sees them, with what tasks yet to run will hand over."""

    def __init__(self, defaults: Defaults, works: Mapping[str, Work]) -> None:
        super().__init__(defaults)
        self._works = works

    def viewed(self, run: Run, view: WaitingRun) -> WaitingRun:
        """The view with all bytes."""
        tasks = self._works[run.id].tasks
        return replace(view, tasks=tuple(replace(task, edge_bytes=_bytes(run, task, tasks)) for task in view.tasks))


def network_of(wires: Wires, telling: Telling) -> NodeNetwork | None:
    """The network as it is told."""
    if wires.sharing == "free" or telling.data == "nothing":
        return None
    return wires.network


def _bytes(run: Run, task: WaitingTask, tasks: Mapping[str, TaskWork]) -> Mapping[TaskKey, float]:
    upstreams = run.graph.waits_for[task.key.path]
    return {TaskKey(path): float(int(tasks[path].output_bytes)) for path in upstreams if tasks[path].output_bytes}


__all__ = ["Telling", "ToldEstimator", "ToldView", "network_of"]
