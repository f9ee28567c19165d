"""Experiments: one of each name, whoever else makes it at the same moment, and though an answer is lost."""

from __future__ import annotations

import asyncio
from typing import Any

from mlopx import component, pipeline
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.identity import Identity


@component
def step(a: int = 0) -> int:
    return a


@pipeline
def one():
    step(a=1).named("only")


def clients(ground: Any, count: int) -> list[KfpClient]:
    return [KfpClient(ground.url, identity=Identity(), now=ground.clock.now) for _ in range(count)]


async def test_all_who_want_an_experiment_at_the_same_moment_get_the_same(make: Any) -> None:
    async with make() as ground:
        asking = clients(ground, 4)
        ground.double.delay_seconds = 0.05  # all have looked before the first has made it
        found = await asyncio.gather(*(client.experiment("shared", "") for client in asking))
        for client in asking:
            await client.aclose()
    assert len(set(found)) == 1
    assert len(ground.double.experiments) == 1
    assert [call.method for call in ground.double.calls].count("POST") == 4


async def test_a_run_whose_experiment_was_made_without_an_answer_is_created(make: Any) -> None:
    async with make() as ground:
        ground.double.lost_experiments = 1
        async with ground.house() as house:
            run = await house.ended((await house.submit(one)).id)
    assert str(run.state) == "succeeded", run.error
    assert len(ground.double.experiments) == 1
    assert len(ground.double.runs) == 1
