"""The example pipelines in full on a node that was never seen, after six small runs of each on another.

`python -m benchmarks.elsewhere`. Both are embedded nodes, one core each with a smaller share of it on the second. What
is learnt are the recorded runs on the first; what is asked for is each task of a full run on the second, before
anything ran there. Only the speeds of the nodes are known of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.ground import serving
from benchmarks.measure import Measure, percentile, show
from mlopx.cli.loading import load_pipeline
from server.components.historian import observation_of
from server.domain.placement import Estimate
from server.estimators.chain import ChainEstimator
from server.estimators.interface import Observation
from server.platforms.local.cluster_file import node_of
from server.stores.interface import FinishedAttempt
from server.stores.sql import SqlRunStore

PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"
HOME, AWAY = ("home", 0.35), ("away", 0.2)
CLUSTER = """
[agent]
preload = ["numpy", "pandas", "sklearn.ensemble", "sklearn.linear_model"]
[[node]]
name = "{name}"
cpus = 1
speed = {speed}
memory = "6Gi"
labels = {{ worker_type = "{name}" }}
"""
SMALL: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "bikes": [{"rounds": rounds} for rounds in (10, 14, 19, 26, 36, 50)],
    "diamonds": [{"rows": rows, "trials": 2} for rows in (4_000, 5_500, 7_500, 10_500, 14_500, 20_000)],
    "digits": [{"epochs": epochs} for epochs in (3, 4, 6, 8, 11, 15)],
    "languages": [{"longest": longest} for longest in (2, 3, 2, 3, 2, 3)],
    "segments": [{"test_share": share, "folds": 2} for share in (0.9, 0.87, 0.83, 0.78, 0.7, 0.6)],
}
"""Arguments of the small runs, from a tenth to half of the full ones; these take the pipelines' own."""

SETTINGS = {"PLACER": "fifo_greedy", "ENABLE_CACHING": "false"}
SHORTEST_SECONDS = 0.5
"""Shorter tasks are mostly their start; they are learnt from and not asked for."""


@dataclass(frozen=True, slots=True)
class Told:
    """A task of a full run: what was foretold, what it took, and what one would say without looking at sizes (the
    median of its component's small runs, by the nodes' speeds)."""

    estimate: Estimate
    seen: Observation
    plain_seconds: float


def foretold(folder: Path) -> list[Told]:
    """Run everything, learn the small runs, and predict the tasks of the full ones."""
    known = recorded(folder / "home", HOME, SMALL)
    full = recorded(folder / "away", AWAY, {name: [{}] for name in SMALL})
    asked = [one for one in full if one.state == "succeeded" and one.run_seconds >= SHORTEST_SECONDS]
    chain = ChainEstimator()
    chain.observe(known)
    chain.settle()
    node = node_of(AWAY[0], 1000, AWAY[1], 6 << 30, {"worker_type": AWAY[0]})
    rows = chain.estimate([one.profile for one in asked], [node])
    return [
        Told(row[0], one, median(small) * HOME[1] / AWAY[1])
        for row, one in zip(rows, asked, strict=True)
        if row[0] is not None
        and (small := [seen.run_seconds for seen in known if seen.profile.component == one.profile.component])
    ]


def measures(told: Sequence[Told]) -> Iterator[Measure]:
    """Errors of the predictions, and how many runs lie in the band of 80 %."""
    errors = [_error(one.estimate.p50, one.seen) for one in told]
    plain = [_error(one.plain_seconds, one.seen) for one in told]
    for what, share, most in (("median error", 0.5, 15), ("90th percentile", 0.9, 50)):
        yield Measure(
            f"{len(told)} tasks of the examples elsewhere: {what}",
            100 * percentile(errors, share),
            "%",
            most=most,
            baseline=100 * percentile(plain, share),
            baseline_name="median of the small runs, by speed",
        )
    inside = sum(one.estimate.p10 <= one.seen.run_seconds <= one.estimate.p90 for one in told)
    yield Measure("the same: inside the 80 % band", 100 * inside / len(told), "%")


def recorded(
    folder: Path, node: tuple[str, float], runs: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[Observation]:
    """Run these on one node, one after another, and read what is on record of them."""
    with serving(folder, CLUSTER.format(name=node[0], speed=node[1]), **SETTINGS) as server:
        for name, arguments in runs.items():
            spec = load_pipeline(PIPELINES / f"{name}.py")
            for one in arguments:
                server.ended(server.client.submit(spec, one)["run_id"], seconds=900.0)
    store = SqlRunStore(f"sqlite:///{folder / 'state' / 'mlopx.db'}")
    try:
        return [observation_of(one) for one in _finished(store)]
    finally:
        store.close()


def _finished(store: SqlRunStore) -> Iterator[FinishedAttempt]:
    after = 0
    while page := store.finished(after=after):
        yield from page
        after = page[-1].id


def _error(seconds: float, seen: Observation) -> float:
    return abs(seconds - seen.run_seconds) / seen.run_seconds


def main() -> None:
    """Measure, and show each task and the figures."""
    with TemporaryDirectory(prefix="mlopx-bench-", ignore_cleanup_errors=True) as folder:
        told = foretold(Path(folder))
    out = Console(width=140, highlight=False)
    for one in told:
        band = " ".join(f"{seconds:8.2f}" for seconds in (one.estimate.p10, one.estimate.p50, one.estimate.p90))
        out.print(f"{one.seen.profile.component:<20} took {one.seen.run_seconds:8.2f} s, foretold {band}", markup=False)
    show(list(measures(told)), out)


if __name__ == "__main__":
    main()
