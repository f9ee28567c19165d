"""The registry of data sets: kept over restarts, told to tasks, learning where copies lie."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlopx import Volume, component, pipeline
from server.components.clock import Clock
from server.components.datasets.registry import DatasetRegistry
from server.components.datasets.words import told_of_data
from server.components.live_view import LiveView
from server.domain import events as happened
from server.domain.datasets import Dataset, DatasetUse
from server.domain.errors import NotFoundError
from server.domain.graph import compile_graph
from server.domain.lifecycle import Change, apply, start_run
from server.domain.network import NodeNetwork
from server.domain.request import one_cpu_defaults
from server.domain.run import Run, RunOptions, TaskKey
from server.placers.heft import Heft
from server.stores.memory import MemoryRunStore
from server.testing.contracts.placement_requests import a_node, a_request, a_run, a_task

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PHOTOS = Dataset("photos", "pvc://datasets/photos", 4_000_000_000, "sha256:ab", BEGIN, is_kept_where_read=True)
DATA = Volume.pvc("datasets", mount_path="/mnt/datasets", read_only=True)


@component
def look(folder: str) -> int:
    return len(folder)


@pipeline
def gallery():
    look(DATA.path("photos/2026"))


class Still(Clock):
    def now(self) -> datetime:
        return BEGIN

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps here")


def a_registry(store: MemoryRunStore) -> DatasetRegistry:
    return DatasetRegistry(store, Still())


def a_gallery() -> Run:
    return start_run("r", compile_graph(gallery.build()), parameters={}, options=RunOptions(), at=BEGIN).run


def read_on(node: str) -> Change:
    run, key, end = a_gallery(), TaskKey("look"), BEGIN + timedelta(minutes=5)
    for event in (
        happened.TaskPlaced(at=BEGIN, key=key, attempt=1, node=node),
        happened.TaskQueued(at=BEGIN, key=key, attempt=1),
        happened.TaskStarted(at=BEGIN, key=key, attempt=1, node=node),
    ):
        run = apply(run, event).run
    return apply(run, happened.TaskSucceeded(at=end, key=key, attempt=1, outputs={}))


async def test_what_is_registered_outlives_the_server() -> None:
    store = MemoryRunStore()
    first, second = a_registry(store), a_registry(store)
    await first.register(PHOTOS)
    await first.set_copy("photos", "b", is_there=True)
    await second.load()
    assert second.all() == first.all()
    assert [copy.node for copy in second.get("photos").copies] == ["b"]
    await first.set_copy("photos", "b", is_there=False)
    await first.forget("photos")
    await second.load()
    assert second.all() == []
    with pytest.raises(NotFoundError, match="no data set 'photos' is registered"):
        second.get("photos")


class Meanwhile(MemoryRunStore):
    """A store in which something happens between a read and its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.happens: list[Callable[[], Any]] = []

    def notes(self, *given: Any, **more: Any) -> Any:
        found = super().notes(*given, **more)
        while self.happens:
            self.happens.pop()()
        return found


async def test_what_changes_here_while_the_record_is_read_is_not_undone_by_it() -> None:
    store = Meanwhile()
    registry = a_registry(store)
    store.happens.append(lambda: asyncio.run(registry.register(PHOTOS)))
    await registry.load()
    assert registry.all() == [replace(PHOTOS, registered_at=BEGIN)]
    store.happens.append(lambda: registry.notice(read_on("b")))
    await registry.load()
    assert [copy.node for copy in registry.get("photos").copies] == ["b"]


async def test_copies_stay_while_the_data_set_is_the_same() -> None:
    registry = a_registry(MemoryRunStore())
    await registry.register(PHOTOS)
    await registry.set_copy("photos", "b", is_there=True)
    assert (await registry.register(replace(PHOTOS, place="s3://x/photos"))).copies
    assert not (await registry.register(replace(PHOTOS, digest="sha256:cd"))).copies


async def test_tasks_are_told_of_what_they_read_and_anew_when_that_changes() -> None:
    registry, run = a_registry(MemoryRunStore()), a_gallery()
    view = LiveView(registry.confining(one_cpu_defaults))
    assert view.waiting(run).tasks[0].datasets == ()
    await registry.register(PHOTOS)
    (task,) = view.waiting(run).tasks
    assert task.datasets == (DatasetUse("photos", 4e9),)
    assert task.input_bytes == 4e9
    await registry.set_copy("photos", "b", is_there=True)
    assert view.waiting(run).tasks[0].datasets[0].nodes == ("b",)


async def test_a_node_keeps_what_a_task_read_there_where_data_sets_are_kept() -> None:
    store = MemoryRunStore()
    registry, again = a_registry(store), a_registry(store)
    await registry.register(PHOTOS)
    registry.notice(read_on("b"))
    (copy,) = registry.get("photos").copies
    assert (copy.node, copy.seen_at, copy.source) == ("b", BEGIN + timedelta(minutes=5), "a task that read it")
    writing = asyncio.create_task(registry.keep_forever(60))
    async with asyncio.timeout(60):
        while not again.all() or not again.get("photos").copies:
            await asyncio.sleep(0)
            await again.load()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    await registry.register(replace(PHOTOS, is_kept_where_read=False, digest="sha256:cd"))
    registry.notice(read_on("c"))
    assert registry.get("photos").copies == ()


def test_a_strategy_that_computes_on_the_whole_queue_goes_where_the_data_set_is() -> None:
    use = DatasetUse("photos", 4e9, ("b",), 100e6)
    nodes = [a_node("a", speed=1.2), a_node("b")]
    runs = [a_run("r", a_task("r", datasets=(use,)))]
    for network, expected in ((None, "a"), (NodeNetwork(1e9), "b"), (NodeNetwork(1e12), "b")):
        (placement,) = Heft().place(a_request(nodes, runs, seconds=60, network=network)).placements
        assert placement.node == expected
    quick = [a_run("r", a_task("r", datasets=(replace(use, bytes_per_second=None),)))]
    (placement,) = Heft().place(a_request(nodes, quick, seconds=60, network=NodeNetwork(1e12))).placements
    assert placement.node == "a"


def test_it_is_said_in_words_who_has_the_data_set_and_what_others_would_fetch() -> None:
    task = a_task("r", datasets=(DatasetUse("photos", 4e9, ("b",), 100e6),))
    network = NodeNetwork(1e9)
    assert told_of_data(task, "b", ["a"], network) == ("node b has the data set photos; a would fetch 4 GB, 40 s")
    assert told_of_data(task, "a", ["b"], network) == "node a fetches 4 GB, 40 s; b has it"
    assert told_of_data(task, "a", ["c"], network) == "node a fetches 4 GB, 40 s"
    assert told_of_data(task, "b", ["a"], None) == ""
    assert told_of_data(a_task("r"), "b", ["a"], network) == ""
