"""What is read of Workflows and pods: places, tries, and who is believed when they disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.kube.reading import Container, PodSeen
from server.platforms.kubeflow.sight import Place, TaskSight, joined, read_workflow

AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def a_node(name: str, phase: str, **more: Any) -> dict[str, Any]:
    times = {"startedAt": "2026-01-01T12:00:00Z", "finishedAt": "2026-01-01T12:00:05Z"}
    return {"name": f"wf.{name}", "type": "Pod", "phase": phase, **times, **more}


def seen(*nodes: dict[str, Any], patience: datetime = AT + timedelta(hours=1), pods: Any = ()) -> list[TaskSight]:
    item = {
        "metadata": {"name": "wf", "namespace": "n", "labels": {"pipeline/runid": "r"}},
        "status": {"phase": "Running", "nodes": {str(index): node for index, node in enumerate(nodes)}},
    }
    workflow = read_workflow(item)
    assert workflow is not None
    return joined(workflow, pods, patience)


def a_pod(phase: str, name: str = "wf.root.a.executor", **more: Any) -> PodSeen:
    containers = (Container("main", started_at=AT + timedelta(seconds=2), **more),)
    annotations = {"workflows.argoproj.io/node-name": name}
    return PodSeen("n", "p", {}, annotations, "one", phase, scheduled_at=AT, containers=containers)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("root.train.executor", Place("train")),
        ("root.nested.train.executor", Place("nested/train")),
        ("root.loop.iteration-iterations(2:2).iteration-item.fit.executor", Place("loop/fit", (2,))),
        (
            "root.a.iteration-iterations(1:1).iteration-item.b.iteration-iterations(0:0).iteration-item.c.executor",
            Place("a/b/c", (1, 0)),
        ),
        ("root.exit-handler-1.onExit.tell.executor", Place("tell")),
        ("root.nested.work.onExit.tell.add.executor", Place("nested/tell/add")),
        ("root.a.iteration-iterations(1:1).iteration-item.b.onExit.c.executor", Place("a/c", (1,))),
    ],
)
def test_a_place_is_read_from_the_name_of_a_node(name: str, place: Place) -> None:
    [sight] = seen(a_node(name, "Succeeded", hostNodeName="one"))
    assert (sight.place, sight.phase, sight.node) == (place, "succeeded", "one")


@pytest.mark.parametrize("name", ["root", "root.train-driver", "root.train", "root.loop.iteration-driver"])
def test_what_is_no_task_is_left_out(name: str) -> None:
    kind = "Pod" if name.endswith("-driver") else "DAG"
    assert seen(a_node(name, "Succeeded", type=kind)) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [({"activeDeadlineSeconds": 0}, ""), ({"shutdown": "Stop"}, ""), ({}, "Stopped with strategy 'Terminate'")],
)
def test_a_workflow_that_somebody_stopped_is_known_by_its_deadline_or_its_message(spec: Any, message: str) -> None:
    about = {"metadata": {"name": "wf", "labels": {"pipeline/runid": "r"}}}
    ended = {"status": {"phase": "Failed", "message": message}}
    workflow = read_workflow({**about, "spec": spec, **ended})
    assert workflow is not None
    assert workflow.was_stopped
    other = read_workflow({**about, "spec": {"activeDeadlineSeconds": 3600}, "status": {"phase": "Failed"}})
    assert other is not None
    assert not other.was_stopped


def test_a_loop_whose_driver_failed_failed_with_all_that_is_in_it() -> None:
    [sight] = seen(a_node("root.loop.iteration-driver", "Error", message="no such list"))
    assert (sight.place, sight.phase, sight.message) == (Place("loop"), "failed", "no such list")
    assert sight.is_subtree


def test_an_importer_is_the_pod_that_carries_the_tasks_own_name() -> None:
    [sight] = seen(a_node("root.load", "Succeeded"))
    assert (sight.place, sight.phase) == (Place("load"), "succeeded")


@pytest.mark.parametrize(
    ("node", "phase", "is_subtree"),
    [
        (a_node("root.a.executor", "Skipped"), "cached", False),
        (a_node("root.a", "Skipped"), "skipped", True),
        (a_node("root.a", "Omitted"), "omitted", True),
        (a_node("root.a-driver", "Error", message="no input"), "failed", True),
    ],
)
def test_what_did_not_run_is_told_apart(node: dict[str, Any], phase: str, is_subtree: bool) -> None:
    [sight] = seen(node)
    assert (sight.place, sight.phase, sight.is_subtree) == (Place("a"), phase, is_subtree)


@pytest.mark.parametrize(
    "node",
    [
        a_node("root.a-driver", "Error", message="no input"),
        a_node("root.a.executor", "Failed", message="workflow shutdown with strategy: Terminate"),
    ],
)
def test_what_failed_without_a_node_did_not_begin(node: dict[str, Any]) -> None:
    [sight] = seen(node)
    assert (sight.phase, sight.started_at, sight.node) == ("failed", None, None)
    assert sight.finished_at == AT + timedelta(seconds=5)


def test_what_failed_on_a_node_began_when_argo_says_so() -> None:
    [sight] = seen(a_node("root.a.executor", "Failed", hostNodeName="one"))
    assert (sight.started_at, sight.node) == (AT, "one")


def test_a_failed_try_is_final_only_when_no_other_follows() -> None:
    first, second = a_node("root.a.executor(0)", "Failed"), a_node("root.a.executor(1)", "Failed")
    assert [sight.is_final for sight in seen(first, a_node("root.a.executor", "Running", type="Retry"))] == [False]
    around = a_node("root.a.executor", "Failed", type="Retry")
    assert [(sight.number, sight.is_final) for sight in seen(first, second, around)] == [(0, True), (1, True)]


def test_an_end_is_believed_when_the_pod_says_so_too_or_after_a_while() -> None:
    node = a_node("root.a.executor", "Succeeded", hostNodeName="one")
    early = AT - timedelta(seconds=60)
    assert [one.phase for one in seen(node, patience=early, pods=[a_pod("Running")])] == ["running"]
    assert [one.phase for one in seen(node, pods=[a_pod("Running")])] == ["succeeded"]
    ended = a_pod("Succeeded", finished_at=AT + timedelta(seconds=4), exit_code=0)
    [sight] = seen(node, patience=early, pods=[ended])
    assert (sight.phase, sight.started_at, sight.finished_at) == (
        "succeeded",
        AT + timedelta(seconds=2),
        AT + timedelta(seconds=4),
    )


def test_broken_compressed_nodes_are_no_nodes() -> None:
    item = {
        "metadata": {"name": "wf", "labels": {"pipeline/runid": "r"}},
        "status": {"phase": "Succeeded", "compressedNodes": "bm90IGd6aXA="},
    }
    workflow = read_workflow(item)
    assert workflow is not None
    assert (workflow.has_nodes, workflow.tasks, workflow.phase) == (False, (), "Succeeded")
