"""Which tasks have to pull their images, and what that makes of plans."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mlopx.spec import SPEC_VERSION, Component, FunctionCode, PipelineSpec, Task
from server.components.historian import Historian
from server.components.images import LAG, Begun, ImagesKnown
from server.domain import events as happened
from server.domain.graph import compile_graph
from server.domain.lifecycle import Change, start_run
from server.domain.placement import TaskOption
from server.domain.request import one_cpu_defaults
from server.domain.run import Attempt, Run, RunOptions, TaskKey, TaskRun
from server.domain.starting import MOST_TOLD, NodeImages
from server.domain.states import TaskState
from server.estimators.interface import Observation
from server.estimators.waits import Waits
from server.kube.reading import images_of
from server.stores.memory import MemoryRunStore
from server.testing.contracts.estimator import some_runs
from server.testing.contracts.placement_requests import NOW, a_node, a_run, a_task

KEY = TaskKey("fit")
IMAGE = "team/train:1"
HERE = NodeImages({"docker.io/team/train:1": 2_000})
BARE = NodeImages({})


def a_live_run(node: str | None = "two") -> Run:
    code = FunctionCode(source="def fit():\n    pass\n", entrypoint="fit")
    spec = PipelineSpec(
        version=SPEC_VERSION,
        name="flow",
        components={"fit": Component(name="fit", code=code, image=IMAGE)},
        tasks={"fit": Task(component="fit")},
    )
    run = start_run("r", compile_graph(spec), parameters={}, options=RunOptions(), at=NOW).run
    return replace(run, tasks={KEY: TaskRun(KEY, (Attempt(1, TaskState.QUEUED, node=node),))})


class Stage:
    """A cluster of which nodes tell of their images, and a clock that is moved."""

    def __init__(self, **images: NodeImages) -> None:
        self.at, self.seen = NOW, images
        self.waits = Waits()
        self.known = ImagesKnown(self._seen, self.waits, defaults=one_cpu_defaults, now=self._now, own_image="own")

    def _seen(self) -> Mapping[str, NodeImages]:
        return self.seen

    def _now(self) -> datetime:
        return self.at

    def queued(self, run: Run) -> None:
        self.known.notice(Change(run, (happened.TaskQueued(at=self.at, key=KEY, attempt=1),), ()))

    def started(self, run: Run, node: str) -> None:
        self.known.notice(Change(run, (happened.TaskStarted(at=self.at, key=KEY, attempt=1, node=node),), ()))


def test_what_a_node_had_before_counts_not_what_it_has_once_the_task_runs() -> None:
    stage = Stage(one=HERE, two=BARE)
    stage.queued(a_live_run())
    stage.seen = {"one": HERE, "two": HERE}
    stage.started(a_live_run(), "two")
    assert stage.known.begun("r", KEY, 1) == Begun(IMAGE, 2_000.0, had_image=False)
    assert stage.known.begun("r", KEY, 1) is None


def test_what_started_lately_is_there_although_the_node_does_not_tell_yet() -> None:
    stage = Stage(two=BARE)
    assert stage.known.has("two", IMAGE) is False
    stage.started(a_live_run(), "two")
    assert stage.known.has("two", IMAGE) is True
    stage.at += LAG + timedelta(seconds=1)
    assert stage.known.has("two", IMAGE) is False


def test_a_node_that_tells_of_as_many_images_as_it_can_may_have_others() -> None:
    many = {"status": {"images": [{"names": [f"i:{n}"], "sizeBytes": n} for n in range(MOST_TOLD)]}}
    stage = Stage(one=images_of(many), two=images_of({"status": {"images": many["status"]["images"][:-1]}}))
    assert [stage.known.has(node, IMAGE) for node in ("one", "two", "three")] == [None, False, None]
    assert stage.known.has("one", "i:7") is True


def test_a_task_that_must_pull_starts_later_and_one_that_need_not_does_not() -> None:
    stage = Stage(one=HERE, two=BARE)
    seen = replace(some_runs(1)[0], image=IMAGE)
    stage.waits.observe(replace(seen, queue_seconds=3.0, pull_seconds=1.0, had_image=True))
    stage.waits.observe(replace(seen, queue_seconds=3.0, pull_seconds=41.0, had_image=False))
    task = a_task("a")
    task = replace(task, options=(replace(task.options[0], image=IMAGE),))
    nodes = [a_node("one"), a_node("two"), a_node("silent")]
    starts = stage.known.starts([a_run("a", task)], nodes)
    assert [round(starts.seconds(IMAGE, node.name)) for node in nodes] == [4, 44, 4]
    assert starts.pulled[IMAGE] == {"two"}
    assert starts.seconds("another:1", "two") == 3.0


def test_a_pull_that_is_under_way_is_for_all_who_come_until_it_takes_longer_than_pulls_do() -> None:
    stage = Stage(one=HERE, two=BARE)
    seen = replace(some_runs(1)[0], image=IMAGE)
    stage.waits.observe(replace(seen, pull_seconds=1.0, had_image=True))
    stage.waits.observe(replace(seen, pull_seconds=41.0, had_image=False))
    task = a_task("a")
    runs, nodes = [a_run("a", replace(task, options=(replace(task.options[0], image=IMAGE),)))], [a_node("two")]

    def seconds() -> int:
        return round(stage.known.starts(runs, nodes).seconds(IMAGE, "two"))

    assert seconds() == 41
    stage.queued(a_live_run())
    stage.at += timedelta(seconds=30)
    assert seconds() == 11
    stage.at += timedelta(minutes=10)
    assert seconds() == 41
    stage.queued(replace(a_live_run(), id="again"))
    stage.at += timedelta(seconds=5)
    assert seconds() == 36
    stage.started(a_live_run(), "two")
    assert seconds() == 1


def test_tasks_without_an_image_run_in_the_platforms_own() -> None:
    stage = Stage(one=NodeImages({"own": 5}), two=BARE)
    stage.waits.observe(replace(some_runs(1)[0], pull_seconds=9.0, image="own", had_image=False))
    task = replace(a_task("a"), options=(TaskOption("default", a_task("a").options[0].requests),))
    starts = stage.known.starts([a_run("a", task)], [a_node("one"), a_node("two")])
    assert (starts.seconds(None, "one"), round(starts.seconds(None, "two"))) == (0, 9)


def test_without_nodes_that_tell_only_the_queue_is_known() -> None:
    stage = Stage()
    stage.waits.observe(replace(some_runs(1)[0], queue_seconds=5.0, pull_seconds=9.0))
    starts = stage.known.starts([a_run("a", a_task("a"))], [a_node("one")])
    assert (starts.seconds(None, "one"), starts.of_image) == (5.0, {})


async def test_a_pull_is_learned_when_its_task_is_over_and_again_after_a_restart() -> None:
    stage, store = Stage(one=HERE, two=BARE), MemoryRunStore()
    learned: list[Observation] = []
    parts: dict[str, Any] = {"store": store, "node_of": lambda name: a_node(name), "defaults": one_cpu_defaults}
    historian = Historian(**parts, learn=learned.extend, teach=learned.extend, images=stage.known)
    stage.queued(a_live_run())
    ran = Attempt(
        1,
        TaskState.SUCCEEDED,
        node="two",
        actual_node="two",
        queued_at=NOW,
        scheduled_at=NOW + timedelta(seconds=3),
        started_at=NOW + timedelta(seconds=44),
        finished_at=NOW + timedelta(seconds=50),
    )
    run = replace(a_live_run(), tasks={KEY: TaskRun(KEY, (ran,))})
    stage.started(run, "two")
    historian.notice(Change(run, (happened.TaskSucceeded(at=NOW, key=KEY, attempt=1),), ()))
    writing = asyncio.create_task(historian.write_forever())
    while not learned:
        await asyncio.sleep(0)
    writing.cancel()
    await historian.load()
    assert [(one.queue_seconds, one.pull_seconds, one.image, one.image_bytes, one.had_image) for one in learned] == [
        (3.0, 41.0, IMAGE, 2_000.0, False)
    ] * 2
    assert learned[0].run_seconds == 6.0
