"""What live runs mean for a decision, worked out again only for the runs that changed since the last time.

Runs are frozen values, so an unchanged run is the same object. The live server and the simulator both ask here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from server.domain.node import Occupancy
from server.domain.placement import Promise, WaitingRun
from server.domain.promised import Outlook, outlook
from server.domain.request import Confining, Defaults, requests_of, version_of, waiting_run
from server.domain.run import Run, TaskKey
from server.domain.underway import underway


@dataclass(slots=True)
class _Seen:
    run: Run
    version: int
    view: WaitingRun | None = None
    held: tuple[Occupancy, ...] | None = None
    outlook: Outlook | None = None


class LiveView:
    """Remembers, for every live run, how a strategy sees it and what its tasks hold."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._seen: dict[str, _Seen] = {}

    def waiting(self, run: Run) -> WaitingRun:
        """The run as a strategy sees it (`domain.request.waiting_run`)."""
        seen = self._of(run)
        if seen.view is None:
            seen.view = self.viewed(run, waiting_run(run, self._defaults))
        return seen.view

    def viewed(self, run: Run, view: WaitingRun) -> WaitingRun:
        """What else is known of a run: nothing here; the simulator knows more."""
        return view

    def held(self, runs: Iterable[Run]) -> list[Occupancy]:
        """What tasks of the runs hold on nodes: those that are bound, and those that a platform is about to begin."""
        found: list[Occupancy] = []
        for run in runs:
            seen = self._of(run)
            if seen.held is None:
                seen.held = tuple(_occupancies(run, self._defaults))
            found.extend(seen.held)
        return found

    def promised(self, runs: Iterable[Run], now: datetime) -> list[Promise]:
        """What runs that were handed over whole will take later on."""
        found: list[Promise] = []
        for run in runs:
            seen = self._of(run)
            if seen.outlook is None:
                seen.outlook = _outlook(run, self._defaults)
            found.extend(seen.outlook.promises(now))
        return found

    def keep_only(self, run_ids: Iterable[str]) -> None:
        """Forget runs that are not among these, once they are many."""
        live = set(run_ids)
        if len(self._seen) > 2 * len(live) + 16:
            self._seen = {run_id: seen for run_id, seen in self._seen.items() if run_id in live}

    def _of(self, run: Run) -> _Seen:
        seen = self._seen.get(run.id)
        version = version_of(self._defaults)
        if seen is None or seen.run is not run or seen.version != version:
            seen = self._seen[run.id] = _Seen(run, version)
        return seen


def _outlook(run: Run, defaults: Defaults) -> Outlook:
    return outlook(run, lambda key, attempt: requests_of(run, key, attempt.option, defaults), _reused(run, defaults))


def _reused(run: Run, defaults: Defaults) -> frozenset[TaskKey]:
    return defaults.foresee(run) if isinstance(defaults, Confining) else frozenset()


def _occupancies(run: Run, defaults: Defaults) -> Iterable[Occupancy]:
    for key, attempt in underway(run, _reused(run, defaults)):
        node = attempt.actual_node or attempt.node
        if node is not None:
            requests = requests_of(run, key, attempt.option, defaults)
            yield Occupancy(node, requests, run.id, str(key), attempt.planned_finish_at)


__all__ = ["LiveView"]
