"""One server, two kinds of platform: one that is told task by task, and one that drives its own graph."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mlopx import component, pipeline
from server.components.clock import SteadyClock
from server.components.scheduler import OpenGate
from server.domain.errors import MlopxError, PlatformError
from server.domain.launch import Launch
from server.domain.placement import WaitingRun
from server.domain.states import TaskState
from server.stores.interface import RunStoreInterface
from server.stores.memory import MemoryRunStore
from server.stores.sql import SqlRunStore
from server.testing.contracts.placement_requests import a_node
from server.testing.house import open_house
from server.testing.platforms import FakeGraphPlatform, FakePlatform

BOTH = (FakePlatform, FakeGraphPlatform)


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@pipeline
def diamond():
    top = step().named("top")
    left, right = step(a=top.output).named("left"), step(a=top.output).named("right")
    step(a=left.output, b=right.output).named("bottom")


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock(time.time, time.monotonic)  # noqa: TID251 - a test with the machine's clock


@pytest.fixture
def make(clock: SteadyClock) -> Callable[..., Any]:
    def one(kind: type[Any], **more: Any) -> Any:
        return kind([a_node("one", cpus=2), a_node("two", cpus=2)], clock.now, **more)

    return one


@pytest.mark.parametrize("kind", BOTH)
async def test_a_run_walks_to_its_end(kind: Any, make: Any, clock: SteadyClock, tmp_path: Path) -> None:
    async with open_house(make(kind), MemoryRunStore(), tmp_path, clock) as house:
        run = await house.ended((await house.submit(diamond)).id)
    assert str(run.state) == "succeeded"
    assert {str(key): str(task.state) for key, task in run.tasks.items()} == dict.fromkeys(
        ("top", "left", "right", "bottom"), "succeeded"
    )
    assert {task.current.actual_node for task in run.tasks.values()} <= {"one", "two"}


class LateGate(OpenGate):
    """What runs wait for becomes known while the strategy answers for the first time."""

    def __init__(self) -> None:
        self.answers: Callable[[], int] = lambda: 0  # how many tasks a strategy placed
        self.barred = 0

    def waits(self, runs: Sequence[WaitingRun]) -> Mapping[str, str]:
        if self.answers():
            return {}
        self.barred += len(runs)
        return {run.run_id: "waits until it is known for which processors its image is made" for run in runs}


async def test_an_answer_that_knew_less_than_is_known_now_hands_nothing_over(
    make: Any, clock: SteadyClock, tmp_path: Path
) -> None:
    gate = LateGate()
    async with open_house(make(FakeGraphPlatform), MemoryRunStore(), tmp_path, clock, gate=gate) as house:
        gate.answers = lambda: len(house.scheduler.plan)
        run = await house.ended((await house.submit(diamond)).id)
    assert str(run.state) == "succeeded"
    assert gate.barred == 1, "the first answer is not used"


async def test_a_platform_with_a_graph_gets_the_whole_run_at_once(
    make: Any, clock: SteadyClock, tmp_path: Path
) -> None:
    platform = make(FakeGraphPlatform)
    async with open_house(platform, MemoryRunStore(), tmp_path, clock) as house:
        run = await house.ended((await house.submit(diamond)).id)
    placements = platform.placements[run.id]
    assert set(placements) == {"top", "left", "right", "bottom"}
    assert {placement.node for placement in placements.values()} <= {"one", "two"}
    assert run.platform_run_id == f"graph-{run.id}"
    assert {path: run.tasks[key].current.node for path, key in ((str(key), key) for key in run.tasks)} == {
        path: placement.node for path, placement in placements.items()
    }


@pytest.mark.parametrize("kind", BOTH)
async def test_a_failed_task_fails_the_run_and_what_waits_for_it_does_not_run(
    kind: Any, make: Any, clock: SteadyClock, tmp_path: Path
) -> None:
    async with open_house(make(kind, failing=["left"]), MemoryRunStore(), tmp_path, clock) as house:
        run = await house.ended((await house.submit(diamond)).id)
    states = {str(key): str(task.state) for key, task in run.tasks.items()}
    assert str(run.state) == "failed"
    assert states["left"] == "failed"
    assert states["bottom"] == "skipped"


@pytest.mark.parametrize("kind", BOTH)
async def test_a_call_that_was_refused_is_made_again(kind: Any, make: Any, clock: SteadyClock, tmp_path: Path) -> None:
    platform = make(kind, refusing=2)
    async with open_house(platform, MemoryRunStore(), tmp_path, clock) as house:
        run = await house.ended((await house.submit(diamond)).id)
    assert platform.refusing == 0
    assert str(run.state) == "succeeded"


class Twice(FakePlatform):
    """Refuses the two in the middle of a diamond at the same moment, once."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.both, self.asked = asyncio.Barrier(2), Counter[str]()

    async def bind(self, launch: Launch) -> None:
        self.asked[launch.key.path] += 1
        if launch.key.path in ("left", "right") and self.asked[launch.key.path] == 1:
            await self.both.wait()
            raise PlatformError("its agent is away", is_retryable=True)
        await super().bind(launch)


