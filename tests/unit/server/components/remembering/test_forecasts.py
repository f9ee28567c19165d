"""What bands learned is there again after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.components.clock import Clock
from server.components.explaining.track import ForecastTrack
from server.components.explaining.values import Band
from server.components.remembering.forecasts import KIND, ForecastMemory
from server.stores.interface import Note
from server.stores.memory import MemoryRunStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Hands(Clock):
    """A clock that only sleeping moves; after so many sleeps it stops the sleeper."""

    def __init__(self, sleeps: int = 0) -> None:
        self.at, self.left = NOW, sleeps

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        if not self.left:
            raise TimeoutError
        self.left -= 1
        self.at += timedelta(seconds=seconds)


def judged(count: int, strategy: str = "fifo_greedy") -> ForecastTrack:
    track = ForecastTrack()
    band = Band(*(NOW + timedelta(seconds=one) for one in (90, 100, 110)))
    for number in range(count):
        track.shown("run-ends", strategy, {(f"r{number}", None): band}, NOW)
        track.came("run-ends", (f"r{number}", None), NOW + timedelta(seconds=150))
    return track


async def test_a_new_server_knows_what_the_old_one_learned() -> None:
    store = MemoryRunStore()
    old = ForecastMemory(track=judged(30), store=store, clock=Hands())
    await old.keep()
    await old.keep()
    assert len(store.notes(KIND)) == 1
    new = ForecastMemory(track=ForecastTrack(), store=store, clock=Hands())
    await new.load()
    assert new.track.reliabilities() == old.track.reliabilities()
    await new.keep()
    assert len(store.notes(KIND)) == 1


async def test_what_cannot_be_read_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryRunStore()
    store.add_notes([Note(KIND, "x", NOW, {"format": 1, "kind": "weather"}), Note(KIND, "y", NOW, {"format": 99})])
    memory = ForecastMemory(track=judged(30), store=store, clock=Hands())
    await memory.keep()
    again = ForecastMemory(track=ForecastTrack(), store=store, clock=Hands())
    await again.load()
    assert len(again.track.reliabilities()) == 1
    assert "(x) cannot be read" in caplog.text


async def test_it_is_written_down_once_a_minute_and_all_is_foretold_meanwhile() -> None:
    store, asked = MemoryRunStore(), []
    memory = ForecastMemory(track=judged(30), store=store, clock=Hands(sleeps=5))

    async def foretell() -> None:
        asked.append(len(store.notes(KIND)))

    with pytest.raises(TimeoutError):
        await memory.watch_forever(foretell)
    assert asked == [0] * 5
    memory = ForecastMemory(track=memory.track, store=store, clock=Hands(sleeps=7))
    with pytest.raises(TimeoutError):
        await memory.watch_forever(foretell)
    assert asked[5:] == [0] * 6 + [1]
