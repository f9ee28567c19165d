"""What `mlopx explain` prints: the sentence first, the evidence under it, and what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlopx.cli.explaining import comes, ends_in

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
RUN = "churn-vpud6est2e"
EXPLAIN, TASK = "GET /api/v1/runs/{run_id}/explain", "GET /api/v1/runs/{run_id}/explain/task"
WAITING = {"kind": "capacity", "text": "waits for room on quick", "tasks": [], "nodes": ["quick"]}


def words(text: str) -> str:
    """All of it in one line."""
    return " ".join(text.split())


def band(low: float, high: float) -> dict[str, str]:
    """From so many seconds from now to so many."""
    now = datetime.now(UTC)  # noqa: TID251 - what is told is told of the present
    instants = [(now + timedelta(seconds=one)).isoformat() for one in (low, (low + high) / 2, high)]
    return dict(zip(("p10", "p50", "p90"), instants, strict=True))


def waiting(api: Api, **more: Any) -> dict[str, Any]:
    """The task of the examples while it waits for room."""
    nodes = [
        {"node": "slow", "verdict": "free", "seconds_p50": 61.0, "reason": "it has room now"},
        {
            "node": "quick",
            "verdict": "busy",
            "seconds_p50": 31.0,
            "reason": "busy: needs 1 CPU, 0 CPUs free",
            "option": "t4",
        },
        {
            "node": "tiny",
            "verdict": "never",
            "seconds_p50": None,
            "reason": "too little cpu (asks 1, the node has 0.5)",
        },
    ]
    actions = [{"text": "Take slow at once.", "command": f"mlopx accept {RUN} greet --node slow"}]
    changes = {"state": "ready", "sentence": "greet waits for room on quick: it needs 1 CPU.", "node": None}
    base = {**api.example(TASK), **changes, "position": 2, "waiting": WAITING, "hindsight": None, "warnings": []}
    return {**base, "nodes": nodes, "actions": actions, **more}


def test_a_run_is_a_sentence_and_a_line_for_each_task(api: Api, said: Said) -> None:
    text = said("explain", RUN)
    assert text.splitlines()[0] == "churn succeeded after 4.4 s."
    assert "greet succeeded quick for 4.3 s, where it was expected to finish first, 30 s before slow" in words(text)
    assert "predicted to take" not in text
    assert f"one task with all evidence: mlopx explain {RUN} TASK" in text


def test_why_no_end_is_told_is_said_under_the_sentence(api: Api, said: Said) -> None:
    found = {**api.example(EXPLAIN), "why_no_eta": "no end is predicted yet", "preparing": "online is being prepared"}
    api.says(EXPLAIN, found)
    assert said("explain", RUN).splitlines()[1:3] == ["  note: online is being prepared", "  no end is predicted yet"]


def test_what_runs_or_waits_comes_first_and_very_many_are_counted(api: Api, said: Said) -> None:
    found = api.example(EXPLAIN)
    (line,) = found["tasks"]
    many = [{**line, "task": f"t{number}"} for number in range(45)]
    api.says(EXPLAIN, {**found, "tasks": [*many, {**line, "task": "alive", "state": "running"}]})
    rows = [row.split()[0] for row in said("explain", RUN).splitlines() if " succeeded " in row or " running " in row]
    assert rows[:2] == ["churn", "alive"]
    assert "... and 6 more" in said("explain", RUN)


def test_of_many_warnings_the_first_are_told(api: Api, said: Said) -> None:
    api.says(EXPLAIN, {**api.example(EXPLAIN), "warnings": [f"task t{number} asks for much" for number in range(5)]})
    text = said("explain", RUN)
    assert text.count("warning: task t") == 3
    assert "... and 2 more warnings, with --json" in text


def test_a_task_that_ran_is_told_with_its_decision_its_candidates_and_how_it_went(said: Said) -> None:
    text = said("explain", RUN, "greet")
    assert text.startswith("greet ran on quick for 4.3 s")
    assert "the decision: fifo_greedy (version 1), cycle 1, at " in text
    assert "  its reason: fewest tasks (0), then most cores and memory" in text
    assert "  the run time is a guess" in text
    rows = [words(line) for line in text.splitlines()]
    assert "quick chosen 0.0 s 31.0 s (7.4-140.6) 31.0 s" in rows
    assert "slow 0.0 s 61.0 s (13.9-280.3) 61.0 s 30.0 s later" in rows
    assert "predicted 31.0 s (7.4-140.6), ran 4.3 s: outside the band" in text
    assert "would have saved" not in text


def test_nodes_that_were_ruled_out_are_named_with_their_reason(api: Api, said: Said) -> None:
    found = api.example(TASK)
    found["decision"]["rejected"] = [
        {"reason": "too little gpu (asks 1, the node has 0)", "count": 9, "nodes": ["a", "b"]}
    ]
    api.says(TASK, found)
    assert "9 ruled out: too little gpu (asks 1, the node has 0) (a, b ...)" in words(said("explain", RUN, "greet"))


def test_who_stood_in_for_a_strategy_is_told(api: Api, said: Said) -> None:
    found = api.example(TASK)
    found["decision"]["fallback_from"] = "mine"
    api.says(TASK, found)
    assert "it stood in for mine, which gave no answer" in said("explain", RUN, "greet")
    found["decision"]["reason"] += "; mine is not ready yet"
    api.says(TASK, found)
    assert "stood in" not in said("explain", RUN, "greet")


def test_regret_is_told_where_there_is_some(api: Api, said: Said) -> None:
    found = api.example(TASK)
    found["hindsight"] |= {"best_node": "slow", "regret_seconds": 2.5, "is_inside_band": True}
    api.says(TASK, found)
    text = said("explain", RUN, "greet")
    assert "by what is known now, slow would have saved 2.5 s" in text
    assert text.rstrip().splitlines()[-2].endswith("inside the band")


def test_a_waiting_task_is_told_what_each_node_says_and_what_to_do(api: Api, said: Said) -> None:
    api.says(TASK, waiting(api, decision=None))
    text = said("explain", RUN, "greet")
    assert "  position in the queue: 2" in text
    rows = [words(line) for line in text.splitlines()]
    assert "slow free now 61.0 s it has room now" in rows
    assert "quick/t4 busy 31.0 s needs 1 CPU, 0 CPUs free" in rows
    assert "tiny cannot - too little cpu (asks 1, the node has 0.5)" in rows
    assert text.endswith(f"what you can do\n  Take slow at once.\n    mlopx accept {RUN} greet --node slow\n")


def test_when_it_starts_and_ends_is_told_once_that_is_known(api: Api, said: Said) -> None:
    api.says(TASK, waiting(api, starts=band(60.5, 90.5), ends=band(100.5, 130.5)))
    text = said("explain", RUN, "greet")
    assert re.search(r"  expected to start in (60|5\d)\.\d to (90|8\d)\.\d s\n", text)
    assert re.search(r"  expected to end in (1 min [34]\d s|9\d\.\d s) to 2 min [01]\d s\n", text)
    api.says(TASK, waiting(api, starts=band(60, 90), sentence="greet waits, expected free in 60 to 90 s."))
    assert "expected to start" not in said("explain", RUN, "greet")


@pytest.mark.parametrize(
    ("low", "high", "column", "after_a_verb"),
    [
        (-5, 0.5, "any moment", "any moment"),
        (-5, 30.5, "up to 30.", "within 30."),
        (5.05, 30.5, "5.0 to 30.", "in 5.0 to 30."),
    ],
)
def test_bands_of_instants_are_told_as_spans_from_now(low: float, high: float, column: str, after_a_verb: str) -> None:
    assert ends_in(band(low, high)).startswith(column)
    assert comes(band(low, high)).startswith(after_a_verb)
    assert ends_in(None) == "-"


def test_programs_get_json(api: Api, said: Said) -> None:
    assert json.loads(said("explain", RUN, "--json")) == api.example(EXPLAIN)
    assert json.loads(said("explain", RUN, "greet", "--json")) == api.example(TASK)


def test_what_can_be_done_is_told_of_a_run_and_no_command_is_wider_than_the_terminal(
    api: Api, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run_id = f"a-pipeline-with-a-name-that-is-{'long-' * 4}k3v9"
    todo = [{"text": "See what another node would change.", "command": "mlopx plan --add-node quick"}]
    api.says(EXPLAIN, {**api.example(EXPLAIN), "run_id": run_id, "actions": todo})
    text = said("explain", RUN)
    assert "what you can do\n  See what another node would change.\n    mlopx plan --add-node quick\n" in text
    assert f"one task with all evidence:\n  mlopx explain {run_id} TASK\n" in text
    assert max(map(len, text.splitlines())) <= 80
