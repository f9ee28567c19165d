"""Volumes that are not mounted are told by events only: few lists find them, and the run says them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.components.pipeline_manager import Submission
from server.kube.reading import Container, PodSeen
from server.platforms.interface import ForeignFile
from server.platforms.kubeflow import pod_events, watching
from server.platforms.kubeflow.pod_events import PodEvents, is_silent, read_trouble
from server.testing.compiled import a_container, a_pipeline, a_task

AT = datetime(2026, 1, 1, tzinfo=UTC)
MOUNTING = a_pipeline(
    {"read": a_task("comp-read")},
    {"comp-read": {}},
    {"exec-read": a_container(command=["python3", "-c", "print('read')"])},
    {"exec-read": {"pvcMount": [{"constant": "data", "mountPath": "/data"}]}},
)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are asked for at once, and often."""
    monkeypatch.setattr(pod_events, "SILENT", timedelta(seconds=-2))
    monkeypatch.setattr(watching, "EVENTS_SECONDS", 0.0)


async def submitted(ground: Any, house: Any) -> Any:
    ground.double.world.pods.claims = {"data"}
    ground.double.world.pods.stuck_claims = {"data"}
    return await house.pipeline_manager.submit(Submission(ForeignFile("flow.yaml", MOUNTING.encode())))


@pytest.mark.usefixtures("impatient")
async def test_a_volume_that_is_not_mounted_is_the_reason_until_it_is(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        run = await submitted(ground, house)
        held = await house.until(run.id, lambda found: any(task.hold for task in found.tasks.values()))
        [task] = held.tasks.values()
        node = task.current.actual_node or task.current.node
        assert task.hold.startswith(f"volume: FailedMount on node {node}: MountVolume.SetUp failed"), task.hold
        [pod] = [one for one in ground.double.kube.objects.all("pods") if "mlopx.dev/run" in one["metadata"]["labels"]]
        async with asyncio.timeout(60):
            while "mlopx.dev/waiting" not in pod["metadata"]["annotations"]:
                await asyncio.sleep(0.02)
                pod = ground.double.kube.objects.find("pods", "kubeflow", pod["metadata"]["name"])
        assert pod["metadata"]["annotations"]["mlopx.dev/waiting"] == task.hold
        ground.double.world.pods.stuck_claims.clear()
        ground.double.world.pods.changed()
        run = await house.ended(run.id)
        asked = [call for call in ground.double.kube.calls if call.plural == "events"]
    assert str(run.state) == "succeeded"
    assert {(call.verb, call.namespace) for call in asked} == {("list", "kubeflow")}


@pytest.mark.usefixtures("impatient")
async def test_events_that_may_not_be_read_are_asked_for_once_and_that_is_said(make: Any) -> None:
    async with make() as ground:
        ground.double.kube.denied = {("list", "events")}
        async with ground.house() as house:
            run = await submitted(ground, house)
            async with asyncio.timeout(60):
                while "events (kubeflow)" not in ground.platform.problems():
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            assert "why volumes are not mounted is not told" in ground.platform.problems()["events (kubeflow)"]
            assert len([call for call in ground.double.kube.calls if call.plural == "events"]) == 1
            ground.double.world.pods.stuck_claims.clear()
            ground.double.world.pods.changed()
            assert str((await house.ended(run.id)).state) == "succeeded"


def a_pod(**more: Any) -> PodSeen:
    waiting = (Container("main", reason="ContainerCreating"),)
    return PodSeen(**{"namespace": "n", "name": "p", "node": "one", "scheduled_at": AT, "containers": waiting, **more})


@pytest.mark.parametrize(
    ("more", "is_asked"),
    [
        ({}, True),
        ({"scheduled_at": AT + timedelta(seconds=50)}, False),
        ({"node": None}, False),
        ({"is_leaving": True}, False),
        ({"phase": "Failed"}, False),
        ({"containers": (Container("main", reason="ImagePullBackOff"),)}, False),
        ({"containers": (Container("init", started_at=AT), Container("main", reason="PodInitializing"))}, False),
    ],
)
def test_only_pods_that_say_nothing_themselves_are_asked_about(more: Any, is_asked: bool) -> None:
    assert is_silent(a_pod(**more), AT + timedelta(minutes=1)) is is_asked


def an_event(reason: str, message: str, at: str, **more: Any) -> dict[str, Any]:
    about = {"kind": "Pod", "name": "p", "namespace": "n"}
    return {"reason": reason, "message": message, "involvedObject": about, "lastTimestamp": at, **more}


class Kube:
    """A Kubernetes client that lists these events."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events, self.lists = events, 0

    async def list(self, *_: Any, **__: Any) -> Any:
        self.lists += 1
        return type("Listing", (), {"items": list(self.events)})()


async def test_the_newest_trouble_counts_and_an_old_one_is_taken_as_over() -> None:
    newer = an_event("FailedAttachVolume", "Multi-Attach\n  error", "2026-01-01T00:02:00Z")
    kube = Kube(
        an_event("FailedMount", "old", "2026-01-01T00:01:00Z"),
        newer,
        an_event("BackOff", "another matter", "2026-01-01T00:03:00Z"),
    )
    clock: Iterator[datetime] = iter([AT + timedelta(minutes=3), AT + timedelta(minutes=8)])
    events = PodEvents(kube, lambda: next(clock))  # type: ignore[arg-type]  # lists, and nothing else
    await events.look([a_pod(), a_pod(name="q")])
    assert kube.lists == 1
    assert events.said_of(a_pod(name="q")) is None
    assert events.said_of(a_pod()) == "volume: FailedAttachVolume on node one: Multi-Attach error"
    assert events.said_of(a_pod()) is None, "six minutes later nobody has said it again"


def test_newer_reporters_write_the_time_elsewhere() -> None:
    series = an_event("FailedMount", "x", "", series={"lastObservedTime": "2026-01-01T00:05:00.5Z"}, lastTimestamp=None)
    found = read_trouble(series)
    assert found is not None
    assert found.at == AT + timedelta(minutes=5, seconds=0.5)
    assert read_trouble({"reason": "FailedMount"}) is None


async def test_a_network_that_is_not_made_is_no_volume() -> None:
    events = PodEvents(
        Kube(an_event("FailedCreatePodSandBox", "no addresses left", "2026-01-01T00:00:00Z")),  # type: ignore[arg-type]
        lambda: AT,
    )
    await events.look([a_pod()])
    assert events.said_of(a_pod()) == "container: FailedCreatePodSandBox on node one: no addresses left"
