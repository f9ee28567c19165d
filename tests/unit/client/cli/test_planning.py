"""What `mlopx plan` asks the server, and how it tells the answer: a sentence, a chart, bands, and what is assumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
PLAN = "POST /api/v1/plan"


def instant(seconds: float) -> str:
    """So many seconds after the example's plan was made."""
    return f"2026-01-31T12:{int(seconds) // 60:02d}:{int(seconds) % 60:02d}+00:00"


def bar(task: str, node: str, begin: float, end: float, **more: Any) -> dict[str, Any]:
    return {
        "run_id": "the-plan",
        "name": "flow",
        "task": task,
        "node": node,
        "option": "default",
        "is_new": True,
        "is_running": False,
        "is_from_history": True,
        "starts": {"p10": instant(begin), "p50": instant(begin), "p90": instant(begin + 5)},
        "ends": {"p10": instant(end - 5), "p50": instant(end), "p90": instant(end + 20)},
        **more,
    }


def test_everything_that_is_to_be_different_is_sent(api: Api, said: Said, file: Path) -> None:
    words = ["-p", "depth=3", "--strategy", "heft", "--objective", "makespan", "--priority", "5"]
    said("plan", str(file), *words, "--priority", "r-1=-2", "--add-node", "a", "--add-node", "a", "--remove-node", "b")
    (body,) = api.bodies("/api/v1/plan")
    assert body.pop("spec")["name"] == "flow"
    assert body == {
        "parameters": {"depth": 3},
        "options": {"priority": 5},
        "priorities": {"r-1": -2},
        "strategy": "heft",
        "objective": "makespan",
        "add_nodes": ["a", "a"],
        "remove_nodes": ["b"],
    }


def test_without_a_file_the_queue_is_planned(api: Api, said: Said) -> None:
    said("plan", "--remove-node", "quick")
    assert api.bodies("/api/v1/plan") == [{"remove_nodes": ["quick"]}]


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("high", "'high' is no priority", "give a number, or RUN=NUMBER"),
        ("r-1=high", "'r-1=high' is no priority", "give a number, or RUN=NUMBER"),
        ("5", "whose priority?", "without a FILE, say --priority RUN=NUMBER"),
    ],
)
def test_a_priority_that_makes_no_sense_is_refused(
    api: Api, mlopx_command: Command, text: str, says: str, hint: str
) -> None:
    ended = mlopx_command("plan", "--priority", text)
    assert (ended.exit_code, ended.stderr) == (2, f"error: {says}\n  hint: {hint}\n")
    assert api.asked == []


def test_the_sentence_comes_first_then_the_chart_the_bands_and_what_is_assumed(said: Said) -> None:
    lines = said("plan").splitlines()
    assert lines[0] == "hello would be done in 31 s (20 s to 2 min 20 s) with fifo_greedy."
    assert lines[2].startswith("quick  |AAAA")
    row = next(" ".join(line.split()) for line in lines if line.startswith("greet"))
    assert row == "greet quick now ~ 20.0 s - 2 min 20 s"
    assert "bottleneck  the run time of greet on quick: 31 s of 31 s" in lines
    assert "critical path  greet@quick" in lines
    assert lines[-1].startswith("  ") or lines[-1].startswith("assumed: every task runs")


def test_tasks_stand_in_the_chart_at_their_times_on_their_nodes(api: Api, said: Said) -> None:
    other = bar("old", "slow", 0, 60, run_id="r-1", is_new=False, is_running=True)
    bars = [bar("first", "quick", 0, 30), bar("second", "quick", 30, 60), bar("third", "slow", 0, 30), other]
    api.says(PLAN, {**api.example(PLAN), "bars": bars})
    lines = said("plan").splitlines()
    chart = [line for line in lines if "|" in line]
    assert [line.split("|")[0].strip() for line in chart] == ["quick", "slow", ""]
    assert set(chart[0].split("|")[1]) == {"A"}
    assert sorted(line.split("|")[1].strip()[0] for line in chart[1:]) == ["A", "B"]
    assert "A = this plan  B = r-1" in lines


def test_names_of_runs_under_the_chart_are_not_broken(api: Api, said: Said) -> None:
    bars = [bar("fit", "quick", 0, 30, run_id=f"{letter * 30}", is_new=False) for letter in "abc"]
    api.says(PLAN, {**api.example(PLAN), "subject": None, "bars": bars})
    lines = said("plan").splitlines()
    assert f"A = {'a' * 30}  B = {'b' * 30}" in lines
    assert f"C = {'c' * 30}" in lines


