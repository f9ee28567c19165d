"""`mlopx-server solve PROBLEM.json`: the answer, the table, the exit codes, and the page that explains them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from server.cli.app import app
from server.exchange.reading import read_question
from server.planning.checking import flaws
from server.planning.schedule import Schedule
from server.solving.answering import known_placers

PROBLEM: dict[str, Any] = {
    "nodes": [{"name": "small", "cpus": 4}, {"name": "large", "cpus": 8, "accelerators": {"gpu": 1}}],
    "tasks": [
        {"name": "load", "run_seconds": {"small": 4, "large": 2}, "run": "r"},
        {
            "name": "train",
            "run": "r",
            "options": [
                {"name": "on-gpu", "run_seconds": {"large": 3}, "requests": {"accelerators": {"gpu": 1}}},
                {"name": "on-cpu", "run_seconds": {"small": 20, "large": 12}},
            ],
        },
        {"name": "report", "run_seconds": [1, None], "run": "r"},
    ],
    "edges": [["load", "train", 1e9], ["train", "report", 1e6]],
    "network": {"kind": "cards", "seconds_per_byte": [8e-9, 1e-9]},
    "runs": [{"name": "r", "submitted_seconds": -4}],
}


def solve(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["solve", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A problem file."""
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(PROBLEM))
    return path


def schedule_of(answer: dict[str, Any]) -> Schedule:
    """The answer's rows, its options by number."""
    modes = {"default": 0, "on-gpu": 0, "on-cpu": 1}
    rows = answer["tasks"]
    return Schedule(
        np.array([row["node_index"] for row in rows], np.int32),
        np.array([modes[row["option"]] for row in rows], np.int32),
        np.array([row["start"] for row in rows]),
        np.array([row["finish"] for row in rows]),
    )


@pytest.mark.parametrize("placer", known_placers())
def test_every_placer_answers_with_a_sound_schedule(file: Path, placer: str) -> None:
    result = solve(str(file), "--placer", placer, "--time-limit", "0.5", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert flaws(read_question(file).problem, schedule_of(answer)) == []
    assert answer["flaws"] == []
    assert (answer["placer"], answer["objective"]) == (placer, "makespan")
    assert answer["objective_value"] == answer["makespan_seconds"] == max(row["finish"] for row in answer["tasks"])
    assert answer["mean_turnaround_seconds"] == answer["makespan_seconds"] + 4
    assert answer["lower_bound"] <= answer["objective_value"]
    assert answer["makespan_with_sharing_seconds"] == pytest.approx(answer["makespan_seconds"])
    assert answer["seconds_used"] >= 0


def test_the_answer_names_node_option_run_and_times(file: Path) -> None:
    answer = json.loads(solve(str(file), "--placer", "exact", "--json").output)
    assert answer["proved"] is True
    assert answer["objective_value"] == pytest.approx(6.008, rel=1e-12)
    assert answer["tasks"][1] == {
        "task": "train",
        "task_index": 1,
        "run": "r",
        "node": "large",
        "node_index": 1,
        "option": "on-gpu",
        "start": 2.0,
        "finish": 5.0,
    }


def test_times_are_sums_of_the_numbers_given(tmp_path: Path) -> None:
    seconds = [[0.1, 7.3], [0.7, 9.9], [1 / 3, 8.0]]
    path = tmp_path / "chain.json"
    path.write_text(json.dumps({"run_seconds": seconds, "edges": [[0, 1], [1, 2]]}))
    for placer in ("anytime", "exact", "heft", "online", "srpt_eft"):
        rows = json.loads(solve(str(path), "--placer", placer, "--time-limit", "0.2", "--json").output)["tasks"]
        assert [row["finish"] for row in rows] == [0.1, 0.1 + 0.7, 0.1 + 0.7 + 1 / 3]


def test_the_objective_can_be_turnaround(file: Path) -> None:
    answer = json.loads(solve(str(file), "--objective", "turnaround", "--placer", "exact", "--json").output)
    assert answer["objective_value"] == answer["mean_turnaround_seconds"] == pytest.approx(10.008)
    assert answer["proved"] is True


def test_fairly_shared_cards_are_answered_as_predicted(tmp_path: Path) -> None:
    """Two transfers of 10 s each leave one card at once: together they take 20 s."""
    problem = {
        "run_seconds": [[1, None, None], [None, 1, None], [None, None, 1]],
        "edges": [[0, 1, 10], [0, 2, 10]],
        "network": {"kind": "cards", "seconds_per_byte": [1, 1, 1], "sharing": "max_min"},
    }
    path = tmp_path / "shared.json"
    path.write_text(json.dumps(problem))
    answer = json.loads(solve(str(path), "--placer", "heft", "--json").output)
    assert [row["finish"] for row in answer["tasks"]] == [1.0, 22.0, 22.0]
    problem["network"] = {"kind": "cards", "seconds_per_byte": [1, 1, 1]}
    path.write_text(json.dumps(problem))
    answer = json.loads(solve(str(path), "--placer", "heft", "--json").output)
    assert (answer["makespan_seconds"], answer["makespan_with_sharing_seconds"]) == (12.0, 22.0)


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({}, ["--placer", "best"], "there is no placer 'best'; known are: random_random, fifo_random, "),
        ({}, ["--objective", "fun"], "there is no objective 'fun'; there are: turnaround, makespan, mixed, "),
        ({"edges": [["load", "load"]]}, [], "edges: the tasks wait for each other in a circle: 1 of them"),
        (
            {"network": {"kind": "uniform", "seconds_per_byte": 1, "sharing": "one_port"}},
            ["--placer", "exact"],
            "the placer 'exact' knows only contention-free networks",
        ),
        (
            {
                "runs": [{"name": "r"}, {"name": "s", "priority": 1}],
                "tasks": [*PROBLEM["tasks"], {"name": "more", "run": "s", "run_seconds": [1, 1]}],
            },
            ["--placer", "exact"],
            "the placer 'exact' knows no priorities",
        ),
    ],
)
def test_what_cannot_be_asked_ends_with_two(
    file: Path, changes: dict[str, Any], arguments: list[str], said: str
) -> None:
    file.write_text(json.dumps({**PROBLEM, **changes}))
    result = solve(str(file), *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_the_table_fits_eighty_columns_whatever_the_names(file: Path) -> None:
    long = json.dumps(PROBLEM).replace('"load"', f'"{"l" * 90}"').replace('"large"', f'"{"n" * 90}"')
    file.write_text(long)
    lines = solve(str(file), "--placer", "heft").output.splitlines()
    assert lines[0].split() == ["task", "node", "option", "start", "s", "finish", "s"]
    assert max(map(len, lines[:4])) <= 80


def test_the_page_shows_what_the_command_prints(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (project_root / "docs" / "problem-files.md").read_text()
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"```console\n\$ mlopx-server (solve .*?)\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 2
    for command, printed in shown:
        output = solve(*command.split()[1:]).output
        assert re.sub(r"found in \S+ s", "found in SECONDS s", output) == printed


def test_the_page_names_every_part_and_every_key_of_the_answer(project_root: Path, file: Path) -> None:
    page = (project_root / "docs" / "problem-files.md").read_text()
    answer = json.loads(solve(str(file), "--placer", "heft", "--json").output)
    schema = json.loads((project_root / "docs" / "problem.schema.json").read_text())
    parts = schema["properties"].keys() - {"format", "name", "description"}
    wanted = {*parts, *answer, *answer["tasks"][0], *known_placers()} - {"placer", "objective", "seed"}
    assert {word for word in wanted if f"`{word}`" not in page} == set()
