"""A schedule beside Kubeflow: at each due time a run of its own, placed on what is free then; failures are told."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from mlopx import component, pipeline
from server.components.recurring.keeping import ScheduleKeeper, Wanted
from server.components.recurring.recurrence import Recurrence
from server.components.recurring.webhooks import Webhooks
from server.connecting import translate
from server.domain.run import Run
from server.testing.house import House


@component
def step(a: int = 0) -> int:
    return 10 // a


@pipeline
def nightly(a: int = 1):
    step(a=a).named("only")


class Calendar:
    """The schedules' own clock, set by hand; what runs in Kubeflow takes its own time."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def cordon(ground: Any, house: House, name: str) -> None:
    """Leave one node to run on."""
    for node in ground.double.world.pods.nodes:
        node.is_schedulable = node.name != name
        ground.double.kube.objects.put("nodes", node.object())
    await house.scheduler._node_manager.refresh()


async def test_each_due_time_has_a_run_that_is_placed_on_what_is_free_then(make: Any) -> None:
    heard: list[dict[str, Any]] = []

    def hear(request: httpx.Request) -> httpx.Response:
        heard.append(json.loads(request.content))
        return httpx.Response(200)

    calendar, numbers = Calendar(), itertools.count()
    async with make() as ground, ground.house(translate=translate) as house:
        webhooks = Webhooks(calendar, transport=httpx.MockTransport(hear))
        recurrence = Recurrence(
            store=ground.store,
            journal=house.journal,
            pipeline_manager=house.pipeline_manager,
            webhooks=webhooks,
            clock=calendar,
        )
        keeper = ScheduleKeeper(
            store=ground.store.schedules,
            pipeline_manager=house.pipeline_manager,
            platform=ground.platform,
            recurrence=recurrence,
            clock=calendar,
            new_uid=lambda: f"u{next(numbers)}",
        )

        async def due(day: int, hour: int) -> Run:
            """The run of that moment, at its end."""
            known = set(ground.double.runs)
            calendar.instant = datetime(2026, 3, day, hour, tzinfo=UTC)
            await recurrence.turn()
            [run] = [run for run in house.journal.live() if run.platform_run_id not in known]
            return await house.ended(run.id)

        wanted = {"cron": "0 6 * * *", "zone": "Europe/Berlin", "webhook": "http://hook.example.org/"}
        await keeper.add(Wanted(pipeline=nightly.build(), name="good", **wanted))
        await cordon(ground, house, "two")
        winter = await due(28, 5)
        await cordon(ground, house, "one")
        summer = await due(29, 4)
        await keeper.delete("good")
        await keeper.add(Wanted(pipeline=nightly.build(), name="bad", parameters={"a": 0}, **wanted))
        failed = await due(30, 4)
        await recurrence.turn()
        await webhooks.idle()
        await webhooks.aclose()
    assert [str(run.state) for run in (winter, summer, failed)] == ["succeeded", "succeeded", "failed"]
    nodes = [task.current.actual_node for run in (winter, summer) for task in run.tasks.values()]
    assert nodes == ["one", "two"], "placed afresh each time"
    assert [run.options.labels["mlopx.dev/due"] for run in (winter, summer)] == [
        "2026-03-28T05:00:00Z",
        "2026-03-29T04:00:00Z",
    ], "at six there, also when the clocks have changed"
    assert len(ground.double.runs) == 3
    assert [(one["kind"], one["schedule"], one["run_id"]) for one in heard] == [("failed", "bad", failed.id)]
