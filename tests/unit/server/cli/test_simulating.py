"""`mlopx-server simulate`: table, JSON, figures, and one sentence for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.app import app

SCENARIO = """
[generator]
kind = "online"
pipelines = 6
[[cluster.node]]
kind = "a"
count = 2
[[server]]
placer = "fifo_greedy"
[[server]]
name = "by name"
placer = "kubernetes"
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(SCENARIO)
    return str(path)


def test_a_scenario_ends_in_a_table_of_80_columns(scenario: str) -> None:
    result = CliRunner().invoke(app, ["simulate", scenario])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["wait", "server", "fifo_greedy", "by"]
    assert max(map(len, lines)) <= 80


def test_json_holds_every_run_and_task_and_the_measures(scenario: str) -> None:
    result = CliRunner().invoke(app, ["simulate", scenario, "--json", "--seeds", "2", "--placer", "fifo_random"])
    (server,) = json.loads(result.stdout)["servers"]
    assert server["name"] == "fifo_random"
    assert [one["seed"] for one in server["seeds"]] == [0, 1]
    first = server["seeds"][0]
    assert len(first["runs"]) == first["measures"]["runs"] == 6
    turnarounds = [run["turnaround_seconds"] for run in first["runs"]]
    assert first["measures"]["turnaround"]["mean"] == pytest.approx(sum(turnarounds) / 6)
    assert {task["run_id"] for task in first["tasks"]} == {run["run_id"] for run in first["runs"]}


def test_figures_are_written(scenario: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = CliRunner().invoke(app, ["simulate", scenario, "--figures", str(tmp_path / "out")])
    assert result.exit_code == 0
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["gantt.png", "queue.png", "turnaround.png", "utilisation.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "there is no scenario 'nope'"),
        (["online", "--placer", "srtp"], "there is no placer 'srtp'"),
        (["gpu-cluster"], "MLOPX_BENCH_DATA is not set"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLOPX_BENCH_DATA", raising=False)
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("placer", ["online", "kubernetes"])
def test_the_same_scenario_twice_gives_the_same_bytes(scenario: str, placer: str) -> None:
    asked = ["simulate", scenario, "--json", "--placer", placer]
    first, second = (CliRunner().invoke(app, asked).stdout for _ in range(2))
    assert first == second
    assert '"cost"' not in first
    assert '"cost"' in CliRunner().invoke(app, [*asked, "--costs"]).stdout
