"""How often the bands of predicted starts and ends hold: 80 % bands should cover 75 to 85 % of what really comes.

`python -m benchmarks.eta [SCENARIO ...] [--placer NAME] [--seed N ...] [--load X ...]`. Histories are simulated; at
every few decisions live runs are forecast as the live server does it (the same scene), and each forecast is compared
with what came. Several seeds and loads are counted together.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from server.components.explaining.track import KINDS
from server.simulation.engine import Case
from server.simulation.foretelling import coverage, pooled
from server.simulation.reading import CaseMaker, find_scenario, read_scenario
from server.simulation.scenario import Scenario, ServerTable
from server.simulation.told import Telling

SERVERS = ("fifo_greedy", "fifo_round_robin", "online", "srpt_eft")
SCENARIOS = ("online", "data-heavy")
ERRORS = ((0.0, 0.3), (0.3, 0.0), (0.3, 0.3))
"""Error of the estimates, and noise of the run times (standard deviations of the logarithm)."""


def told_case(maker: CaseMaker, placer: str, seed: int, error: float, noise: float) -> Case:
    """A scenario's case with these errors."""
    case = maker.case(ServerTable(placer=placer), seed)
    return replace(case, nature=replace(case.nature, noise_sigma=noise), telling=Telling(error))


def rows(name: str, placers: Sequence[str], streams: Sequence[tuple[int, float | None]]) -> Iterator[dict[str, Any]]:
    """One row per strategy, errors and kind of forecast; `streams`: seeds, with a load or the scenario's own."""
    path = find_scenario(name)
    scenario = read_scenario(path)
    makers = [(CaseMaker(path, _at_load(scenario, load)), seed) for seed, load in streams]
    for placer in placers:
        for error, noise in ERRORS:
            each = [coverage(told_case(maker, placer, seed, error, noise)) for maker, seed in makers]
            for kind, found in ((kind, pooled([one[kind] for one in each])) for kind in KINDS):
                yield {
                    "scenario": name,
                    "placer": placer,
                    "error": error,
                    "noise": noise,
                    "kind": kind,
                    **asdict(found),
                }


def _at_load(scenario: Scenario, load: float | None) -> Scenario:
    if load is None or scenario.generator is None:
        return scenario
    return scenario.model_copy(update={"generator": scenario.generator.model_copy(update={"load": load})})


def main(arguments: Sequence[str]) -> None:
    """Print a table, and JSON lines with `--json`."""
    options = argparse.ArgumentParser(prog="benchmarks.eta", description=__doc__.splitlines()[0])
    options.add_argument("scenarios", nargs="*", metavar="SCENARIO", default=list(SCENARIOS))
    options.add_argument("--placer", action="append", help=f"a strategy; by default {', '.join(SERVERS)}")
    options.add_argument("--seed", action="append", type=int, help="of a stream; by default 0")
    options.add_argument("--load", action="append", type=float, help="of each seed's stream; by default the scenario's")
    options.add_argument("--json", action="store_true", help="JSON lines")
    asked = options.parse_args(arguments)
    streams = [(seed, load) for seed in asked.seed or [0] for load in asked.load or [None]]
    if not asked.json:
        print(
            f"{'scenario':<12}{'strategy':<18}{'error':>6}{'noise':>6} {'of':<13}{'forecasts':>10}"
            f"{'inside':>8}{'below':>8}{'above':>8}"
        )
    for name in asked.scenarios:
        for row in rows(name, asked.placer or SERVERS, streams):
            if asked.json:
                print(json.dumps(row), flush=True)
                continue
            shares = "".join(
                f"{100 * row[share]:>6.0f} %" if row["forecasts"] else f"{'-':>8}"
                for share in ("inside", "below", "above")
            )
            print(
                f"{name:<12}{row['placer']:<18}{row['error']:>6.1f}{row['noise']:>6.1f} {row['kind']:<13}"
                f"{row['forecasts']:>10}{shares}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
