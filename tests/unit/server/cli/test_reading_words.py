"""Short forms of explanations in the command's tables, and which task's log is meant where none is named."""

from __future__ import annotations

from typing import Any

import pytest

from mlopx.cli.explaining import short
from mlopx.cli.views import _task_to_read
from mlopx.errors import UsageError
from mlopx.remote import RunHandle
from mlopx.remote.runs import describe_failure, next_command


def line(state: str, sentence: str, kind: str | None = None) -> dict[str, Any]:
    waiting = None if kind is None else {"kind": kind, "text": "", "tasks": [], "nodes": []}
    return {"task": "train", "state": state, "sentence": sentence, "node": "a", "waiting": waiting}


def test_a_waiting_task_says_what_it_waits_for_and_leaves_the_evidence_out() -> None:
    said = "train waits for room on a, expected free in 5.0 to 12 s: it needs 1 CPU; 3 of 3 nodes can run it, all busy."
    assert short(line("ready", said, "capacity")) == "waits for room on a, expected free in 5.0 to 12 s"


def test_what_no_node_can_run_keeps_its_reason() -> None:
    said = "train waits: it needs 1 gpu, and no node can run it (a: too little gpu (asks 1, the node has 0))."
    assert short(line("ready", said, "node")).startswith("waits: it needs 1 gpu, and no node can run it (a: too")


def test_a_running_task_does_not_repeat_its_node() -> None:
    said = "train runs on a since 07:41:25 UTC (9.0 s), where it was expected to finish first, 0.7 s before b."
    assert short(line("running", said)).startswith("since 07:41:25 UTC (9.0 s), where")


NOBODY: Any = None
"""No client: these runs are not asked about."""


class Told(RunHandle):
    """A run with these tasks and states."""

    def detail(self) -> dict[str, Any]:
        return {"tasks": [{"key": key, "state": state} for key, state in zip("abc", self.notes, strict=False)]}


@pytest.mark.parametrize(
    ("states", "task"),
    [(("succeeded", "failed", "skipped"), "b"), (("succeeded", "running"), "b"), (("pending",), "a")],
)
def test_the_log_of_the_task_that_failed_or_runs_or_is_alone_is_meant(states: tuple[str, ...], task: str) -> None:
    assert _task_to_read(Told("r", NOBODY, notes=states)) == task


def test_where_several_could_be_meant_they_are_named() -> None:
    with pytest.raises(UsageError, match="run r has several tasks: a, b"):
        _task_to_read(Told("r", NOBODY, notes=("succeeded", "succeeded")))


def test_of_a_run_whose_tasks_never_began_that_is_said() -> None:
    with pytest.raises(UsageError, match="run r has no tasks: none began"):
        _task_to_read(Told("r", NOBODY, notes=()))


def failed(code: str, node: str | None) -> dict[str, Any]:
    attempt = {"actual_node": None, "node": "planned", "error": {"message": "no input", "traceback": "", "hint": ""}}
    task = {"key": "loop/fit.1", "path": "loop/fit", "state": "failed", "node": node, "attempts": [attempt]}
    return {"id": "r", "state": "failed", "tasks": [task], "graph": {"tasks": {"loop/fit": {"code": code}}}}


@pytest.mark.parametrize(("code", "is_offered"), [("function", True), ("container", False), ("foreign", False)])
def test_only_functions_are_offered_to_be_run_here(code: str, is_offered: bool) -> None:
    said = next_command(failed(code, None))
    assert said.startswith("`mlopx retry r --from loop/fit.1`")
    assert ("mlopx rerun r loop/fit.1 --local" in said) == is_offered


@pytest.mark.parametrize(("node", "where"), [("one", "task loop/fit.1 on node one"), (None, "task loop/fit.1\n")])
def test_a_task_that_failed_before_it_began_failed_on_no_node(
    node: str | None, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlopx.remote.runs._last_lines", lambda *given, **more: [])
    assert f"run r failed: {where}" in describe_failure(Told("r", NOBODY), failed("foreign", node))
