"""What following costs, counted in requests; and how soon a run is handed over, counted in calls."""

from __future__ import annotations

import asyncio
from typing import Any

from server.platforms.kubeflow.polling import Poller
from server.testing.kfp.records import RunRecord


async def test_a_thousand_active_runs_cost_at_most_ten_requests_per_interval(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        now = ground.clock.now()
        for number in range(1000):
            record = RunRecord(f"r{number}", f"pipe mlopx/run-{number}", now, namespace="kubeflow", state="RUNNING")
            ground.double.runs[record.id] = record
        for number in range(500):
            record = RunRecord(f"o{number}", f"somebody else's {number}", now, namespace="kubeflow", state="RUNNING")
            ground.double.runs[record.id] = record
        poller = Poller(ground.platform.client, namespace="", now=ground.clock.now)
        before = len(ground.double.calls)
        found, gone = await poller.look([f"r{number}" for number in range(1000)])
        calls = len(ground.double.calls) - before
    assert house is not None
    assert len(found) == 1000
    assert not gone
    assert calls <= 10


async def test_runs_that_no_list_has_are_asked_for_a_few_at_a_time(make: Any) -> None:
    async with make() as ground, ground.house():
        poller = Poller(ground.platform.client, namespace="", now=ground.clock.now)
        wanted = [f"gone{number}" for number in range(7)]
        gone: set[str] = set()
        for _ in range(3):
            before = len(ground.double.calls)
            gone |= (await poller.look(wanted))[1]
            assert len(ground.double.calls) - before <= 5
    assert gone == set(wanted)
    await asyncio.sleep(0)
