"""The server is killed again and again while Kubeflow and Kubernetes fail at random: runs end as if they had not."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mlopx import component, pipeline
from server.domain.run import Run

LIVES, RUNS = 6, 4


@component
def step(a: int = 0, b: int = 0) -> int:
    print("adding", a, b)
    return a + b


@component
def broken(a: int = 0) -> int:
    raise ValueError("no luck today")


@pipeline
def diamond():
    top = step(a=1, b=1).named("top")
    left, right = step(a=top.output, b=1).named("left"), step(a=top.output, b=2).named("right")
    step(a=left.output, b=right.output).named("bottom")


@pipeline
def failing():
    first = step(a=1, b=1).named("first")
    bad = broken(a=first.output).named("bad")
    step(a=bad.output, b=1).named("after")


ENDS = {
    "diamond": ("succeeded", dict.fromkeys(("top", "left", "right", "bottom"), "succeeded")),
    "failing": ("failed", {"first": "succeeded", "bad": "failed", "after": "skipped"}),
}


def faults(double: Any, chance: random.Random) -> list[Callable[[], None]]:
    """What may go wrong."""

    def some(codes: list[int]) -> list[int]:
        return [chance.choice(codes) for _ in range(chance.randint(1, 4))]

    return [
        lambda: setattr(double, "is_down", not double.is_down),
        lambda: setattr(double.kube, "is_down", not double.kube.is_down),
        lambda: double.failing.extend(some([429, 500, 503, 504])),
        lambda: double.kube.failing.extend(some([410, 500, 503, 504])),
        lambda: setattr(double, "lost_answers", 1),
        lambda: setattr(double, "silent_answers", 1),
        lambda: setattr(double, "delay_seconds", chance.uniform(0, 0.1)),
        lambda: setattr(double.kube, "broken_logs", chance.randint(1, 3)),
        double.kube.objects.compact,
        double.kube.cut_watches,
    ]


async def live(house: Any, double: Any, chance: random.Random, runs: list[str]) -> None:
    """One life of a server: it takes a run, and things go wrong, until it is killed."""
    for _ in range(chance.randint(2, 6)):
        if len(runs) < RUNS and chance.random() < 0.5:
            runs.append((await house.submit(chance.choice([diamond, failing]))).id)
        chance.choice(faults(double, chance))()
        await asyncio.sleep(chance.uniform(0.01, 0.2))


def mend(double: Any) -> None:
    double.is_down = double.kube.is_down = False
    double.failing, double.kube.failing = [], []
    double.lost_answers = double.silent_answers = double.kube.broken_logs = 0
    double.delay_seconds = 0.0


@pytest.mark.parametrize("seed", [1, 2])
async def test_runs_end_as_if_nothing_had_failed(make: Any, seed: int) -> None:
    chance, runs = random.Random(seed), list[str]()
    async with make() as ground:
        ground.double.silence_seconds = 0.5
        for _ in range(LIVES):
            async with ground.house(settle_seconds=1.0, timeout_seconds=0.3) as house:
                await live(house, ground.double, chance, runs)
        mend(ground.double)
        async with ground.house(settle_seconds=1.0) as house:
            ended: list[Run] = [await house.ended(run) for run in runs]
            assert ground.platform.problems() == {}
            for record in ground.double.runs:
                ground.double.collect(record)
            logs = [
                (await ground.platform.logs(run, key, task.current.number)).text
                for run in ended
                for key, task in run.tasks.items()
                if str(task.state) == "succeeded"
            ]
    assert len(ended) >= 2
    for run in ended:
        assert (str(run.state), {key.path: str(task.state) for key, task in run.tasks.items()}) == ENDS[run.name]
        assert {len(task.attempts) for task in run.tasks.values()} == {1}
    assert all(text.startswith("adding") for text in logs), "logs are kept beyond their pods"
    names = Counter(record.display_name for record in ground.double.runs.values())
    assert names == Counter(f"{run.name} mlopx/{run.id}" for run in ended), "nothing is lost, nothing is made twice"
    assert set(Counter(ground.double.world.started).values()) == {1}, "nothing runs twice"
