"""Replays history: first under the strategy that ran, to know how far off the simulator is, then under others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from server.components.reporting.rates import Rates
from server.domain.request import Defaults
from server.estimators.interface import EstimatorInterface
from server.simulation.engine import simulate
from server.simulation.history.figures import Figures, real_figures, simulated_figures
from server.simulation.history.reading import History, HistoryError
from server.simulation.history.recreating import recreate

SLOWER = 1.05
"""A run counts as slower when it takes more than this times as long."""

UNTRUSTED = 0.25
MOST_NAMED = 10
ASSUMPTIONS = (
    "on nodes where a task never ran, its seconds are the estimators'",
    "what others used of the nodes is not on record, and left out",
    "moving data costs what it cost then, wherever a task runs",
)


@dataclass(frozen=True, slots=True)
class SimulatorError:
    """The replay of what really ran against what really happened.

    `mean` is simulated over real mean turnaround, minus 1; `of_runs` the median over runs of how far off each is.
    """

    mean: float
    of_runs: float


@dataclass(frozen=True, slots=True)
class Replay:
    """The stretch under one strategy. `change` is its mean turnaround over that of the strategy that ran, both
    simulated, minus 1. `slower` counts runs that would have taken longer, `quicker` those that would have been done
    sooner; `worst` and `best` name some with their factor."""

    placer: str
    figures: Figures
    change: float
    slower: int
    worst: tuple[tuple[str, float], ...]
    quicker: int
    best: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """All of a replay. `sentences` say it, one per other strategy."""

    since: datetime
    until: datetime
    runs: int
    left_out: Mapping[str, int]
    strategy: str
    shares: Mapping[str, float]
    real: Figures
    simulated: Figures
    error: SimulatorError
    replays: tuple[Replay, ...]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    assumptions: tuple[str, ...] = ASSUMPTIONS


def replay(
    history: History,
    placers: Sequence[str],
    *,
    estimator: EstimatorInterface,
    defaults: Defaults,
    baseline: str,
    rates: Rates,
    objective: str = "turnaround",
    seed: int = 0,
) -> ReplayReport:
    """Replay. `baseline` stands for the platform's own scheduler, where no strategy decided.

    Raises HistoryError, StuckError, and ConfigurationError for an unknown strategy.
    """
    really = history.strategy or baseline
    recreated = recreate(history, estimator, defaults)
    lost = {loss.node for loss in recreated.losses if loss.back_after_seconds is None}
    if lost >= {node.name for node, _ in recreated.machines}:
        raise HistoryError("every node of that time is gone for good", hint="choose a later --since")
    nodes = {name: life.node for name, life in history.lives.items()}

    def under(placer: str) -> tuple[Figures, dict[str, float]]:
        finished = simulate(recreated.case(placer, objective=objective, seed=seed))
        turnarounds = {run.run_id: run.turnaround_seconds for run in finished.runs}
        return simulated_figures(finished, recreated.arrivals, nodes, rates), turnarounds

    simulated, before = under(really)
    actual = {run.id: (run.finished_at - run.submitted_at).total_seconds() for run in history.runs if run.finished_at}
    real = real_figures(history, defaults, rates)
    error = SimulatorError(
        mean=simulated.turnaround_mean / real.turnaround_mean - 1,
        of_runs=median(abs(before[run] / max(seconds, 1e-9) - 1) for run, seconds in actual.items()),
    )
    replays = tuple(_compared(name, *under(name), simulated, before) for name in placers)
    return ReplayReport(
        since=history.since,
        until=history.until,
        runs=len(history.runs),
        left_out=history.left_out,
        strategy=really,
        shares=history.shares,
        real=real,
        simulated=simulated,
        error=error,
        replays=replays,
        sentences=tuple(_sentence(one, really, history, error) for one in replays),
        warnings=tuple(_warnings(history, error, really)),
    )


def _compared(
    name: str, figures: Figures, after: Mapping[str, float], same: Figures, before: Mapping[str, float]
) -> Replay:
    factors = sorted((after[run] / max(before[run], 1e-9), run) for run in before)
    slower = [(run, factor) for factor, run in reversed(factors) if factor > SLOWER]
    quicker = [(run, factor) for factor, run in factors if factor < 1 / SLOWER]
    return Replay(
        placer=name,
        figures=figures,
        change=figures.turnaround_mean / same.turnaround_mean - 1,
        slower=len(slower),
        worst=tuple(slower[:MOST_NAMED]),
        quicker=len(quicker),
        best=tuple(quicker[:MOST_NAMED]),
    )


def _sentence(one: Replay, really: str, history: History, error: SimulatorError) -> str:
    return (
        f"with {one.placer} instead of {really} {_when(history)}: turnaround {_percent(one.change)} "
        f"(simulated; simulator error {_percent(error.mean)})"
    )


def _when(history: History) -> str:
    span = history.until - history.since
    if span == timedelta(days=7):
        return "in the last week"
    if span >= timedelta(days=2):
        return f"in the last {span.days} days"
    return f"since {history.since:%Y-%m-%d %H:%M} UTC"


def _percent(change: float) -> str:
    return f"{100 * change:+.1f} %" if abs(change) < 0.1 else f"{100 * change:+.0f} %"


def _warnings(history: History, error: SimulatorError, really: str) -> list[str]:
    found = []
    if abs(error.mean) > UNTRUSTED:
        found.append(f"the simulator is {_percent(error.mean)} off what happened: do not build on these figures")
    if history.shares and history.shares.get(really, 1.0) < 0.9:
        said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in history.shares.items())
        found.append(f"several strategies decided ({said}): {really} stands for all of them")
    if history.strategy is None:
        found.append(f"no strategy decided then: {really} stands for the platform's own scheduler")
    held_out = sum(run.options.is_holdout for run in history.runs)
    if held_out:
        left = "1 run had" if held_out == 1 else f"{held_out} runs had"
        found.append(f"{left} been left to the platform; here {really} places them, too")
    for why, count in history.left_out.items():
        found.append(f"not simulated: {count} {'run' if count == 1 else 'runs'} ({why})")
    return found


__all__ = ["Replay", "ReplayReport", "SimulatorError", "replay"]
