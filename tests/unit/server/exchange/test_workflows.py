"""WfFormat files on a cluster file: seconds by speed, requests, and edges by the files that tasks hand on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.exchange.errors import UnreadableError
from server.exchange.reading import Question, read_question
from server.planning.problem import Sharing

CLUSTER = """
[[node]]
name = "slow"
count = 2
speed = 0.5
labels = { zone = "x" }

[[node]]
name = "big"
cpus = 8
memory = "2Ki"
bytes_per_second = 50

[network]
bytes_per_second = 10
sharing = "max_min"
latency_seconds = 0.25
"""


def a_workflow(**changes: Any) -> dict[str, Any]:
    """`split` writes two files; `left` reads one of them, and is the parent of `right` without handing on any."""
    specification = {
        "tasks": [
            {
                "name": "split",
                "id": "split",
                "parents": [],
                "children": ["left"],
                "inputFiles": ["in"],
                "outputFiles": ["x", "y"],
            },
            {
                "name": "work",
                "id": "left",
                "parents": ["split"],
                "children": [],
                "inputFiles": ["x", "in"],
                "outputFiles": ["z"],
            },
            {"name": "work", "id": "right", "parents": ["left"], "children": []},
        ],
        "files": [{"id": name, "sizeInBytes": size} for name, size in (("in", 7), ("x", 30), ("y", 40), ("z", 50))],
    }
    execution = {
        "tasks": [
            {"id": "split", "runtimeInSeconds": 10, "machines": ["m1"]},
            {"id": "left", "runtimeInSeconds": 6.0, "machines": ["m2"], "coreCount": 2, "memoryInBytes": 2000},
            {"id": "right", "runtimeInSeconds": 1},
        ],
        "machines": [
            {"nodeName": "m1", "cpu": {"coreCount": 4, "speedInMHz": 2000}},
            {"nodeName": "m2", "cpu": {"coreCount": 4, "speedInMHz": 3000}},
        ],
    }
    made: dict[str, Any] = {
        "name": "w",
        "schemaVersion": "1.5",
        "workflow": {"specification": specification, "execution": execution},
    }
    for path, value in changes.items():
        *steps, last = path.split("__")
        at: Any = made
        for step in steps:
            at = at[int(step) if step.isdigit() else step]
        at[last] = value
    return made


def read(folder: Path, workflow: Any, cluster: str | None = CLUSTER) -> Question:
    (folder / "w.json").write_text(json.dumps(workflow))
    if cluster is not None:
        (folder / "c.toml").write_text(cluster)
    return read_question(folder / "w.json", None if cluster is None else folder / "c.toml")


def test_a_recorded_workflow_runs_on_another_cluster(tmp_path: Path) -> None:
    problem = read(tmp_path, a_workflow()).problem
    assert problem.node_names == ("slow-1", "slow-2", "big")
    assert problem.task_names == ("split", "left", "right")
    assert problem.seconds.tolist() == [[20, 20, 10], [18, 18, 9], [2, 2, 1]]
    assert (problem.edges.first.tolist(), problem.edges.task.tolist()) == ([0, 0, 1, 2], [0, 1])
    assert problem.edges.bytes.tolist() == [30, 0]
    assert problem.network.cards is not None
    assert problem.network.cards.tolist() == [0.1, 0.1, 0.02]
    assert (problem.network.sharing, problem.network.latency_seconds) == (Sharing.MAX_MIN, 0.25)
    assert problem.demand.tolist() == [[1, 1, 0], [1, 2, 2000], [1, 1, 0]]
    assert problem.capacity[2, 1:].tolist() == [8, 2048]
    assert problem.capacity[:2, 0].tolist() == [1, 1]


def test_a_task_that_no_node_of_the_cluster_can_run_is_named(tmp_path: Path) -> None:
    cluster = '[[node]]\nname = "n"\ncpus = 1\n'
    with pytest.raises(UnreadableError, match="no node can ever run task 'left'"):
        read(tmp_path, a_workflow(), cluster)


SPECIFICATION, EXECUTION = "workflow__specification__", "workflow__execution__"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schemaVersion": "1.0"}, "schemaVersion: WfFormat 1.5 is read here, not '1.0'"),
        ({"workflow": []}, "workflow: must be an object"),
        ({f"{SPECIFICATION}tasks": None}, "workflow.specification.tasks: must be a list"),
        ({f"{SPECIFICATION}tasks__0__id": 3}, "workflow.specification.tasks[0].id: must be a text"),
        (
            {f"{SPECIFICATION}tasks__0__children": ["nobody"]},
            "workflow.specification.tasks[0]: there is no task 'nobody'",
        ),
        ({f"{SPECIFICATION}files": []}, "workflow.specification.files: knows no 'x', which 'split' writes"),
        (
            {f"{EXECUTION}tasks": []},
            "workflow.specification.tasks[0]: workflow.execution.tasks knows no run of 'split'",
        ),
        (
            {f"{EXECUTION}tasks__1__runtimeInSeconds": "6"},
            "workflow.execution.tasks, left: runtimeInSeconds must be a number that is 0 or more",
        ),
        ({f"{SPECIFICATION}tasks__0__parents": ["right"]}, "edges: the tasks wait for each other in a circle"),
    ],
)
def test_a_workflow_that_cannot_be_read_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(tmp_path, a_workflow(**changes))
    assert str(caught.value).startswith(f"{tmp_path / 'w.json'}: {said}")


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ("[[node]", "is not TOML"),
        ("", "node: is missing"),
        ("node = []", "node: list should have at least 1 item"),
        ("[[node]]\nspeed = 1", "node[0].name: is missing"),
        ("[[node]]\nname = 'a'\nspeed = 0", "node[0].speed: input should be greater than 0, not 0"),
        ("[[node]]\nname = 'a'\ncores = 4", "node[0].cores: there is no such key here"),
        ("[[node]]\nname = 'a'\nmemory = 'much'", "node a: memory: 'much' is not a memory size"),
        ("[[node]]\nname = 'a'\n[network]\nkind = 'cards'", "network.bytes_per_second: is missing"),
        ("[[node]]\nname = 'a'\nbytes_per_second = 3", "node: bytes_per_second is there, and there is no [network]"),
    ],
)
def test_a_cluster_that_cannot_be_read_is_named(tmp_path: Path, cluster: str, said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(tmp_path, a_workflow(), cluster)
    assert str(caught.value).startswith(f"{tmp_path / 'c.toml'}: {said}")


def test_a_workflow_needs_a_cluster_and_a_problem_needs_none(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="give them with --cluster"):
        read(tmp_path, a_workflow(), None)
    with pytest.raises(UnreadableError, match="--cluster goes with WfFormat files only"):
        read(tmp_path, {"run_seconds": [[1]]})
    (tmp_path / "w.json").write_text(json.dumps(a_workflow()))
    with pytest.raises(UnreadableError, match="No such file or directory"):
        read_question(tmp_path / "w.json", tmp_path / "gone.toml")


def test_the_cluster_file_of_the_local_platform_is_read(tmp_path: Path) -> None:
    cluster = """
allow_overcommit = true
[[node]]
name = "small"
cpus = 1
speed = 0.25
memory = "1Gi"
labels = { worker_type = "low" }
taints = [{ key = "dedicated", value = "ml", effect = "NoSchedule" }]
[[node]]
name = "large"
cpus = 4
memory = "4Gi"
price_per_hour = 1.0
[agent]
preload = []
"""
    assert read(tmp_path, a_workflow(), cluster).problem.seconds[0].tolist() == [40, 10]
