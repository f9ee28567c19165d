"""Which runs are our own: the pods of those on their way are counted with the run; those of the ended come free."""

from __future__ import annotations

from datetime import datetime, timedelta

OURS_LABEL, TASK_ANNOTATION = "mlopx.dev/run", "mlopx.dev/task"
"""What placing writes on the pods of our runs: what their tasks ask for is counted by the run itself, and of the pods
only what was put beside them (a mesh's sidecar, say), for as long as the task lasts."""

MOST_OVER = 1000
"""So many runs that ended last are remembered: their pods are gone long before they are forgotten."""

LEAVING = timedelta(minutes=2)
"""So long the pods of a run that ended may take to go. What stays longer stays: a sidecar that does not end, or
somebody had Kubeflow try the run again."""


class OwnRuns:
    """The runs of ours that pods may say to belong to. A run counts from the moment it is sent: its pods may be seen
    before the answer that tells of it."""

    def __init__(self) -> None:
        self._live: set[str] = set()
        self._over: dict[str, datetime] = {}

    def began(self, run_id: str) -> None:
        """A run is sent, or was sent by an earlier server."""
        self._live.add(run_id)

    def ended(self, run_id: str, at: datetime) -> None:
        """A run's end is stored."""
        self._live.discard(run_id)
        self._over[run_id] = at
        while len(self._over) > MOST_OVER:
            del self._over[next(iter(self._over))]

    def is_live(self, run_id: str) -> bool:
        """Whether this run is on its way: what its pods hold is counted with the run."""
        return run_id in self._live

    def is_over(self, run_id: str, now: datetime) -> bool:
        """Whether this run ended a moment ago: what its pods still hold comes free."""
        ended_at = self._over.get(run_id)
        return ended_at is not None and now - ended_at <= LEAVING and run_id not in self._live


__all__ = ["LEAVING", "MOST_OVER", "OURS_LABEL", "TASK_ANNOTATION", "OwnRuns"]
