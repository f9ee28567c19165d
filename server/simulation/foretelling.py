"""How well starts and ends are foretold, judged on simulated histories.

The simulator's server is watched; every few decisions its live runs are forecast, with the bands that past forecasts
allow, and each band is compared with what came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.components.decision_unit import Outcome
from server.components.explaining.calibrating import calibrated, came, judge
from server.components.explaining.scene import Scene, make_scene
from server.components.explaining.track import KINDS, ForecastTrack, Kind, Subject
from server.components.explaining.values import Band
from server.domain.lifecycle import Change
from server.domain.placement import PlacementRequest
from server.domain.request import kubernetes_defaults
from server.domain.run import Run
from server.estimators.table import build_estimates
from server.simulation.engine import Case, Simulation


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of forecasts: how many, and the shares of what came inside, below and above the band."""

    forecasts: int
    inside: float
    below: float
    above: float


class _Watcher:
    """Looks on as a simulation decides."""

    def __init__(self, case: Case, every: int, most_runs: int) -> None:
        self.track = ForecastTrack()
        self.bands: list[tuple[Kind, Subject, Band]] = []
        self.came: dict[tuple[Kind, Subject], datetime] = {}
        self.simulation = Simulation(case)
        self._every, self._most_runs = every, most_runs
        self._count = 0
        self.simulation.decider.is_sparing = False  # as the live server, which plans what is not ready too
        self.simulation.ledger.listen(self._notice)
        self.simulation.decider.listen(self._look)

    def _notice(self, change: Change) -> None:
        for kind, subject, at in came(change):
            self.came.setdefault((kind, subject), at)
        judge(change, self.track)

    def _look(self, request: PlacementRequest, outcome: Outcome) -> None:
        self._count += 1
        if self._count % self._every == 0:
            self._foretell(request, outcome)

    def _foretell(self, request: PlacementRequest, outcome: Outcome) -> None:
        runs = list(self.simulation.ledger.runs.values())
        made = make_scene(
            runs,
            now=request.now,
            snapshot=request.snapshot,
            plan={(one.run_id, one.key): one for one in outcome.plan.placements},
            positions={},
            strategy=outcome.strategy,
            estimate=lambda views, nodes: build_estimates(views, nodes, self.simulation.estimator),
            defaults=kubernetes_defaults,
            network=request.network,
        )
        silent = _unplanned(runs, made) | {run.id for run in runs[self._most_runs :]}
        scene = calibrated(made, self.track, silent)
        for run, band in scene.run_ends.items():
            if run not in silent:
                self.bands.append(("run-ends", (run, None), band))
        self.bands += _of_tasks(scene, silent)


def _unplanned(runs: Sequence[Run], scene: Scene) -> set[str]:
    """Runs with a task yet to end that has no place. What is told of run times is taken for known, though no run taught
    it."""
    return {
        run.id
        for run in runs
        for key, task in run.tasks.items()
        if not task.state.is_end and (run.id, key) not in scene.ends
    }


def _of_tasks(scene: Scene, silent: set[str]) -> list[tuple[Kind, Subject, Band]]:
    found: list[tuple[Kind, Subject, Band]] = []
    for ref, band in scene.ends.items():
        if ref[0] in silent:
            continue
        if scene.starts[ref].p90 < scene.now:
            found.append(("running-ends", ref, band))
        else:
            found += [("task-ends", ref, band), ("task-starts", ref, scene.starts[ref])]
    return found


def coverage(case: Case, *, every: int = 40, most_runs: int = 40) -> Mapping[Kind, Coverage]:
    """Simulate and compare every band with what came, by kind."""
    watcher = _Watcher(case, every, most_runs)
    watcher.simulation.run()
    return {kind: _coverage([one for one in watcher.bands if one[0] == kind], watcher.came) for kind in KINDS}


def pooled(found: list[Coverage]) -> Coverage:
    """Several as one."""
    total = sum(one.forecasts for one in found)
    inside, below, above = (
        sum(getattr(one, share) * one.forecasts for one in found) / max(total, 1)
        for share in ("inside", "below", "above")
    )
    return Coverage(total, inside, below, above)


def _coverage(bands: list[tuple[Kind, Subject, Band]], at: Mapping[tuple[Kind, Subject], datetime]) -> Coverage:
    judged = [(band, at[kind, subject]) for kind, subject, band in bands if (kind, subject) in at]
    below = sum(came < band.p10 for band, came in judged)
    above = sum(came > band.p90 for band, came in judged)
    total = max(len(judged), 1)
    return Coverage(len(judged), 1 - (below + above) / total, below / total, above / total)


__all__ = ["Coverage", "coverage", "pooled"]
