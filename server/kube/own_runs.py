"""Which runs are our own: the pods of those on their way are counted with the run; those of the ended come free."""

from __future__ import annotations

from collections import deque

MOST_OVER = 1000
"""So many runs that ended last are remembered: their pods are gone long before they are forgotten."""


class OwnRuns:
    """The runs of ours that pods may say to belong to. A run counts from the moment it is sent: its pods may be seen
    before the answer that tells of it."""

    def __init__(self) -> None:
        self._live: set[str] = set()
        self._over: deque[str] = deque(maxlen=MOST_OVER)

    def began(self, run_id: str) -> None:
        """A run is sent, or was sent by an earlier server."""
        self._live.add(run_id)

    def ended(self, run_id: str) -> None:
        """A run's end is stored."""
        self._live.discard(run_id)
        self._over.append(run_id)

    def is_live(self, run_id: str) -> bool:
        """Whether this run is on its way: what its pods hold is counted with the run."""
        return run_id in self._live

    def is_over(self, run_id: str) -> bool:
        """Whether this run ended a moment ago: what its pods still hold comes free."""
        return run_id in self._over and run_id not in self._live


__all__ = ["MOST_OVER", "OwnRuns"]
