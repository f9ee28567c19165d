"""Schedules on a virtual clock: each due time makes one run, whatever overlaps, was missed or falls over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlopx import component, pipeline
from mlopx.spec import to_json
from server.cluster.embedded import EmbeddedNodes
from server.components.bus import Bus
from server.components.clock import Clock
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.pipeline_manager import PipelineManager
from server.components.recurring.keeping import ScheduleKeeper, Wanted
from server.components.recurring.recurrence import Recurrence
from server.components.recurring.webhooks import Webhooks
from server.domain import events as happened
from server.domain.errors import ConflictError, InvalidRequestError, UnauthorizedError, UnavailableError
from server.domain.recurring import Missed, Outcome, Overlap, Schedule, ScheduledPipeline
from server.domain.run import Run
from server.domain.states import RunState
from server.stores.files import FileArtifactStore
from server.stores.memory import MemoryRunStore
from server.stores.sql import SqlRunStore
from server.testing.platforms import FakeGraphPlatform

BERLIN = "Europe/Berlin"
START = datetime(2026, 5, 1, 0, 0, tzinfo=UTC)
HOOK = "http://hook.example/here"


@component
def step(a: int = 0) -> int:
    return a


@pipeline
def nightly(value: int = 1):
    step(a=value)


class HandClock(Clock):
    """A clock that stands still until it is set. Sleeping sets it forward."""

    def __init__(self, now: datetime) -> None:
        self.instant = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@dataclass
class Server:
    """The parts that schedules need, over a store that outlives them."""

    clock: HandClock
    store: Any
    journal: Journal
    platform: FakeGraphPlatform
    recurrence: Recurrence
    keeper: ScheduleKeeper
    webhooks: Webhooks
    manager: PipelineManager

    async def at(self, *when: int, zone: Any = UTC) -> None:
        """Set the clock to an instant of 2026, and let what is due happen."""
        self.clock.instant = datetime(2026, *when, tzinfo=zone).astimezone(UTC)  # type: ignore[arg-type]  # a date's parts
        await self.recurrence.turn()

    async def add(self, **wanted: Any) -> Schedule:
        given = {"pipeline": nightly.build(), "cron": "0 6 * * *", "zone": "UTC", **wanted}
        return await self.keeper.add(Wanted(**given))

    async def end(self, run: Run, state: RunState = RunState.SUCCEEDED) -> None:
        """The platform's last word on a run."""
        await self.journal.apply(run.id, happened.RunPlaced(at=self.clock.now(), tasks=()))
        await self.journal.apply(run.id, happened.RunEnded(at=self.clock.now(), state=state, error="no luck"))

    def schedule(self) -> Schedule:
        [found] = self.store.schedules.all()
        return found

    def outcomes(self) -> list[tuple[str, str]]:
        return [(f"{one.due_at:%d %H:%M}", one.outcome.value) for one in self.schedule().firings]

    def runs(self) -> list[Run]:
        return sorted(self.journal.live(), key=lambda run: run.submitted_at)


@dataclass
class World:
    """What outlives a server: the store, the clock, and who listens at the webhook."""

    folder: Path
    clock: HandClock = field(default_factory=lambda: HandClock(START))
    store: Any = field(default_factory=MemoryRunStore)
    heard: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        journal = Journal(self.store, Bus(self.store))
        platform = FakeGraphPlatform([], self.clock.now)
        nodes = NodeManager(
            sources=[EmbeddedNodes("fake", platform.nodes, self.clock.now)],
            live=journal.live,
            defaults=platform.defaults,
            clock=self.clock,
            refresh_seconds=60,
        )
        numbers = iter(range(10_000))
        prefix = f"{id(journal):x}"
        manager = PipelineManager(
            journal=journal,
            platform=platform,
            node_manager=nodes,
            artifacts=FileArtifactStore(self.folder),
            clock=self.clock,
            new_run_id=lambda name: f"{name}-{prefix}-{next(numbers)}",
        )
        webhooks = Webhooks(self.clock, transport=httpx.MockTransport(self._listen))
        recurrence = Recurrence(
            store=self.store, journal=journal, pipeline_manager=manager, webhooks=webhooks, clock=self.clock
        )
        keeper = ScheduleKeeper(
            store=self.store.schedules,
            pipeline_manager=manager,
            platform=platform,
            recurrence=recurrence,
            clock=self.clock,
            new_uid=lambda: f"u{next(numbers)}",
        )
        await journal.load()
        writing = asyncio.create_task(journal.write_forever())
        try:
            yield Server(self.clock, self.store, journal, platform, recurrence, keeper, webhooks, manager)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await webhooks.aclose()

    def _listen(self, request: httpx.Request) -> httpx.Response:
        import json

        status = self.answers.pop(0) if self.answers else 200
        if status < 300:
            self.heard.append({**json.loads(request.content), "key": request.headers["idempotency-key"]})
        return httpx.Response(status)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_run_is_submitted_at_each_due_time_and_not_before(world: World) -> None:
    async with world.server() as server:
        await server.add(parameters={"value": 7}, priority=3, labels={"team": "a"})
        await server.at(5, 1, 5, 59)
        assert server.runs() == []
        await server.at(5, 1, 6, 0)
        [run] = server.runs()
        await server.at(5, 1, 6, 1)
        assert len(server.runs()) == 1
    assert run.parameters == {"value": 7}
    assert run.options.priority == 3
    assert run.options.labels == {
        "team": "a",
        "mlopx.dev/schedule": "nightly",
        "mlopx.dev/due": "2026-05-01T06:00:00Z",
    }


