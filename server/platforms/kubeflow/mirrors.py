"""What we see of a cluster: a mirror of the Workflows and one of the pods for each namespace, and whether they can be
relied on.

Source: Kubernetes' list and watch; where they are refused, runs are followed as a whole only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from server.kube.client import KubeClient
from server.kube.errors import KubeDeniedError, KubeMissingError
from server.kube.mirror import Mirror, Name, readable
from server.kube.reading import PodSeen
from server.kube.resources import PODS, WORKFLOWS
from server.platforms.kubeflow.artifacts import read_launched
from server.platforms.kubeflow.namespaces import in_kubernetes
from server.platforms.kubeflow.orphans import ORPHANED
from server.platforms.kubeflow.sight import RUN_LABEL, WorkflowSeen, read_workflow

GRACE = timedelta(seconds=10)
"""How long an end in one source waits for the others to catch up."""


class Mirrors:
    """Workflows and pods of runs, by namespace of Kubeflow. Without `kube` there are none.

    Args:
        on_workflow: a Workflow is new, changed, or (None) gone.
        on_pod: the same of a pod.
    """

    def __init__(
        self,
        kube: KubeClient | None,
        namespaces: Iterable[str],
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        on_workflow: Callable[[Name, WorkflowSeen | None], None],
        on_pod: Callable[[Name, PodSeen | None], None],
    ) -> None:
        self.workflows: dict[str, Mirror[WorkflowSeen]] = {}
        self.pods: dict[str, Mirror[PodSeen]] = {}
        self._now, self._began_at = now, now()
        for name in namespaces if kube is not None else ():
            assert kube is not None
            more: dict[str, Any] = {"now": now, "namespace": in_kubernetes(name), "labels": RUN_LABEL, "sleep": sleep}
            self.workflows[name] = Mirror(kube, WORKFLOWS, reduce=readable(read_workflow), **more)
            self.pods[name] = Mirror(kube, PODS, reduce=readable(read_launched), **more)
            self.workflows[name].listen(on_workflow)
            self.pods[name].listen(on_pod)

    def parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What must run in the background."""
        return {name: mirror.run_forever for name, mirror in self._by_name()}

    def problems(self) -> dict[str, str]:
        """What cannot be seen now, and why."""
        if not self.pods:
            why = "there is no Kubernetes access: runs are followed as a whole only"
            return {"workflows": why, "pods": why}
        return {name: mirror.problem.message for name, mirror in self._by_name() if mirror.problem is not None}

    def listings(self) -> Iterator[Awaitable[None]]:
        """List everything once, kind by kind: for commands that do not stay."""
        yield from (mirror.sync() for _, mirror in self._by_name())

    def is_blind(self) -> bool:
        """Whether Kubernetes does not tell of tasks now, and may later."""
        return any(not _is_well(mirror) for _, mirror in self._by_name() if not _is_refused(mirror))

    def is_unseen(self, namespace: str) -> bool:
        """Whether Kubernetes has not told yet what a namespace holds, since this server started, and may still."""
        is_early = self._now() - self._began_at <= ORPHANED
        return is_early and any(one.seen_at is None and not _is_refused(one) for one in self._of(namespace))

    def shows_workflows(self, namespace: str) -> bool:
        """Whether Kubernetes tells of a namespace's Workflows."""
        mirror = self.workflows.get(namespace)
        return mirror is not None and _is_well(mirror)

    def shows_pods(self, namespace: str) -> bool:
        """Whether Kubernetes tells of a namespace's pods."""
        mirror = self.pods.get(namespace)
        return mirror is not None and _is_well(mirror)

    def has_pods(self, namespace: str | None) -> bool:
        """Whether the pods of a namespace (None: of every one) have been listed."""
        mirrors = list(self.pods.values()) if namespace is None else [self.pods[namespace]] if self.pods else []
        return bool(mirrors) and all(mirror.is_synced for mirror in mirrors)

    def patience(self, namespace: str) -> timedelta:
        """How long after an end in one source the others may take to say what they know: none, where nobody would."""
        open_ones = [one for one in self._of(namespace) if not _is_refused(one)]
        if not open_ones:
            return timedelta()
        return GRACE if all(map(_is_well, open_ones)) else ORPHANED

    def _by_name(self) -> Iterator[tuple[str, Mirror[Any]]]:
        yield from ((named("workflows", name), mirror) for name, mirror in self.workflows.items())
        yield from ((named("pods", name), mirror) for name, mirror in self.pods.items())

    def _of(self, namespace: str) -> list[Mirror[Any]]:
        return [one[namespace] for one in (self.workflows, self.pods) if namespace in one]


def named(part: str, namespace: str) -> str:
    """A part's name, with its namespace where it has one."""
    return f"{part} ({namespace})" if namespace else part


def _is_well(mirror: Mirror[Any]) -> bool:
    return mirror.is_synced and mirror.problem is None


def _is_refused(mirror: Mirror[Any]) -> bool:
    """Whether it will show nothing however long it is waited for."""
    return isinstance(mirror.problem, KubeDeniedError | KubeMissingError)


__all__ = ["GRACE", "Mirrors", "named"]
