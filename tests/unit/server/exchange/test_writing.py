"""A captured queue is the problem that strategies compute on, and can be solved as a file."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from server.domain.placement import PlacementRequest, Promise
from server.domain.run import TaskKey
from server.exchange import writing
from server.exchange.reading import Question, read_question
from server.exchange.writing import TooLargeError, capture
from server.planning.checking import can_run, flaws
from server.planning.constructors import heft
from server.planning.stating import Statement, state
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, amounts
from server.testing.contracts.placer import LARGE, REQUESTS

ASKED = {**REQUESTS, **LARGE}
LONG = timedelta(seconds=500)
WITH_NODES = sorted(ASKED.keys() - {"no_nodes"})


def written(folder: Path, statement: Statement) -> Question:
    """The statement, captured and read again."""
    path = folder / "queue.json"
    path.write_text(json.dumps(capture(statement)))
    return read_question(path)


@pytest.mark.parametrize("name", WITH_NODES)
def test_a_captured_queue_is_read_as_what_it_was(tmp_path: Path, name: str) -> None:
    request: PlacementRequest = ASKED[name]()
    statement = state(request)
    before, question = statement.problem, written(tmp_path, statement)
    after = question.problem
    numbers = {f"{task.run_id}/{task.key}": number for number, task in enumerate(statement.tasks)}
    assert after.node_names == tuple(node.name for node in request.snapshot.nodes)
    for task, known in enumerate(after.task_names):
        was = numbers[known]
        for found, wanted in zip(can_run(after, task), can_run(before, was), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
        assert after.release[task] == before.release[was]
        assert question.runs[after.runs.of_task[task]] == statement.tasks[was].run_id
        upstreams = after.edges.task[after.edges.first[task] : after.edges.first[task + 1]]
        expected = before.edges.task[before.edges.first[was] : before.edges.first[was + 1]]
        assert [numbers[after.task_names[u]] for u in upstreams] == sorted(expected.tolist())
    if len(statement.tasks):  # without runs, a file has one that nothing belongs to
        np.testing.assert_allclose(after.runs.submitted, before.runs.submitted)
    np.testing.assert_allclose(after.held.until, before.held.until)
    assert flaws(after, heft(after)) == []


def test_room_that_is_promised_for_later_is_kept_in_the_file(tmp_path: Path) -> None:
    later, late = (
        Promise("one", amounts(cpus=2), "other", TaskKey(path), NOW + timedelta(seconds=begins), NOW + LONG)
        for path, begins in (("later", 30), ("late", -5))
    )
    nodes = [a_node("one", cpus=2), a_node("two", cpus=2)]
    run = a_run("run", a_task("run", "first", cpus=2), a_task("run", "second", cpus=2, waits_for=["first"]))
    after = written(tmp_path, state(a_request(nodes, [run], promised=(later, late)))).problem
    assert after.promised is not None
    found = [part.tolist() for part in (after.promised.node, after.promised.since, after.promised.until)]
    assert found == [[0], [30.0], [LONG.total_seconds()]]
    assert after.held.node.tolist() == [0]
    planned = heft(after)
    assert planned.node.tolist() == [1, 1]
    assert flaws(after, planned) == []


def test_what_nothing_can_run_is_left_out_and_counted(tmp_path: Path) -> None:
    statement = state(REQUESTS["work_that_fits_nowhere"]())
    document = capture(statement)
    left_out = len(statement.tasks) - len(document["tasks"])
    assert left_out > 0
    assert document["description"].endswith(f"{left_out} tasks that nothing can run now are left out.")


def test_a_queue_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_ENTRIES", 3)
    with pytest.raises(TooLargeError, match="more than 3 times of tasks on nodes"):
        capture(state(REQUESTS["chains_on_unequal_nodes"]()))