@pytest.mark.parametrize(
    ("overlap", "outcomes", "live"),
    [
        (Overlap.FORBID, ["submitted", "skipped", "submitted"], 1),
        (Overlap.ALLOW, ["submitted", "submitted", "submitted"], 2),
        (Overlap.REPLACE, ["submitted", "submitted", "submitted"], 1),
    ],
)
async def test_overlapping_runs_are_handled_as_asked(
    world: World, overlap: Overlap, outcomes: list[str], live: int
) -> None:
    async with world.server() as server:
        await server.add(overlap=overlap)
        await server.at(5, 1, 6, 0)
        [first] = server.runs()
        await server.at(5, 2, 6, 0)
        if overlap is Overlap.REPLACE:
            assert (await server.journal.run(first.id)).cancel_reason == "replaced by the next run of schedule nightly"
        else:
            await server.end(first)
        await server.at(5, 3, 6, 0)
        assert [outcome for _, outcome in server.outcomes()] == outcomes
        assert len(server.runs()) == live


@pytest.mark.parametrize(
    ("missed", "most", "outcomes"),
    [
        (Missed.NONE, 10, [("04 06:00", "missed")]),
        (Missed.LAST, 10, [("03 06:00", "missed"), ("04 06:00", "submitted")]),
        (Missed.ALL, 2, [("02 06:00", "missed"), ("03 06:00", "submitted"), ("04 06:00", "submitted")]),
        (Missed.ALL, 10, [(f"0{day} 06:00", "submitted") for day in (1, 2, 3, 4)]),
    ],
)
async def test_missed_times_are_made_up_for_as_asked(
    world: World, missed: Missed, most: int, outcomes: list[tuple[str, str]]
) -> None:
    async with world.server() as server:
        await server.add(missed=missed, most_missed=most, overlap=Overlap.ALLOW)
    async with world.server() as server:
        await server.at(5, 4, 12, 0)
        assert server.outcomes() == outcomes
        await server.at(5, 4, 12, 1)
        assert server.outcomes() == outcomes
        await server.at(5, 5, 6, 0)
        assert server.outcomes()[-1] == ("05 06:00", "submitted")


async def test_a_restart_over_a_due_time_misses_nothing_even_when_nothing_is_made_up_for(world: World) -> None:
    async with world.server() as server:
        await server.add(missed=Missed.NONE)
    async with world.server() as server:
        await server.at(5, 1, 6, 0, 40)
        assert server.outcomes() == [("01 06:00", "submitted")]


async def test_years_of_missed_minutes_cost_no_more_than_the_limit(world: World) -> None:
    async with world.server() as server:
        await server.add(cron="* * * * *", missed=Missed.ALL, most_missed=3, overlap=Overlap.ALLOW)
        world.clock.instant = START + timedelta(days=2000)
        await server.recurrence.turn()
        assert [outcome for _, outcome in server.outcomes()].count("submitted") <= 5


@pytest.mark.parametrize("dies", ["before the run", "after the run"])
async def test_a_server_that_dies_while_it_submits_makes_one_run(world: World, dies: str) -> None:
    async with world.server() as server:
        await server.add()
        submit = server.manager.submit

        async def dying(*args: Any, **more: Any) -> Run:
            if dies == "after the run":
                await submit(*args, **more)
            raise asyncio.CancelledError

        server.manager.submit = dying  # type: ignore[method-assign]  # where it dies
        with pytest.raises(asyncio.CancelledError):
            await server.at(5, 1, 6, 0)
    async with world.server() as server:
        await server.at(5, 1, 6, 30)
        assert server.outcomes() == [("01 06:00", "submitted")]
        [run] = server.runs()
        assert server.schedule().last_run_id == run.id