async def test_two_calls_that_are_refused_at_once_are_both_made_again(
    make: Any, clock: SteadyClock, tmp_path: Path
) -> None:
    platform = make(Twice)
    async with open_house(platform, MemoryRunStore(), tmp_path, clock) as house:
        run = await house.ended((await house.submit(diamond)).id)
    assert str(run.state) == "succeeded"
    assert platform.asked == {"top": 1, "left": 2, "right": 2, "bottom": 1}


@pytest.mark.parametrize("kind", BOTH)
async def test_a_cancelled_run_ends_as_cancelled(kind: Any, make: Any, clock: SteadyClock, tmp_path: Path) -> None:
    async with open_house(make(kind, is_holding=True), MemoryRunStore(), tmp_path, clock) as house:
        run = await house.submit(diamond)
        await house.until(run.id, lambda run: any(task.state is TaskState.RUNNING for task in run.tasks.values()))
        await house.pipeline_manager.cancel(run.id)
        assert str((await house.ended(run.id)).state) == "cancelled"


class _Gone(BaseException):
    """The server is gone at this point."""


class DyingStore:
    """A store whose server dies at the n-th write: before it, or right after it was done and nobody heard of it."""

    def __init__(self, store: RunStoreInterface, writes: int, *, is_after: bool) -> None:
        self._store, self._left, self._is_after, self.has_died = store, writes, is_after, False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("save", "create_run", "add_decisions"):
            return found

        def write(*args: Any, **more: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                self.has_died = True
            if self.has_died and not (self._is_after and self._left == -1):
                raise MlopxError("the server is gone")
            answer = found(*args, **more)
            if self.has_died:
                raise MlopxError("the server is gone")
            return answer

        return write


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("writes", range(1, 12))
async def test_a_server_that_dies_at_any_write_is_taken_over_and_nothing_runs_twice(
    kind: Any, is_after: bool, writes: int, make: Any, clock: SteadyClock, tmp_path: Path
) -> None:
    store = SqlRunStore(f"sqlite:///{tmp_path / 'store.sqlite'}")
    platform = make(kind)
    dying = DyingStore(store, writes, is_after=is_after)
    async with open_house(platform, dying, tmp_path, clock) as house:  # type: ignore[arg-type]  # looks like a store
        run = await house.submit(diamond)
        await house.until(run.id, lambda found: dying.has_died or found.state.is_end)
    async with open_house(platform, store, tmp_path, clock) as house:
        ended = await house.ended(run.id)
    assert str(ended.state) == "succeeded"
    told = [delivery.event for delivery in platform.told]
    starts = [(event.key, event.attempt) for event in told if event.kind == "task-started"]
    assert len(starts) == len(set(starts)) == 4
    store.close()
