"""Problem files: every part becomes the arrays it means, and what cannot be read is named in one sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from server.exchange.document import schema
from server.exchange.errors import UnreadableError
from server.exchange.reading import Question, read_question
from server.planning.problem import NEVER, Sharing

FULL: dict[str, Any] = {
    "format": "mlopx-problem/1",
    "nodes": [
        {"name": "a", "cpus": 4, "memory_bytes": 1e9, "price_per_hour": 3.6},
        {"name": "b", "cpus": 8, "accelerators": {"gpu": 2}, "opens_seconds": 5, "price_per_hour": 7.2},
        {"name": "c", "exclusive": True, "price_per_hour": 0},
    ],
    "tasks": [
        {"name": "first", "run_seconds": {"a": 4, "b": 2.5}, "run": "old"},
        {
            "name": "second",
            "requests": {"cpus": 2, "memory_bytes": 5e8},
            "release_seconds": 3,
            "options": [
                {"name": "gpu", "run_seconds": {"b": 1}, "requests": {"accelerators": {"gpu": 1}}},
                {"name": "cpu", "run_seconds": [9, 8, None]},
            ],
        },
        {"name": "third", "run_seconds": [1, None, 2], "run": 1},
    ],
    "edges": [["first", "second", 100], [1, 2]],
    "inputs": [["first", "c", 50]],
    "network": {"kind": "cards", "seconds_per_byte": [1, 2, 0.5], "latency_seconds": 0.1, "sharing": "one_port"},
    "runs": [
        {"name": "new"},
        {"name": "old", "submitted_seconds": -60, "weight": 2, "priority": 1, "deadline_seconds": 90, "project": "x"},
    ],
    "held": [{"node": "a", "requests": {"cpus": 3}, "until_seconds": 7}, {"node": 1}],
}
TABLE: dict[str, Any] = {"run_seconds": [[1, 2], [3, None]], "edges": [[0, 1, 8]], "seconds_per_byte": [[0, 1], [2, 0]]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to write a problem to."""
    return tmp_path / "problem.json"


def read(file: Path, document: Any) -> Question:
    file.write_text(json.dumps(document))
    return read_question(file)


def test_every_part_becomes_arrays(file: Path) -> None:
    question = read(file, FULL)
    problem = question.problem
    assert problem.task_names == ("first", "second", "third")
    assert problem.node_names == ("a", "b", "c")
    assert problem.seconds.tolist() == [[4, 2.5, NEVER], [NEVER, 1, NEVER], [9, 8, NEVER], [1, NEVER, 2]]
    assert problem.first_mode.tolist() == [0, 1, 3, 4]
    assert question.options == (("default",), ("gpu", "cpu"), ("default",))
    assert question.runs == ("new", "old")
    assert problem.demand.tolist() == [[1, 1, 0, 0], [1, 1, 0, 1], [1, 2, 5e8, 0], [1, 1, 0, 0]]
    assert problem.capacity[0, 1:].tolist() == [4, 1e9, 0]
    assert problem.capacity[1, [1, 3]].tolist() == [8, 2]
    assert problem.capacity[2, 0] == 1
    assert (problem.capacity[1:, 2] >= 5e8).all()
    assert problem.release.tolist() == [0, 3, 0]
    assert problem.opens.tolist() == [0, 5, 0]
    assert problem.price is not None
    assert problem.price.tolist() == pytest.approx([0.001, 0.002, 0])
    assert (problem.edges.first.tolist(), problem.edges.task.tolist()) == ([0, 0, 1, 2], [0, 1])
    assert problem.edges.bytes.tolist() == [100, 0]
    assert (problem.inputs.first.tolist(), problem.inputs.task.tolist()) == ([0, 1, 1, 1], [2])
    assert problem.network.cards is not None
    assert problem.network.cards.tolist() == [1, 2, 0.5]
    assert (problem.network.latency_seconds, problem.network.sharing) == (0.1, Sharing.ONE_PORT)
    assert problem.held.node.tolist() == [0, 1]
    assert problem.held.demand.tolist() == [[1, 3, 0, 0], [1, 1, 0, 0]]
    assert problem.held.until.tolist() == [7, NEVER]
    runs = problem.runs
    assert (runs.of_task.tolist(), runs.submitted.tolist(), runs.weight.tolist()) == ([1, 0, 1], [0, -60], [1, 2])
    assert (runs.priority.tolist(), runs.deadline.tolist(), runs.project.tolist()) == ([0, 1], [NEVER, 90], [0, 1])