async def test_two_servers_that_both_think_it_is_theirs_make_one_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    worlds = [World(tmp_path, store=SqlRunStore(url)), World(tmp_path, store=SqlRunStore(url))]
    async with worlds[0].server() as one, worlds[1].server() as other:
        await one.add()
        await asyncio.gather(one.at(5, 1, 6, 0), other.at(5, 1, 6, 0))
        await asyncio.gather(one.at(5, 1, 6, 1), other.at(5, 1, 6, 1))
        assert one.outcomes() == [("01 06:00", "submitted")]
        assert len(one.store.live_runs()) == 1
    for each in worlds:
        each.store.close()


async def test_a_store_that_is_away_delays_and_loses_nothing(world: World) -> None:
    async with world.server() as server:
        await server.add()
        submit = server.manager.submit

        async def away(*args: Any, **more: Any) -> Run:
            raise UnavailableError("the database cannot be used right now")

        server.manager.submit = away  # type: ignore[method-assign]  # for a while
        await server.at(5, 1, 6, 0)
        assert server.outcomes() == []
        server.manager.submit = submit  # type: ignore[method-assign]  # back again
        await server.at(5, 1, 6, 5)
        assert server.outcomes() == [("01 06:00", "submitted")]


async def test_times_of_a_pause_are_not_made_up_for(world: World) -> None:
    async with world.server() as server:
        await server.add(missed=Missed.ALL)
        await server.keeper.pause("nightly", is_paused=True)
        await server.at(5, 3, 12, 0)
        await server.keeper.pause("nightly", is_paused=False)
        await server.at(5, 3, 12, 1)
        assert server.outcomes() == []
        await server.at(5, 4, 6, 0)
        assert server.outcomes() == [("04 06:00", "submitted")]
        await server.keeper.delete("nightly")
        await server.at(5, 5, 6, 0)
        assert len(server.runs()) == 1, "its run stays, and no other comes"


async def test_what_is_refused_at_its_time_is_told_and_the_next_time_is_tried(world: World) -> None:
    async with world.server() as server:
        await server.add(webhook=HOOK)

        def observing(run_id: str, caller: Any, *, project: str = "") -> None:
            raise ConflictError("the namespace is only observed")

        server.platform.admit = observing  # type: ignore[method-assign]  # the namespace was opted out
        await server.at(5, 1, 6, 0)
        await server.webhooks.idle()
        del server.platform.admit
        await server.at(5, 2, 6, 0)
        assert server.outcomes() == [("01 06:00", "refused"), ("02 06:00", "submitted")]
    [heard] = world.heard
    assert (heard["kind"], heard["outcome"], heard["reason"]) == (
        "failed",
        "refused",
        "the namespace is only observed",
    )


async def test_a_failure_is_told_once_again_and_again_until_it_is_heard(world: World) -> None:
    world.answers = [503, 500, 429]
    async with world.server() as server:
        await server.add(webhook=HOOK)
        await server.at(5, 1, 6, 0)
        [run] = server.runs()
        await server.end(run, RunState.FAILED)
        for _ in range(3):
            await server.at(5, 1, 6, 10)
        await server.webhooks.idle()
        await server.at(5, 1, 6, 11)
        assert world.clock.slept == [1.0, 2.0, 4.0]
        assert server.schedule().firings[0].told == ("failed",)
    async with world.server() as server:
        await server.at(5, 1, 7, 0)
        await server.webhooks.idle()
    [heard] = world.heard
    assert heard["kind"] == "failed"
    assert heard["run_id"] == run.id
    assert heard["reason"] == "no luck"
    assert heard["due_at"] == "2026-05-01T06:00:00+00:00"


async def test_a_late_run_is_told_while_it_still_runs_and_its_failure_too(world: World) -> None:
    async with world.server() as server:
        await server.add(webhook=HOOK, late_seconds=600)
        await server.at(5, 1, 6, 0)
        [run] = server.runs()
        await server.at(5, 1, 6, 9)
        assert world.heard == []
        await server.at(5, 1, 6, 11)
        await server.webhooks.idle()
        assert [one["kind"] for one in world.heard] == ["late"]
        await server.end(run, RunState.FAILED)
        await server.at(5, 1, 6, 12)
        await server.webhooks.idle()
    assert [one["kind"] for one in world.heard] == ["late", "failed"]


async def test_news_that_nobody_heard_before_the_server_ended_is_told_by_the_next(world: World) -> None:
    async with world.server() as server:
        await server.add(webhook=HOOK)
        await server.at(5, 1, 6, 0)
        await server.end(server.runs()[0], RunState.FAILED)
    async with world.server() as server:
        await server.at(5, 1, 6, 10)
        await server.webhooks.idle()
    assert [one["kind"] for one in world.heard] == ["failed"]


