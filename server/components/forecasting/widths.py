"""How many items loops had in earlier runs of a pipeline, for runs in which they are not known yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.components.forecasting.whole_run import UNKNOWN_WIDTHS, LoopWidths, open_loops, widths_of
from server.domain.run import Run
from server.domain.states import RunState
from server.stores.interface import RunFilter, RunStoreInterface

MOST_LOOKED_AT = 5
"""Earlier runs of a pipeline in which loops are looked up."""


class EarlierWidths:
    """Looks loops up in the store; what was found for a live run is kept until it has ended."""

    def __init__(self, store: RunStoreInterface) -> None:
        self._store = store
        self._found: dict[str, LoopWidths] = {}

    def of(self, run: Run) -> LoopWidths:
        """How many items its open loops had: in the last run with its parameters, else in the last of all."""
        if not open_loops(run):
            return UNKNOWN_WIDTHS
        wanted = RunFilter(states=(RunState.SUCCEEDED,), name=run.name, limit=MOST_LOOKED_AT)
        last = [self._store.load_run(one.id) for one in self._store.list_runs(wanted).runs]
        alike = [one for one in last if one.parameters == run.parameters]
        return next(map(widths_of, [*alike, *last]), UNKNOWN_WIDTHS)

    def of_all(self, live: Sequence[Run]) -> Mapping[str, LoopWidths]:
        """By id, of those runs that have open loops."""
        self._found = {run.id: self._found.get(run.id) or self.of(run) for run in live if open_loops(run)}
        return self._found


__all__ = ["EarlierWidths"]