def test_a_bare_table_is_a_problem_of_exclusive_nodes(file: Path) -> None:
    problem = read(file, {**TABLE, "name": "x", "heft": 3.0, "best_known": 2.0, "proved_optimal": True}).problem
    assert problem.seconds.tolist() == [[1, 2], [3, NEVER]]
    assert problem.is_exclusive
    assert (problem.task_names, problem.node_names) == (("0", "1"), ("0", "1"))
    assert problem.network.pairs is not None
    assert problem.network.pairs.tolist() == [[0, 1], [2, 0]]


def test_numbers_are_kept_to_the_last_bit(file: Path) -> None:
    seconds = [[0.1, 1 / 3], [123456.789012345, 2**-40]]
    problem = read(file, {"run_seconds": seconds}).problem
    assert problem.seconds.dtype == np.float64
    assert problem.seconds.tolist() == seconds


def test_what_does_not_fit_a_node_cannot_run_there(file: Path) -> None:
    nodes = [{"cpus": 1, "exclusive": True}, {"cpus": 4, "exclusive": True}]
    question = read(file, {"nodes": nodes, "tasks": [{"run_seconds": [1, 1], "requests": {"cpus": 2}}]})
    assert question.problem.seconds.tolist() == [[NEVER, 1]]


def test_a_packed_file_is_unpacked(file: Path) -> None:
    file.write_bytes(gzip.compress(json.dumps(TABLE).encode()))
    assert read_question(file).problem.task_count == 2


