"""Bands of foretold starts and ends on simulated histories: 80 % bands cover 75 to 85 % of what really comes."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from server.components.explaining.track import KINDS as FORETOLD
from server.components.explaining.track import Kind
from server.domain.node import Node
from server.domain.resources import Resources
from server.simulation.engine import Case
from server.simulation.foretelling import Coverage, coverage, pooled
from server.simulation.machines import Machine
from server.simulation.rules import Rules
from server.simulation.told import Telling
from server.simulation.transfers import Wires
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Way, make_work
from server.simulation.world import Nature

KINDS = {"slow": 2, "fast": 2}
FREE = Wires()
SHAPE = (((), 0.5), ((0,), 1.0), ((0,), 1.5), ((1, 2), 0.4))


def machines() -> list[Machine]:
    return [
        Machine(Node(f"{kind}-{index}", Resources(1000, 2**30, (), 110), {KIND_LABEL: kind}), kind)
        for kind, count in KINDS.items()
        for index in range(count)
    ]


def case(
    placer: str, seed: int, error: float, noise: float, gap_seconds: float, data_bytes: float = 0.0, wires: Wires = FREE
) -> Case:
    """120 diamonds of six lengths, coming at random; the slow nodes take three times as long. Each task hands over so
    many bytes per second of the base of its pipeline's run times."""
    rng = random.Random(seed)
    works = []
    for number in range(6):
        base = rng.uniform(5, 25)
        tasks = [
            TaskWork(
                f"t{index}",
                (Way({"slow": 3 * base * f, "fast": base * f}, cpu_millicores=1000),),
                after,
                output_bytes=base * data_bytes,
            )
            for index, (after, f) in enumerate(SHAPE)
        ]
        works.append(make_work(f"w{number}", tasks, kinds=tuple(KINDS)))
    at, arrivals = 0.0, []
    for number in range(120):
        at += rng.expovariate(1 / gap_seconds)
        arrivals.append(Arrival(at, f"r{number}", rng.choice(works)))
    return Case(
        machines=machines,
        arrivals=arrivals,
        rules=Rules(placer=placer),
        nature=Nature(noise_sigma=noise, wires=wires),
        telling=Telling(error),
        seed=seed,
    )


@pytest.mark.parametrize("placer", ["fifo_greedy", "fifo_round_robin", "online", "srpt_eft"])
def test_bands_cover_what_they_say(placer: str) -> None:
    found = [
        coverage(case(placer, seed, 0.3, 0.3, gap), every=11, most_runs=25)
        for seed in (3, 4, 5)
        for gap in (42.0, 30.0)
    ]
    _hold(found)


@pytest.mark.parametrize("placer", ["fifo_greedy", "fifo_round_robin"])
def test_bands_cover_what_they_say_where_data_on_its_way_decides_when_runs_end(placer: str) -> None:
    wires = Wires("cards", 125e6)
    found = [
        coverage(case(placer, seed, 0.3, 0.3, gap, data_bytes=60e6, wires=wires), every=7, most_runs=25)
        for seed in (6, 7)
        for gap in (60.0, 45.0)
    ]
    _hold(found)


def _hold(found: list[Mapping[Kind, Coverage]]) -> None:
    for kind in FORETOLD:
        together = pooled([one[kind] for one in found])
        assert together.forecasts > 250, kind
        assert 0.75 <= together.inside <= 0.85, (kind, together)
