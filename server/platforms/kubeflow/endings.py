"""How a run ended, by the word of its Workflow or of KFP's record."""

from __future__ import annotations

from datetime import datetime

from server.domain.states import RunState
from server.platforms.kubeflow.client import KfpRun
from server.platforms.kubeflow.follower import Ending, Follower
from server.platforms.kubeflow.sight import WorkflowSeen


def workflow_ending(follower: Follower, workflow: WorkflowSeen, record: KfpRun | None, at: datetime) -> Ending:
    """By a Workflow that has ended; KFP's record, where it was seen, may know of a stop too."""
    if workflow.phase == "Succeeded":
        return Ending(RunState.SUCCEEDED, at)
    return _bad_ending(
        follower, workflow.was_stopped or (record is not None and record.was_stopped), workflow.message, at
    )


def record_ending(follower: Follower, record: KfpRun, at: datetime) -> Ending:
    """By KFP's record alone."""
    if record.state in ("SUCCEEDED", "SKIPPED"):
        return Ending(RunState.SUCCEEDED, at)
    return _bad_ending(follower, record.was_stopped, record.error, at)


def lost_ending(follower: Follower, record: KfpRun, at: datetime) -> Ending:
    """Of a run that KFP calls live, and whose Workflow is gone."""
    why = "its Workflow was deleted in Kubernetes before its end was seen"
    return _bad_ending(follower, record.was_stopped, why, at)


def _bad_ending(follower: Follower, was_stopped: bool, message: str, at: datetime) -> Ending:
    """KFP says FAILED of a run that was stopped, too; whoever stopped it, it is cancelled."""
    if follower.is_stopping:
        return Ending(RunState.CANCELLED, at)
    if was_stopped:
        return Ending(RunState.CANCELLED, at, "it was stopped in Kubeflow by somebody else")
    return Ending(RunState.FAILED, at, message)


__all__ = ["lost_ending", "record_ending", "workflow_ending"]