def test_the_schema_describes_what_is_read() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    for good in (FULL, TABLE, {"run_seconds": [[1]], "nodes": ["n"], "tasks": ["t"], "edges": []}):
        jsonschema.validate(good, schema())
    for bad in ({"run_seconds": [[-1]]}, {"nodes": [{"cpu": 3}]}, {"edges": [["a"]]}, {"network": {"kind": "slow"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema())


def changed(**changes: Any) -> dict[str, Any]:
    return {**FULL, **changes}


TWO = [{"name": "a"}, {"name": "b"}]
BAD: list[tuple[Any, str]] = [
    ([1], "a problem is an object with `nodes`, `tasks` and more, not a list"),
    ({}, "nodes: is missing, and so is the table `run_seconds` that could say how many"),
    ({"nodes": []}, "tasks: is missing, and so is the table `run_seconds` that could say how many"),
    ({"nodes": [], "tasks": []}, "nodes: a problem needs at least one node"),
    (changed(node=3), "node: there is no such key here"),
    (changed(nodes=[{"name": "a", "cpu": 3}]), "nodes[0].cpu: there is no such key here"),
    (changed(nodes=[{"name": "a", "cpus": -3}]), "nodes[0].cpus: input should be greater than or equal to 0, not -3"),
    (changed(nodes=[{"name": "a", "cpus": "3"}]), 'nodes[0].cpus: input should be a valid number, not "3"'),
    (changed(nodes=[{"name": "a"}, {"name": "a"}]), "nodes[1].name: there are two nodes called 'a'"),
    (changed(edges=[["first", "fourth"]]), "edges[0][1]: there is no task 'fourth'"),
    (changed(edges=[[0, 7, 1]]), "edges[0][1]: there is no task 7"),
    (changed(edges=[[0, 1, 1], ["first", "second", 2]]), "edges[1]: the edge from 'first' to 'second' is there twice"),
    (changed(edges=[[0, 1, -1]]), "edges[0][2]: input should be greater than or equal to 0, not -1"),
    (
        changed(edges=[[0, 1], [1, 2], [2, 0]]),
        "edges: the tasks wait for each other in a circle: 3 of them can never run",
    ),
    (changed(edges=[[1, 1]]), "edges: the tasks wait for each other in a circle: 1 of them can never run"),
    (changed(inputs=[[0, "z", 1]]), "inputs[0][1]: there is no node 'z'"),
    (changed(held=[{"node": "z"}]), "held[0].node: there is no node 'z'"),
    (changed(held=[{"node": "a", "from_seconds": 9}]), "held[0].until_seconds: what begins later needs an end after"),
    (changed(held=[{"node": "a", "from_seconds": 9, "until_seconds": 9}]), "held[0].until_seconds: what begins later"),
    (changed(runs=[{"weight": 0}]), "runs[0].weight: input should be greater than 0, not 0"),
    (changed(runs=[]), "tasks[0].run: there is no run 'old'"),
    (changed(network={"kind": "cards"}), "network.seconds_per_byte: must be a list of 3 numbers, one per node"),
    (
        changed(network={"kind": "cards", "seconds_per_byte": [1, 2]}),
        "network.seconds_per_byte: has 2 entries instead of 3",
    ),
    (changed(network={"kind": "uniform", "seconds_per_byte": -1}), "network.seconds_per_byte: must be one number"),
    (
        changed(network={"kind": "none", "seconds_per_byte": 1}),
        "network.seconds_per_byte: is there, although data is free",
    ),
    (
        changed(network={"kind": "pairs", "seconds_per_byte": [[1]]}),
        "network.seconds_per_byte: has 1 rows, and there are 3 nodes",
    ),
    (changed(seconds_per_byte=[[0]]), "seconds_per_byte: is there beside `network`, which says the same; give one"),
    ({**TABLE, "seconds_per_byte": [[0, 1], [2, 3]]}, "seconds_per_byte: the diagonal must be 0"),
    ({**TABLE, "seconds_per_byte": [[0, None], [2, 0]]}, "seconds_per_byte[0][1]: must be a number, not None"),
    ({**TABLE, "nodes": ["a"]}, "run_seconds: is 2 x 2, and there are 2 tasks and 1 nodes"),
    ({"run_seconds": [[1, 2], [3]]}, "run_seconds[1]: has 1 entries instead of 2"),
    ({"run_seconds": [[1, 2], 3]}, "run_seconds[1]: must be a list"),
    ({"run_seconds": 3}, "run_seconds: must be a list of rows"),
    ({"run_seconds": [[1, "2"]]}, "run_seconds[0][1]: must be a number or null, not '2'"),
    ({"run_seconds": [[1, True]]}, "run_seconds[0][1]: must be a number or null, not True"),
    ({"run_seconds": [[1, -2]]}, "run_seconds[0][1]: must be 0 or more and finite, not -2"),
    ({"run_seconds": [[10**400]]}, "run_seconds[0]: holds a number that is too large"),
    ({"run_seconds": [[1], [None]]}, "tasks[1]: no node can ever run task '1'"),
    ({"nodes": TWO, "tasks": [{"name": "t"}]}, "tasks[0].run_seconds: is missing, here, in options, and as a table"),
    ({"nodes": TWO, "tasks": [{"run_seconds": [1]}]}, "tasks[0].run_seconds: has 1 entries, and there are 2 nodes"),
    ({"nodes": TWO, "tasks": [{"run_seconds": {"z": 1}}]}, "tasks[0].run_seconds: there is no node 'z'"),
    (
        {"nodes": TWO, "tasks": [{"run_seconds": {"a": -1}}]},
        "tasks[0].run_seconds.a: input should be greater than or equal to 0",
    ),
    (
        {"nodes": TWO, "tasks": [{"options": [{"name": "o", "run_seconds": [1, 1]}] * 2}]},
        "tasks[0].options: two of them have the same name",
    ),
    (
        {"nodes": TWO, "tasks": [{"run_seconds": [1, 1], "options": [{"name": "o", "run_seconds": [1, 1]}]}]},
        "tasks[0]: has both `run_seconds` and `options`; give one",
    ),
    (
        {"nodes": [{"cpus": 2}], "tasks": [{"name": "big", "run_seconds": [1], "requests": {"cpus": 3}}]},
        "tasks[0]: no node can ever run task 'big'",
    ),
    (
        {"nodes": TWO, "tasks": [{"run_seconds": [1, 1], "requests": {"gpus": 1}}]},
        "tasks[0].requests.gpus: there is no such key",
    ),
]


@pytest.mark.parametrize(("document", "said"), BAD, ids=[said for _, said in BAD])
def test_what_cannot_be_read_is_named_in_one_sentence(file: Path, document: Any, said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(file, document)
    text = str(caught.value)
    assert text.startswith(f"{file}: {said}")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ": No such file or directory"),
        (b"\xff\xfe", ": is not UTF-8 text at byte 0"),
        (b'{"nodes": [\n 1 2]}', ":2:4: is not JSON: Expecting ',' delimiter"),
        (b'{"run_seconds": [[NaN]]}', ": NaN is no number that JSON knows"),
        (b'{"run_seconds": [[1e999]]}', ": run_seconds[0][0]: must be 0 or more and finite, not inf"),
        (b'{"name": "a", "name": "b"}', ": the key 'name' is there twice in one object"),
        (b"[" * 100_000, ": is nested too deeply"),
        (b"\x1f\x8b\x08\x00broken", ": cannot be unpacked: "),
    ],
)
def test_what_is_not_json_is_named(file: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        read_question(file)
    assert str(caught.value).startswith(f"{file}{said}")
