"""Short forms of explanations in the command's tables, and which task's log is meant where none is named."""

from __future__ import annotations

from typing import Any

import pytest

from mlopx.cli.explaining import short
from mlopx.cli.views import _task_to_read
from mlopx.errors import UsageError
from mlopx.remote import RunHandle


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


class Told(RunHandle):
    """A run with these tasks and states."""

    def detail(self) -> dict[str, Any]:
        return {"tasks": [{"key": key, "state": state} for key, state in zip("abc", self.notes, strict=False)]}


@pytest.mark.parametrize(
    ("states", "task"),
    [(("succeeded", "failed", "skipped"), "b"), (("succeeded", "running"), "b"), (("pending",), "a")],
)
def test_the_log_of_the_task_that_failed_or_runs_or_is_alone_is_meant(states: tuple[str, ...], task: str) -> None:
    assert _task_to_read(Told("r", None, notes=states)) == task  # type: ignore[arg-type]


def test_where_several_could_be_meant_they_are_named() -> None:
    with pytest.raises(UsageError, match="run r has several tasks: a, b"):
        _task_to_read(Told("r", None, notes=("succeeded", "succeeded")))  # type: ignore[arg-type]
