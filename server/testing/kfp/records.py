"""Runs and experiments as the KFP API tells them: snake case, zero values left out, times at whole seconds.

Source: `kubeflow.pipelines.backend.api.v2beta1`; states lie as they do there: a run whose pods wait is RUNNING, a run
that was stopped is CANCELING and then FAILED, and `task_details` name neither pods nor nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ENDS = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})


@dataclass(slots=True)
class RunRecord:
    """One run."""

    id: str
    display_name: str
    created_at: datetime
    namespace: str = ""
    experiment_id: str = ""
    description: str = ""
    service_account: str = ""
    state: str = "PENDING"
    storage_state: str = "AVAILABLE"
    error: str = ""
    finished_at: datetime | None = None
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    platform: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    history: list[tuple[datetime, str]] = field(default_factory=list)
    user: str = ""

    def move(self, state: str, at: datetime) -> None:
        """Change the state, with a line in the history."""
        self.state = state
        self.history.append((at, state))
        if state in ENDS:
            self.finished_at = at

    def field(self, key: str) -> Any:
        """A field as filters compare it."""
        known = {"run_id": self.id, "created_at": int(self.created_at.timestamp())}
        if key == "finished_at":
            return int(self.finished_at.timestamp()) if self.finished_at else 0
        return known.get(key, getattr(self, key, ""))

    def json(self) -> dict[str, Any]:
        """The run as the API tells it."""
        return without_zeros(
            {
                "run_id": self.id,
                "display_name": self.display_name,
                "experiment_id": self.experiment_id,
                "description": self.description,
                "service_account": self.service_account,
                "state": self.state,
                "storage_state": self.storage_state,
                "created_at": at(self.created_at),
                "scheduled_at": at(self.created_at),
                "finished_at": at(self.finished_at) if self.finished_at else "1970-01-01T00:00:00Z",
                "pipeline_spec": self._sent(),
                "runtime_config": {"parameters": dict(self.parameters)},
                "error": {"code": 9, "message": self.error} if self.error else {},
                "state_history": [{"update_time": at(when), "state": state} for when, state in self.history],
            }
        )

    def _sent(self) -> dict[str, Any]:
        if not self.platform:
            return dict(self.pipeline)
        return {"pipeline_spec": dict(self.pipeline), "platform_spec": dict(self.platform)}


@dataclass(slots=True)
class ExperimentRecord:
    """One experiment."""

    id: str
    display_name: str
    created_at: datetime
    namespace: str = ""

    def json(self) -> dict[str, Any]:
        """The experiment as the API tells it."""
        known = {"experiment_id": self.id, "display_name": self.display_name, "namespace": self.namespace}
        return without_zeros({**known, "created_at": at(self.created_at), "storage_state": "AVAILABLE"})


def without_zeros(document: Mapping[str, Any]) -> dict[str, Any]:
    """What protobuf's JSON leaves of a message: no empty texts, lists or messages, no zeros."""
    return {key: value for key, value in document.items() if value not in ("", 0, None, [], {}, False)}


def at(moment: datetime) -> str:
    """A time at whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
