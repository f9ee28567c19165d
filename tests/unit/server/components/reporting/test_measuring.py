"""What is measured is what there is: truths lie in intervals, and pipelines are compared with themselves."""

from __future__ import annotations

import math
import random

import pytest

from server.components.reporting.comparing import DRAWS, RunFact, measure
from server.components.reporting.reporter import measured_sentence


def facts(
    rng: random.Random, pipelines: dict[str, float], *, placed: int, left_out: int, effect: float, sigma: float = 0.4
) -> list[RunFact]:
    """Runs whose mean turnaround is the pipeline's, times `effect` where placed."""
    found = []
    for name, usual in pipelines.items():
        for is_left_out, count in ((False, placed), (True, left_out)):
            for number in range(count):
                mean = usual * (1 if is_left_out else effect)
                took = mean * math.exp(rng.gauss(-(sigma**2) / 2, sigma))
                found.append(RunFact(f"{name}-{is_left_out}-{number}", name, is_left_out, took, took / 3600, 0.0, 1.0))
    return found


def test_intervals_cover_the_truth() -> None:
    rng, inside, tries, effect = random.Random(7), 0, 120, 0.7
    pipelines = {"short": 60.0, "long": 600.0}
    truth = (effect - 1) * sum(pipelines.values()) / 2
    for seed in range(tries):
        found = measure(facts(rng, pipelines, placed=40, left_out=8, effect=effect), seed=seed)
        assert found is not None
        inside += found.turnaround.low <= truth <= found.turnaround.high
    assert 0.88 <= inside / tries <= 0.99


def test_a_mix_of_pipelines_that_differs_is_no_effect() -> None:
    rng = random.Random(1)
    mostly_long = facts(rng, {"long": 600.0}, placed=40, left_out=4, effect=1.0, sigma=0.05)
    mostly_short = facts(rng, {"short": 60.0}, placed=4, left_out=40, effect=1.0, sigma=0.05)
    found = measure([*mostly_long, *mostly_short])
    assert found is not None
    assert found.turnaround.change == pytest.approx(0, abs=0.05)
    assert found.turnaround.low <= 0 <= found.turnaround.high
    assert "that may be chance" in measured_sentence(found)


def test_slower_runs_are_counted_and_the_worst_named() -> None:
    usual = [RunFact(f"l{n}", "p", True, 100.0, 1.0, 0.0) for n in range(6)]
    placed = [RunFact(f"p{n}", "p", False, took, 1.0, 0.0) for n, took in enumerate((50.0, 60.0, 103.0, 300.0, 120.0))]
    found = measure([*usual, *placed])
    assert found is not None
    assert found.slower_runs == 2
    assert found.slower[0] == ("p3", "p", 3.0)
    assert found.money is None
    assert found.turnaround.difference == pytest.approx((50 + 60 + 103 + 300 + 120) / 5 - 100)
    assert "2 placed slower" in measured_sentence(found)


def test_too_few_runs_measure_nothing() -> None:
    rng = random.Random(2)
    assert measure([]) is None
    assert measure(facts(rng, {"p": 10.0}, placed=50, left_out=4, effect=0.5)) is None
    assert measure(facts(rng, {f"p{n}": 10.0 for n in range(9)}, placed=9, left_out=1, effect=0.5)) is None


def test_the_same_runs_give_the_same_interval() -> None:
    made = facts(random.Random(3), {"p": 10.0}, placed=9, left_out=9, effect=0.8)
    assert DRAWS >= 1000
    assert measure(made) == measure(list(reversed(made)))
