"""What is measured is what there is: truths lie in intervals, and pipelines are compared with themselves."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import pytest

from server.components.reporting import comparing
from server.components.reporting.comparing import DRAWS, RunFact, measure, student
from server.components.reporting.reporter import measured_sentence


def drawn(rng: random.Random, sizes: dict[str, int], *, share: float, effect: float) -> list[RunFact]:
    """Runs of one pipeline with a parameter of which its mean turnaround depends; who is left out is chance."""
    found = []
    for size, count in sizes.items():
        for number in range(count):
            is_left_out = rng.random() < share
            took = float(size) * (1 if is_left_out else effect) * math.exp(rng.gauss(-0.02, 0.2))
            found.append(RunFact(f"{size}-{number}", "p", is_left_out, took, took / 3600, 0.0, inputs=size))
    return found


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


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """What many intervals are made of, in the time that there is for a test."""
    monkeypatch.setattr(comparing, "DRAWS", 400)


@pytest.mark.usefixtures("few_draws")
def test_intervals_cover_the_truth() -> None:
    rng, inside, tries, effect = random.Random(7), 0, 120, 0.7
    pipelines = {"short": 60.0, "long": 600.0}
    truth = (effect - 1) * sum(pipelines.values()) / 2
    for seed in range(tries):
        found = measure(facts(rng, pipelines, placed=40, left_out=8, effect=effect), seed=seed)
        assert found is not None
        inside += found.turnaround.low <= truth <= found.turnaround.high
    assert 0.88 <= inside / tries <= 0.99


@pytest.mark.usefixtures("few_draws")
def test_small_and_large_runs_of_one_pipeline_are_compared_with_their_like() -> None:
    rng, inside, tries, effect, share = random.Random(3), 0, 40, 0.8, 0.1
    widths = []
    for seed in range(tries):
        runs = drawn(rng, {"10": 270, "1000": 60}, share=share, effect=effect)
        found = measure(runs, seed=seed)
        assert found is not None
        placed = [float(one.inputs) for one in runs if not one.is_left_out]
        truth = (effect - 1) * sum(placed) / len(placed)
        inside += found.turnaround.low <= truth <= found.turnaround.high
        mixed = measure([replace(one, inputs="") for one in runs], seed=seed)
        assert mixed is not None
        widths.append((mixed.turnaround.high - mixed.turnaround.low) / (found.turnaround.high - found.turnaround.low))
    assert 0.88 <= inside / tries <= 1
    assert statistics.median(widths) > 3


def test_which_runs_are_alike_is_told_by_how_many_there_are_and_not_by_who_was_left_out() -> None:
    rng = random.Random(8)
    seen = set()
    for _ in range(20):
        runs = drawn(rng, {"10": 200, "500": 3}, share=0.1, effect=1.0)
        found = measure(runs)
        assert found is not None
        seen.add(found.placed_runs + found.left_out_runs + found.unmatched_runs)
        assert all(one.placed_runs < 203 for one in found.pipelines)
    assert seen == {203}


def test_a_run_of_a_large_input_is_not_called_slower_than_those_of_small_ones() -> None:
    rng = random.Random(4)
    found = measure(drawn(rng, {"10": 200, "1000": 200}, share=0.1, effect=0.5))
    assert found is not None
    assert found.slower_runs == 0
    assert [one.pipeline for one in found.pipelines] == ["p"]


@pytest.mark.parametrize(("freedom", "point"), [(2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (math.inf, 1.960)])
def test_small_samples_have_wider_intervals_as_student_found(freedom: float, point: float) -> None:
    assert student(freedom) == pytest.approx(point, rel=0.01)


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
