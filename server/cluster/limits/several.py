"""What confines tasks where runs go to several namespaces: each run by the limits of its own.

Which that is follows from the run's project.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from mlopx.spec import PipelineSpec, Task
from mlopx.spec import Resources as RequestedResources
from server.cluster.limits.limits import KubernetesLimits
from server.domain.placement import WaitingRun, WaitingTask
from server.domain.request import Confining
from server.domain.resources import Resources


class SeveralLimits:
    """The limits of several namespaces.

    Args:
        limits: by the namespace's name.
        namespace_of: the namespace of a run, by its project.
    """

    def __init__(self, limits: Mapping[str, KubernetesLimits], namespace_of: Callable[[str], str]) -> None:
        self._limits, self._namespace_of = dict(limits), namespace_of

    def of(self, project: str) -> KubernetesLimits:
        """Those of the namespace to which a project's runs go."""
        return self._limits[self._namespace_of(project)]

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back when tasks may be confined otherwise than before."""
        for one in self._limits.values():
            one.on_change(callback)

    async def run_forever(self) -> None:
        """Follow everything by watching, until cancelled."""
        await asyncio.gather(*(one.run_forever() for one in self._limits.values()))

    async def aclose(self) -> None:
        """Close what connects to registries."""
        for one in self._limits.values():
            await one.aclose()

    @property
    def confining(self) -> Confining:
        """For `domain.request`: requests and tasks by the limits of the namespace that a run's project leads to."""
        return Confining(self.fill, self.confine, lambda: sum(one.version for one in self._limits.values()))

    def fill(self, asked: RequestedResources, project: str) -> Resources:
        """The requests, with what the limit ranges of the project's namespace fill in."""
        return self.of(project).fill(asked)

    def confine(self, task: WaitingTask, definition: Task, project: str = "") -> WaitingTask:
        """The task with what its images are made for and where its volumes can be used."""
        return self.of(project).confine(task, definition)

    def refusals(self, spec: PipelineSpec, project: str = "") -> list[str]:
        """What of a pipeline Kubernetes would never let run in the project's namespace, as sentences."""
        return self.of(project).refusals(spec)

    def waits(self, runs: Sequence[WaitingRun]) -> dict[str, str]:
        """Why runs must not be handed over yet, by run id: each by the quotas of its namespace."""
        found: dict[str, str] = {}
        for name, limits in self._limits.items():
            found.update(limits.waits([run for run in runs if self._namespace_of(run.project) == name]))
        return found

    def let_go(self, run: WaitingRun) -> None:
        """A run was handed over: its first pods will come, and are counted until a quota counts them."""
        self.of(run.project).let_go(run)


__all__ = ["SeveralLimits"]
