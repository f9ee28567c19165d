"""What Kubernetes shows of runs: the Workflow and the pods of each, by the id that Kubeflow gave the run.

Of a run that is followed, objects stay known when they are gone, as long as they tell something of it: how its Workflow
ended, and that a pod was deleted.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from server.kube.mirror import Name
from server.kube.reading import PodSeen
from server.platforms.kubeflow.sight import RUN_LABEL, WorkflowSeen


class Shown:
    """Workflows and pods by run. `followed` has the runs that are."""

    def __init__(self, followed: Container[str]) -> None:
        self._followed = followed
        self._workflow_of: dict[str, WorkflowSeen] = {}
        self._pods_of: dict[str, dict[Name, PodSeen]] = {}
        self._run_of_pod: dict[Name, str] = {}
        self._run_of_workflow: dict[Name, str] = {}

    def workflow(self, run_id: str) -> WorkflowSeen | None:
        """A run's Workflow."""
        return self._workflow_of.get(run_id)

    def pods(self, run_id: str) -> Mapping[Name, PodSeen]:
        """A run's pods."""
        return self._pods_of.get(run_id, {})

    def workflow_changed(self, name: Name, seen: WorkflowSeen | None) -> str:
        """A Workflow is new, changed, or (None) gone; returns whose."""
        if seen is None:
            run_id = self._run_of_workflow.pop(name, "")
            gone = self._workflow_of.get(run_id)
            if run_id not in self._followed or (gone is not None and not gone.phase):
                self._workflow_of.pop(run_id, None)
            return run_id
        self._run_of_workflow[name] = seen.run_id
        self._workflow_of[seen.run_id] = seen
        return seen.run_id

    def pod_changed(self, name: Name, seen: PodSeen | None) -> str:
        """A pod is new, changed, or (None) gone; returns whose."""
        if seen is not None:
            run_id = seen.labels.get(RUN_LABEL, "")
            self._run_of_pod[name] = run_id
            self._pods_of.setdefault(run_id, {})[name] = seen
            return run_id
        run_id = self._run_of_pod.pop(name, "")
        pods = self._pods_of.get(run_id, {})
        if run_id in self._followed and name in pods:
            pods[name] = replace(pods[name], is_leaving=True)
        else:
            pods.pop(name, None)
            if not pods:
                self._pods_of.pop(run_id, None)
        return run_id

    def forget(self, run_id: str) -> None:
        """Keep of an ended run only what its objects in the cluster still say."""
        pods = self._pods_of.get(run_id, {})
        for name in [name for name in pods if name not in self._run_of_pod]:
            del pods[name]
        if not pods:
            self._pods_of.pop(run_id, None)
        if run_id not in self._run_of_workflow.values():
            self._workflow_of.pop(run_id, None)


__all__ = ["Shown"]
