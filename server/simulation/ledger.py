"""The simulation's journal: the lifecycle's changes, applied at once, with nothing written to disk."""

from __future__ import annotations

from collections.abc import Callable

from server.domain.events import Event
from server.domain.lifecycle import Change, apply
from server.domain.run import Run

Listener = Callable[[Change], None]


class Ledger:
    """Holds all live runs; the only writer of their state, through `lifecycle.apply`."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.events = 0
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every change from now on."""
        self._listeners.append(listener)

    def create(self, change: Change) -> None:
        """Take in a new run."""
        self.runs[change.run.id] = change.run
        self._tell(change)

    def apply(self, run_id: str, event: Event) -> Run | None:
        """Apply an event; the run after it, or None where the run was over already."""
        run = self.runs.get(run_id)
        if run is None:
            return None
        change = apply(run, event)
        if change.events:
            self.runs[run_id] = change.run
            self._tell(change)
        return change.run

    def _tell(self, change: Change) -> None:
        self.events += len(change.events)
        if change.run.state.is_end:
            self.runs.pop(change.run.id, None)
        for listener in self._listeners:
            listener(change)


__all__ = ["Ledger"]