async def test_an_address_that_wants_to_hear_nothing_is_given_up(world: World) -> None:
    world.answers = [404]
    async with world.server() as server:
        await server.add(webhook=HOOK)
        await server.at(5, 1, 6, 0)
        await server.end(server.runs()[0], RunState.FAILED)
        await server.at(5, 1, 6, 10)
        await server.webhooks.idle()
        assert server.schedule().firings[0].told == ("failed",)
    assert world.heard == []
    assert world.clock.slept == []


async def test_a_webhook_that_hangs_blocks_nothing(world: World) -> None:
    async with world.server() as server:
        await server.add(webhook=HOOK, overlap=Overlap.ALLOW)
        await server.at(5, 1, 6, 0)
        await server.end(server.runs()[0], RunState.FAILED)
        hanging: Callable[..., Any] = lambda news: asyncio.Event().wait()  # noqa: E731 - a stand-in
        server.webhooks._try = hanging  # type: ignore[method-assign]  # it never answers
        await server.at(5, 1, 6, 10)
        await server.at(5, 2, 6, 0)
        assert server.outcomes() == [("01 06:00", "submitted"), ("02 06:00", "submitted")]


async def test_a_pipeline_is_kept_as_it_was_when_it_was_scheduled(world: World) -> None:
    async with world.server() as server:
        await server.add()
        kept = server.store.schedules.pipeline("nightly")
    assert kept.text == to_json(nightly.build())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"cron": "0 6 * *"}, "needs five fields and has 4"),
        ({"cron": "61 6 * * *"}, "cannot be read: bad minute"),
        ({"zone": "Europe/Atlantis"}, "there is no time zone 'Europe/Atlantis'"),
        ({"zone": "../etc/passwd"}, "there is no time zone"),
    ],
)
async def test_times_that_make_no_sense_are_refused(world: World, wanted: dict[str, str], said: str) -> None:
    async with world.server() as server:
        with pytest.raises(InvalidRequestError, match=said):
            await server.add(**wanted)


async def test_a_platform_that_runs_nothing_as_the_server_lets_nothing_be_scheduled(world: World) -> None:
    async with world.server() as server:

        def nobody(run_id: str, caller: Any) -> None:
            raise UnauthorizedError("nobody runs anything there as this server")

        server.platform.admit = nobody  # type: ignore[method-assign]  # as a multi-user Kubeflow does
        with pytest.raises(UnauthorizedError, match="a caller's credential is not kept"):
            await server.add()
        assert server.store.schedules.all() == []


async def test_a_name_is_given_once(world: World) -> None:
    async with world.server() as server:
        await server.add()
        with pytest.raises(ConflictError, match="there is a schedule 'nightly' already"):
            await server.add()
        await server.add(name="nightly-two")


async def test_the_part_runs_by_itself_and_wakes_for_a_new_schedule(world: World) -> None:
    async with world.server() as server:
        world.clock.instant = datetime(2026, 5, 1, 5, 59, 59, tzinfo=UTC)
        part = asyncio.create_task(server.recurrence.run_forever())
        await server.add()
        world.clock.instant = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
        async with asyncio.timeout(60):
            while not server.store.schedules.all()[0].firings:
                await asyncio.sleep(0.001)
        part.cancel()
        await asyncio.gather(part, return_exceptions=True)
        assert server.outcomes() == [("01 06:00", "submitted")]


async def test_outcomes_are_kept_for_a_while_only(world: World) -> None:
    async with world.server() as server:
        await server.add(cron="0 * * * *", overlap=Overlap.FORBID)
        for hours in range(1, 70):
            world.clock.instant = START + timedelta(hours=hours)
            await server.recurrence.turn()
        firings = server.schedule().firings
    assert len(firings) == 50
    assert {firing.outcome for firing in firings} == {Outcome.SKIPPED}


async def test_a_schedule_that_cannot_be_read_any_more_says_so_and_hinders_no_other(world: World) -> None:
    async with world.server() as server:
        await server.add(name="old")
        await server.add(name="sound")
        real = world.store.schedules.pipeline
        world.store.schedules.pipeline = lambda name: ScheduledPipeline("{}") if name == "old" else real(name)
        await server.at(5, 1, 6)
        old, sound = world.store.schedules.all()
        assert [(one.outcome, "PipelineSpec" in one.reason) for one in old.firings] == [(Outcome.REFUSED, True)]
        world.store.schedules.pipeline = lambda name: 1 / 0 if name == "old" else real(name)
        await server.end(server.runs()[0])
        await server.at(5, 2, 6)
        old, sound = world.store.schedules.all()
        assert old.pending_at is not None, "it is tried again"
        assert [one.outcome for one in sound.firings] == [Outcome.SUBMITTED] * 2
