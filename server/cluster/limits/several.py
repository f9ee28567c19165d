"""What confines tasks where runs go to several namespaces: each run by the limits of its own.

Which that is follows from the run's project. A submission is refused only where every namespace would refuse it, since
it is read before anybody knows where it goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from mlopx.spec import PipelineSpec, PvcSource, Task
from server.cluster.limits.limits import KubernetesLimits
from server.domain.placement import WaitingRun, WaitingTask
from server.domain.request import Confining, kubernetes_defaults


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
        """For `domain.request`. What limit ranges fill in is known of a task, not yet of its requests alone."""
        return Confining(kubernetes_defaults, self.confine, lambda: sum(one.version for one in self._limits.values()))

    def confine(self, task: WaitingTask, definition: Task, project: str = "") -> WaitingTask:
        """The task with what its images are made for, where its volumes can be used, and its requests filled in."""
        claims = [volume.source.claim for volume in definition.volumes if isinstance(volume.source, PvcSource)]
        return self.of(project).completed(task, claims)

    def refusals(self, spec: PipelineSpec) -> list[str]:
        """What of a pipeline Kubernetes would let run in none of the namespaces, as sentences of the first of them."""
        found = [one.refusals(spec) for one in self._limits.values()]
        return found[0] if all(found) else []

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
