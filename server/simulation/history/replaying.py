"""Replays history: first under the strategy that ran, to know how far off the simulator is, then under others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from server.domain.request import Defaults, requests_of
from server.estimators.interface import EstimatorInterface
from server.simulation.engine import simulate
from server.simulation.history.reading import History, HistoryError, attempts_that_ran
from server.simulation.history.recreating import Recreated, recreate
from server.simulation.records import Finished

SLOWER = 1.05
"""A run counts as slower when it takes more than this times as long."""

UNTRUSTED = 0.25
ASSUMPTIONS = (
    "on nodes where a task never ran, its seconds are the estimators'",
    "what others used of the nodes is not on record, and left out",
    "moving data costs what it cost then, wherever a task runs",
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One way in which the stretch went: mean and 95th percentile of turnaround, makespan (seconds), node-hours."""

    turnaround_mean: float
    turnaround_p95: float
    makespan: float
    node_hours: float


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
    simulated, minus 1. `slower` counts runs that would have taken longer; `worst` names some with their factor."""

    placer: str
    figures: Figures
    change: float
    slower: int
    worst: tuple[tuple[str, float], ...]


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
    same = _simulated(recreated, really, objective, seed)
    before = _turnarounds(same)
    actual = {run.id: (run.finished_at - run.submitted_at).total_seconds() for run in history.runs if run.finished_at}
    simulated, real = _figures(same), _real(history, actual, defaults)
    error = SimulatorError(
        mean=simulated.turnaround_mean / real.turnaround_mean - 1,
        of_runs=median(abs(before[run] / max(seconds, 1e-9) - 1) for run, seconds in actual.items()),
    )
    replays = tuple(
        _compared(name, _simulated(recreated, name, objective, seed), simulated, before) for name in placers
    )
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


def _simulated(recreated: Recreated, placer: str, objective: str, seed: int) -> Finished:
    return simulate(recreated.case(placer, objective=objective, seed=seed))


def _turnarounds(finished: Finished) -> dict[str, float]:
    return {run.run_id: run.turnaround_seconds for run in finished.runs}


def _compared(name: str, finished: Finished, same: Figures, before: Mapping[str, float]) -> Replay:
    figures, after = _figures(finished), _turnarounds(finished)
    factors = {run: after[run] / max(before[run], 1e-9) for run in before}
    slower = sorted(((factor, run) for run, factor in factors.items() if factor > SLOWER), reverse=True)
    return Replay(
        placer=name,
        figures=figures,
        change=figures.turnaround_mean / same.turnaround_mean - 1,
        slower=len(slower),
        worst=tuple((run, factor) for factor, run in slower[:10]),
    )


def _figures(finished: Finished) -> Figures:
    capacity = {node.name: node.cpu_millicores for node in finished.nodes}
    held = sum(
        (task.run_seconds or 0.0) * task.cpu_millicores / max(capacity.get(task.node or "", 0), 1)
        for task in finished.tasks
    )
    spans = [(run.submitted_at, run.finished_at) for run in finished.runs]
    return _of([finish - submit for submit, finish in spans], spans, held)


def _real(history: History, actual: Mapping[str, float], defaults: Defaults) -> Figures:
    begin = history.runs[0].submitted_at
    spans = []
    held = 0.0
    for run in history.runs:
        submitted = (run.submitted_at - begin).total_seconds()
        spans.append((submitted, submitted + actual[run.id]))
        for key in run.tasks:
            for attempt in attempts_that_ran(run, key):
                life = history.lives[attempt.actual_node or attempt.node or ""]
                asked = requests_of(run, key, attempt.option, defaults).cpu_millicores
                held += (attempt.run_seconds or 0.0) * asked / max(life.node.allocatable.cpu_millicores, 1)
    return _of(list(actual.values()), spans, held)


def _of(turnarounds: Sequence[float], spans: Sequence[tuple[float, float]], held: float) -> Figures:
    ordered = sorted(turnarounds)
    p95 = ordered[max(math.ceil(0.95 * len(ordered)) - 1, 0)]
    makespan = max(finish for _, finish in spans) - min(submit for submit, _ in spans)
    return Figures(math.fsum(ordered) / len(ordered), p95, makespan, held / 3600)


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
    for why, count in history.left_out.items():
        found.append(f"left out: {count} runs ({why})")
    return found


__all__ = ["Figures", "Replay", "ReplayReport", "SimulatorError", "replay"]
