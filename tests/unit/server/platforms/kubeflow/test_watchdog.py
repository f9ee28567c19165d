"""Why a task waits, from what its pod says of its containers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.kube.reading import Container, PodSeen, read_pod
from server.platforms.kubeflow.sight import Place, TaskSight
from server.platforms.kubeflow.watchdog import why_waiting

AT = datetime(2026, 1, 1, tzinfo=UTC)
QUEUED = TaskSight(Place("train"), "queued")
MAIN = Container("main", reason="PodInitializing")


@pytest.mark.parametrize(
    ("containers", "why"),
    [
        ([MAIN], None),
        (
            [Container("main", "CreateContainerConfigError", 'secret "keys" not found')],
            'container: CreateContainerConfigError on node one: secret "keys" not found',
        ),
        (
            [Container("proxy", "CrashLoopBackOff", "back-off 5m0s restarting failed container"), MAIN],
            "container: CrashLoopBackOff of proxy on node one: back-off 5m0s restarting failed container",
        ),
        (
            [Container("kfp-launcher", "ErrImagePull", "not found"), MAIN],
            "image: ErrImagePull on node one: not found",
        ),
        ([Container("proxy", "Completed", started_at=AT, finished_at=AT), MAIN], None),
    ],
)
def test_containers_that_are_not_started_say_why(containers: list[Container], why: str | None) -> None:
    assert why_waiting(QUEUED, PodSeen("team", "pod", node="one", containers=tuple(containers))) == why


def test_a_proxy_that_crashes_before_the_task_is_read_from_the_pod() -> None:
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}
    item = {
        "metadata": {"name": "pod", "namespace": "team"},
        "spec": {"nodeName": "one"},
        "status": {
            "phase": "Pending",
            "initContainerStatuses": [
                {"name": "proxy", "state": {"waiting": waiting}, "lastState": {"terminated": {"exitCode": 1}}}
            ],
            "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
        },
    }
    assert why_waiting(QUEUED, read_pod(item)) == "container: CrashLoopBackOff of proxy on node one: back-off 5m0s"


def test_a_task_that_runs_waits_for_nothing() -> None:
    crashed = Container("proxy", "CrashLoopBackOff")
    assert (
        why_waiting(TaskSight(Place("train"), "running"), PodSeen("t", "p", node="one", containers=(crashed,))) is None
    )