def test_of_a_pipeline_only_its_own_tasks_have_lines_and_of_the_queue_all(api: Api, said: Said) -> None:
    bars = [bar("own", "quick", 0, 30), bar("old", "quick", 5, 60, run_id="r-1", is_new=False, is_running=True)]
    api.says(PLAN, {**api.example(PLAN), "bars": bars})
    assert "old of r-1" not in said("plan")
    api.says(PLAN, {**api.example(PLAN), "subject": None, "bars": bars[1:]})
    row = next(" ".join(line.split()) for line in said("plan").splitlines() if line.startswith("old of r-1"))
    assert row == "old of r-1 quick runs 55.0 s - 1 min 20 s".replace("1 min 20 s", "80.0 s")


def test_of_very_many_tasks_the_first_are_told_and_the_rest_counted(api: Api, said: Said) -> None:
    api.says(PLAN, {**api.example(PLAN), "bars": [bar(f"t{number:02d}", "quick", number, 60) for number in range(30)]})
    text = said("plan")
    assert "t24" in text
    assert "t25" not in text
    assert "... and 5 more tasks, with --json" in text
    assert "... 24 more side by side" in text


def test_bytes_and_cost_are_told_where_they_are_known(api: Api, said: Said) -> None:
    assert "costs" not in said("plan")
    api.says(PLAN, {**api.example(PLAN), "bytes_moved": 3 * 2**20, "cost": 0.25})
    assert "3.0 MiB move between nodes  costs 0.2500 at the nodes' rates" in said("plan")


def test_tasks_of_other_runs_on_the_critical_path_are_told_apart(api: Api, said: Said) -> None:
    found = api.example(PLAN)
    (own,) = found["critical_path"]
    api.says(PLAN, {**found, "critical_path": [{**own, "run_id": "r-1", "task": "fit"}, {**own, "why": "room"}]})
    assert "critical path  fit of r-1@quick -> greet@quick" in said("plan")


def test_of_the_queue_every_task_on_the_critical_path_has_its_run_unless_all_are_of_one(api: Api, said: Said) -> None:
    found = {**api.example(PLAN), "subject": None}
    (own,) = found["critical_path"]
    api.says(PLAN, {**found, "critical_path": [{**own, "run_id": "r-1"}, {**own, "run_id": "r-2", "why": "room"}]})
    assert "critical path  greet of r-1@quick -> greet of r-2@quick" in said("plan")
    api.says(PLAN, {**found, "critical_path": [own]})
    assert "critical path  greet@quick" in said("plan")


def test_of_a_long_critical_path_the_last_tasks_are_told(api: Api, said: Said) -> None:
    found = api.example(PLAN)
    (step,) = found["critical_path"]
    api.says(PLAN, {**found, "critical_path": [{**step, "task": f"t{number}"} for number in range(400)]})
    text = " ".join(said("plan").split())
    assert "critical path 388 others -> t388@quick -> t389@quick" in text
    assert "-> t399@quick" in text


def test_what_it_does_to_other_runs_is_told(api: Api, said: Said) -> None:
    band = api.example(PLAN)["ends"]
    runs = [
        {"run_id": "r-1", "name": "a", "ends": band, "delay_seconds": 12.5},
        {"run_id": "r-2", "name": "b", "ends": band, "delay_seconds": None},
    ]
    api.says(PLAN, {**api.example(PLAN), "runs": runs})
    text = said("plan")
    assert "what it does to other runs" in text
    assert any(line.split() == ["r-1", "a", "+12.5", "s"] for line in text.splitlines())
    assert "r-2" not in text


def test_what_cannot_be_placed_is_told_with_its_reason(api: Api, said: Said) -> None:
    unplaced = [
        {"run_id": "the-plan", "task": "train", "reason": "no node can run it"},
        {"run_id": "r-1", "task": "fit", "reason": "no room"},
    ]
    api.says(PLAN, {**api.example(PLAN), "bars": [], "unplaced": unplaced, "bottleneck": "", "critical_path": []})
    text = said("plan")
    assert "not placed: train: no node can run it" in text
    assert "not placed: fit of r-1: no room" in text
    assert "|" not in text


def test_programs_get_json(api: Api, said: Said) -> None:
    assert json.loads(said("plan", "--json")) == api.example(PLAN)
