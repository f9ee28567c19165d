"""How well ends are foretold, judged on simulated histories.

The simulator's server is watched; every few decisions its live runs are forecast, with the bands that past forecasts
allow, and each band is compared with the end that came.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.components.decision_unit import Outcome
from server.components.explaining.end_track import EndTrack
from server.components.explaining.scene import UNPLANNED, make_scene
from server.domain.placement import PlacementRequest
from server.domain.request import kubernetes_defaults
from server.estimators.table import build_estimates
from server.simulation.agenda import seconds_of
from server.simulation.engine import Case, Simulation


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of forecasts: how many, and the shares of ends inside, below and above the band."""

    forecasts: int
    inside: float
    below: float
    above: float


def coverage(case: Case, *, every: int = 40, most_runs: int = 40) -> Coverage:
    """Simulate and compare every band with what came."""
    simulation = Simulation(case)
    decide = simulation.decider.unit.decide_now
    bands: list[tuple[str, float, float]] = []
    track = EndTrack()
    simulation.ledger.listen(
        lambda change: (
            track.ended(change.run.id, change.run.finished_at)
            if change.run.state.is_end and change.run.finished_at
            else None
        )
    )
    count = 0

    def watching(request: PlacementRequest) -> Outcome:
        nonlocal count
        outcome = decide(request)
        count += 1
        if count % every == 0:
            bands.extend(_bands(simulation, request, outcome, track, most_runs))
        return outcome

    simulation.decider.unit.decide_now = watching  # type: ignore[method-assign]  # to look on
    ends = {run.run_id: run.finished_at for run in simulation.run().runs}
    below = sum(ends[run] < low for run, low, _ in bands)
    above = sum(ends[run] > high for run, _, high in bands)
    total = max(len(bands), 1)
    return Coverage(len(bands), 1 - (below + above) / total, below / total, above / total)


def _bands(
    simulation: Simulation, request: PlacementRequest, outcome: Outcome, track: EndTrack, most: int
) -> list[tuple[str, float, float]]:
    runs = list(simulation.ledger.runs.values())[:most]
    scene = make_scene(
        runs,
        now=request.now,
        snapshot=request.snapshot,
        plan={(one.run_id, one.key): one for one in outcome.plan.placements},
        positions={},
        strategy=outcome.strategy,
        estimate=lambda views, nodes: build_estimates(views, nodes, simulation.estimator),
        defaults=kubernetes_defaults,
    )
    foretold = {run: band for run, band in scene.run_ends.items() if scene.silent.get(run) != UNPLANNED}
    track.note(foretold, request.now)
    shown = {run: track.adjusted(band, request.now) for run, band in foretold.items()}
    return [(run, seconds_of(band.p10), seconds_of(band.p90)) for run, band in shown.items()]


__all__ = ["Coverage", "coverage"]
