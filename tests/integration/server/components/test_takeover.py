"""What another server wrote last, and a store that fails for a while: nothing is lost, nothing overtakes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlopx import component, pipeline
from server.components.bus import Bus
from server.components.clock import SteadyClock
from server.components.journal import Journal
from server.components.tracker import Tracker
from server.domain.commands import BindTask
from server.domain.errors import IllegalTransitionError, MlopxError
from server.domain.events import TaskPlaced
from server.domain.launch import Launch
from server.domain.lifecycle import Change
from server.domain.run import TaskKey
from server.domain.states import TaskState
from server.stores.interface import Save
from server.stores.memory import MemoryRunStore
from server.testing.contracts.placement_requests import a_node
from server.testing.house import open_house
from server.testing.platforms import FakePlatform


@component
def work() -> int:
    return 1


@pipeline
def single() -> None:
    work()


def machine_clock() -> SteadyClock:
    return SteadyClock(time.time, time.monotonic)  # noqa: TID251 - a test with the machine's clock


class NoLonger:
    """A clock whose sleeps are over at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> Any:
        return machine_clock().now()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


async def test_a_placement_that_another_server_wrote_last_is_carried_out(tmp_path: Path) -> None:
    clock, store = machine_clock(), MemoryRunStore()
    platform = FakePlatform([a_node("one", cpus=2)], clock.now)
    async with open_house(FakePlatform([], clock.now), store, tmp_path, clock) as elsewhere:
        run = await elsewhere.submit(single)
    late = Journal(store, Bus(store))
    mine = Journal(store, Bus(store))
    heard: list[Change] = []
    mine.listen(heard.append)
    await asyncio.gather(late.load(), mine.load())
    writers = [asyncio.create_task(one.write_forever()) for one in (late, mine)]
    placed = TaskPlaced(at=clock.now(), key=TaskKey("work"), attempt=1, node="one", option="default")
    await late.apply(run.id, placed)
    try:
        await mine.apply(run.id, placed)
    except IllegalTransitionError:
        pass
    else:
        raise AssertionError("the same task was placed twice")
    for writer in writers:
        writer.cancel()
    assert BindTask(run.id, TaskKey("work"), 1) in [command for change in heard for command in change.commands]
    async with open_house(platform, store, tmp_path, clock) as house:
        assert str((await house.ended(run.id)).state) == "succeeded"


class Slow(MemoryRunStore):
    """A store that has saved, and does not say so yet."""

    def __init__(self) -> None:
        super().__init__()
        self.saved, self.may_return, self.read = threading.Event(), threading.Event(), threading.Event()

    def save(self, saves: Sequence[Save]) -> Any:
        found = super().save(saves)
        self.saved.set()
        self.may_return.wait(60)
        return found

    def events(self, **more: Any) -> Any:
        found = super().events(**more)
        if self.saved.is_set():
            self.read.set()
        return found


async def test_who_hears_of_an_event_finds_its_run_as_that_left_it(tmp_path: Path) -> None:
    """Else whoever looks at the run at its last event sees it as it was before, and never looks again."""
    clock, store = machine_clock(), Slow()
    store.may_return.set()
    async with open_house(FakePlatform([], clock.now), store, tmp_path, clock) as elsewhere:
        run = await elsewhere.submit(single)
    store.saved.clear()
    store.may_return.clear()
    bus = Bus(store)
    journal = Journal(store, bus)
    await journal.load()
    writer = asyncio.create_task(journal.write_forever())
    seen: list[TaskState] = []

    async def look() -> None:
        async for stored in bus.subscribe(after=0, run_id=run.id):
            if isinstance(stored.event, TaskPlaced):
                seen.append((await journal.run(run.id)).tasks[TaskKey("work")].state)
                return

    placed = TaskPlaced(at=clock.now(), key=TaskKey("work"), attempt=1, node="one", option="default")
    applying = asyncio.create_task(journal.apply(run.id, placed))
    await asyncio.to_thread(store.saved.wait, 60)
    looking = asyncio.create_task(look())
    await asyncio.to_thread(store.read.wait, 60)
    store.may_return.set()
    async with asyncio.timeout(60):
        await looking
        change = await applying
    writer.cancel()
    assert seen == [change.run.tasks[TaskKey("work")].state] != [TaskState.READY]


class Failing(MemoryRunStore):
    """A store whose next saves fail."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0

    def save(self, saves: Sequence[Save]) -> Any:
        if self.left > 0:
            self.left -= 1
            raise MlopxError("the disk is full")
        return super().save(saves)


async def test_what_happened_waits_while_the_store_fails_and_nothing_overtakes_it(tmp_path: Path) -> None:
    clock, store = machine_clock(), Failing()
    platform = FakePlatform([a_node("one", cpus=2)], clock.now, is_holding=True)
    async with open_house(platform, store, tmp_path, clock) as house:
        run = await house.submit(single)
        await house.until(run.id, lambda found: "running" in {str(task.state) for task in found.tasks.values()})
    platform.told.clear()
    for launch in list(platform.launches.values()):
        platform._end(launch, launch.key, launch.attempt, ["output"])
    await platform.start()
    journal, patient = Journal(store, Bus(store)), NoLonger()
    await journal.load()
    store.left = 3
    tracker = Tracker(journal=journal, platform=platform, clock=patient)
    parts = [asyncio.create_task(journal.write_forever()), asyncio.create_task(tracker.run_forever())]
    async with asyncio.timeout(60):
        while not store.load_run(run.id).state.is_end:
            await asyncio.sleep(0.01)
    for part in parts:
        part.cancel()
    assert patient.slept == [0.5, 1.0, 2.0]
    assert str(store.load_run(run.id).state) == "succeeded"
    assert not tracker.refused


async def test_a_refusal_that_the_store_could_not_take_at_once_is_made_good(tmp_path: Path) -> None:
    clock, store = machine_clock(), Failing()

    class Refusing(FakePlatform):
        async def bind(self, launch: Launch) -> None:
            if self.refusing:
                store.left = 1
            await super().bind(launch)

    platform = Refusing([a_node("one", cpus=2)], clock.now, refusing=1)
    async with open_house(platform, store, tmp_path, clock) as house:
        run = await house.ended((await house.submit(single)).id)
    assert (str(run.state), store.left, platform.refusing) == ("succeeded", 0, 0)
