"""How often the bands of predicted ends hold: 80 % bands should cover 75 to 85 % of what really comes.

`python -m benchmarks.eta [SCENARIO ...]`. Histories are simulated; at every few decisions live runs are forecast as the
live server does it (the same scene), and each forecast is compared with the end that came.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from server.simulation.engine import Case
from server.simulation.foretelling import coverage
from server.simulation.reading import CaseMaker, find_scenario, read_scenario
from server.simulation.scenario import ServerTable
from server.simulation.told import Telling

SERVERS = ("fifo_greedy", "fifo_round_robin", "online", "srpt_eft")
SCENARIOS = ("online", "original-a", "data-heavy")
ERRORS = ((0.0, 0.3), (0.3, 0.0), (0.3, 0.3))
"""Error of the estimates, and noise of the run times (standard deviations of the logarithm)."""


def told_case(maker: CaseMaker, placer: str, seed: int, error: float, noise: float) -> Case:
    """A scenario's case with these errors."""
    case = maker.case(ServerTable(placer=placer), seed)
    return replace(case, nature=replace(case.nature, noise_sigma=noise), telling=Telling(error))


def main(arguments: Sequence[str]) -> None:
    """Print a table, and JSON lines with `--json`."""
    is_json = "--json" in arguments
    names = [one for one in arguments if not one.startswith("-")] or list(SCENARIOS)
    if not is_json:
        print(
            f"{'scenario':<14}{'strategy':<18}{'error':>6}{'noise':>6}{'forecasts':>11}{'inside':>8}{'below':>7}{'above':>7}"
        )
    for name in names:
        path = find_scenario(name)
        maker = CaseMaker(path, read_scenario(path))
        for placer in SERVERS:
            for error, noise in ERRORS:
                found = coverage(told_case(maker, placer, 0, error, noise))
                if is_json:
                    row = {"scenario": name, "placer": placer, "error": error, "noise": noise}
                    print(json.dumps({**row, "inside": found.inside, "forecasts": found.forecasts}))
                else:
                    shares = "".join(f"{100 * one:>6.0f} %"[-7:] for one in (found.below, found.above))
                    print(
                        f"{name:<14}{placer:<18}{error:>6.1f}{noise:>6.1f}{found.forecasts:>11}"
                        f"{100 * found.inside:>6.0f} %{shares}",
                        flush=True,
                    )


if __name__ == "__main__":
    main(sys.argv[1:])
