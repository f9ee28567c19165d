"""The report: what the strategy saved in a stretch of time, measured where runs were left out, else simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from server.components.clock import Clock
from server.components.explaining.texts import span
from server.components.holdout.drawing import Holdout
from server.components.remembering.node_history import read_lives
from server.components.reporting.comparing import FEWEST_LEFT_OUT, Difference, Measured, RunFact, measure
from server.components.reporting.facts import Stretch, read_stretch
from server.components.reporting.rates import Rates
from server.components.reporting.replays import Replays, Simulated
from server.domain.node import Node
from server.domain.request import Defaults
from server.stores.interface import RunStoreInterface


@dataclass(frozen=True, slots=True)
class Totals:
    """What all runs of the stretch used."""

    runs: int
    node_hours: float
    gpu_hours: float
    money: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A report.

    Attributes:
        kind: `measured` (against the holdout), `simulated` (there was none, or too small a one), or `none`.
        status: `ready`, or `working` while the simulation runs.
        simulated: the replay under the platform's own rule, as `mlopx-server replay --json` prints it.
        problem: why there is no simulation.
    """

    stretch: Stretch
    strategy: str
    baseline: str
    holdout_share: float
    currency: str
    kind: str
    status: str
    sentence: str
    totals: Totals
    measured: Measured | None
    simulated: Mapping[str, Any] | None
    problem: str


class Reporter:
    """Makes reports. `baseline` is the strategy that stands for the platform's own scheduler in a simulation."""

    def __init__(
        self,
        *,
        store: RunStoreInterface,
        clock: Clock,
        nodes: Callable[[], Sequence[Node]],
        defaults: Defaults,
        rates: Rates,
        replays: Replays,
        holdout: Holdout,
        strategy: str,
        baseline: str,
    ) -> None:
        self._store, self._clock, self._nodes, self._defaults = store, clock, nodes, defaults
        self._rates, self._replays, self._holdout = rates, replays, holdout
        self._strategy, self._baseline = strategy, baseline
        self._turn = asyncio.Lock()

    async def report(self, days: int) -> Report:
        """The last so many days, until now."""
        until = self._clock.now()
        async with self._turn:
            stretch, measured = await asyncio.to_thread(self._measure, until - timedelta(days=days), until)
        found: Simulated | None = Simulated(None)
        if measured is None:
            found = self._replays.ask(days=days, placer=self._baseline)
        document = found.document if found else None
        kind = "measured" if measured else "simulated" if document or found is None else "none"
        return Report(
            stretch=stretch,
            strategy=self._strategy,
            baseline=self._baseline,
            holdout_share=self._holdout.share,
            currency=self._rates.currency,
            kind=kind,
            status="ready" if found else "working",
            sentence=self._sentence(measured, found, sum(one.is_left_out for one in stretch.facts)),
            totals=_totals(stretch.facts),
            measured=measured,
            simulated=document,
            problem=found.problem if found else "",
        )

    def _measure(self, since: datetime, until: datetime) -> tuple[Stretch, Measured | None]:
        nodes = {name: life.node for name, life in read_lives(self._store).items()}
        nodes |= {node.name: node for node in self._nodes()}
        stretch = read_stretch(
            self._store, since=since, until=until, nodes=nodes, rates=self._rates, defaults=self._defaults
        )
        return stretch, measure(stretch.facts)

    def _sentence(self, measured: Measured | None, found: Simulated | None, left_out: int) -> str:
        if measured is not None:
            return measured_sentence(measured)
        few = "no run is left to the platform to compare with"
        if self._holdout.share:
            were = "run was" if left_out == 1 else "runs were"
            few = f"{left_out or 'no'} {were} left to the platform, at least {FEWEST_LEFT_OUT} are needed to measure"
        if found is None:
            return f"{few}: the same time is being simulated without the strategy"
        if found.document is None:
            return f"nothing can be said: {few}, and there is no simulation: {found.problem}"
        change = saving_of(found.document)
        off = found.document["error"]["mean"]
        said = (
            f"simulated, not measured ({few}): mean turnaround {percent(change)} against {self._baseline} "
            f"(simulator error {percent(off)})"
        )
        return said if abs(off) < abs(change) else f"{said}; the simulator errs by more than that, so it shows nothing"


def measured_sentence(found: Measured) -> str:
    """What was measured, in a sentence that does not claim more than its interval allows."""
    seen = found.turnaround
    side = "less" if seen.difference < 0 else "more"
    text = f"measured: mean turnaround {span(abs(seen.difference))} {side} than when left to the platform"
    if seen.change is not None and seen.change_low is not None and seen.change_high is not None:
        text += f" ({percent(seen.change)}; 95 % interval {percent(seen.change_low)} to {percent(seen.change_high)})"
    if seen.low <= 0 <= seen.high:
        text += "; that may be chance"
    return f"{text}; {found.placed_runs} placed and {found.left_out_runs} left out, {found.slower_runs} placed slower"


def saving_of(replay: Mapping[str, Any]) -> float:
    """The strategy's mean turnaround over the platform's, minus 1, from a replay under the platform's rule."""
    return float(1 / (1 + replay["replays"][0]["change"]) - 1)


def saved(found: Difference | None, runs: int) -> float | None:
    """What all placed runs used less in sum than they would have."""
    return None if found is None else -found.difference * runs


def percent(change: float) -> str:
    """`-41 %`, `+0.3 %`."""
    return f"{100 * change:+.1f} %" if abs(change) < 0.1 else f"{100 * change:+.0f} %"


def _totals(facts: Sequence[RunFact]) -> Totals:
    money = [one.money for one in facts if one.money is not None]
    return Totals(
        runs=len(facts),
        node_hours=sum(one.node_hours for one in facts),
        gpu_hours=sum(one.gpu_hours for one in facts),
        money=sum(money) if len(money) == len(facts) and facts else None,
    )


__all__ = ["Report", "Reporter", "Totals", "measured_sentence", "percent", "saved", "saving_of"]
