"""`mlopx-server bench --placer NAME`: a strategy against a baseline, on all tables, with intervals.

Tables are the shipped scenarios, simulated over several seeds, and those made of public data (`server.cli.bench_data`),
one pair per instance. Without that data the rest is measured, and it says so.
"""

from __future__ import annotations

import json as json_module
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.preparing import say_preparing

if TYPE_CHECKING:
    from server.simulation.report import Measures

SCENARIOS = ("online", "original-a", "original-b", "data-heavy")
"""Those that need no data from outside and end within minutes under any strategy."""

DATA_SCENARIOS = ("gpu-cluster", "workflows")
DATA_VARIABLE = "MLOPX_BENCH_DATA"

LEAST_SEEDS = 5
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t for a two-sided interval of 95 %, by degrees of freedom from 1; about 2 beyond."""

FIGURES: dict[str, Callable[[Measures], float]] = {
    "mean turnaround": lambda found: found.turnaround.mean,
    "p95 turnaround": lambda found: found.turnaround.p95,
    "makespan": lambda found: found.makespan,
}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A strategy's figure over the baseline's: the geometric mean of `seeds` pairs (seeds or instances), with an
    interval of 95 %."""

    scenario: str
    figure: str
    ratio: float
    low: float
    high: float
    seeds: int


def bench(
    placer: Annotated[str, typer.Option(help="A strategy's name, or package.module:Class.")],
    against: Annotated[str, typer.Option(help="The baseline.")] = "kubernetes",
    scenario: Annotated[
        list[str] | None, typer.Option("--table", "--scenario", help="Tables or scenario files, instead of all tables.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds 0 to N - 1; pairs of simulations.", min=LEAST_SEEDS)] = LEAST_SEEDS,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a strategy with a baseline: ratios below 1 are better; an interval across 1 says nothing."""
    from server.domain.errors import MlopxError
    from server.exchange.errors import UnreadableError

    found: list[Ratio] = []
    try:
        say_preparing(placer, against)
        for name in scenario or _tables():
            found += _compared(name, placer, against, seeds)
            if not json:
                typer.echo(f"{name}: done", err=True)
    except (MlopxError, UnreadableError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    if json:
        typer.echo(json_module.dumps([asdict(one) for one in found], indent=2))
        return
    typer.echo(f"{placer} over {against}: geometric mean of so many pairs, with an interval of 95 %")
    for one in found:
        interval_of = f"({one.low:.3f} to {one.high:.3f})"
        typer.echo(f"{one.scenario[-20:]:<20} {one.figure:<16} {one.ratio:6.3f}  {interval_of:<18} {one.seeds:>3}")


def _tables() -> tuple[str, ...]:
    """All that can be measured here."""
    from server.cli.bench_data import DATA_TABLES

    if os.environ.get(DATA_VARIABLE):
        return (*SCENARIOS, *DATA_SCENARIOS, *DATA_TABLES)
    missing = ", ".join((*DATA_SCENARIOS, *DATA_TABLES))
    typer.echo(f"{DATA_VARIABLE} is not set: only scenarios that come with the server, without {missing}", err=True)
    return SCENARIOS


def _compared(name: str, placer: str, against: str, seeds: int) -> list[Ratio]:
    from server.cli.bench_data import DATA_TABLES, STREAMS, makespans, streams
    from server.components.placer_registry import load_placer
    from server.simulation.workloads.public_data import data_path

    if name not in DATA_TABLES:
        return compare(name, placer, against, seeds)
    for one in (placer, against):
        load_placer(one)
    folder = data_path()
    if name in STREAMS:
        return _ratios(name, list(streams(name, folder, placer, against)))
    return [interval(name, "makespan", [mine / theirs for mine, theirs in makespans(name, folder, placer, against)])]


def compare(scenario_name: str, placer: str, against: str, seeds: int) -> list[Ratio]:
    """Simulate both on the same pipelines, seed by seed. Raises MlopxError for what cannot be read or loaded."""
    from server.components.placer_registry import load_placer
    from server.simulation.engine import simulate
    from server.simulation.reading import CaseMaker, find_scenario, read_scenario
    from server.simulation.report import measures
    from server.simulation.scenario import ServerTable

    for name in (placer, against):
        load_placer(name)
    path = find_scenario(scenario_name)
    maker = CaseMaker(path, read_scenario(path))
    pairs = []
    for seed in range(seeds):
        mine, theirs = (measures(simulate(maker.case(ServerTable(placer=name), seed))) for name in (placer, against))
        pairs.append((mine, theirs))
    return _ratios(path.stem, pairs)


def _ratios(name: str, pairs: Sequence[tuple[Measures, Measures]]) -> list[Ratio]:
    return [
        interval(name, figure, [read(mine) / read(theirs) for mine, theirs in pairs])
        for figure, read in FIGURES.items()
    ]


def interval(scenario_name: str, figure: str, ratios: Sequence[float]) -> Ratio:
    """The geometric mean of paired ratios, with Student's interval of the mean of their logarithms."""
    logs = [math.log(ratio) for ratio in ratios]
    freedom = len(logs) - 1
    t = T_975[freedom - 1] if freedom <= len(T_975) else 2.0
    half = t * stdev(logs) / math.sqrt(len(logs))
    middle = mean(logs)
    return Ratio(scenario_name, figure, math.exp(middle), math.exp(middle - half), math.exp(middle + half), len(logs))


__all__ = ["Ratio", "bench", "compare", "interval"]
