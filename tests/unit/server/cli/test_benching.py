"""`mlopx-server bench`: pairs of simulations, ratios with intervals, and bad names told in one sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.app import app
from server.cli.benching import compare, interval


def test_the_interval_is_students_around_the_geometric_mean() -> None:
    found = interval("here", "makespan", [0.5, 0.5, 2.0, 0.5, 0.5])
    assert found.ratio == pytest.approx(2 ** (-3 / 5))
    assert found.low == pytest.approx(found.ratio / 2 ** (2.776 * 0.4), rel=1e-3)
    assert found.high == pytest.approx(found.ratio * 2 ** (2.776 * 0.4), rel=1e-3)


def test_a_strategy_equals_itself_in_every_figure() -> None:
    found = compare("original-a", "fifo_round_robin", "fifo_round_robin", 2)
    assert {one.figure for one in found} == {"mean turnaround", "p95 turnaround", "makespan"}
    assert {(one.ratio, one.low, one.high) for one in found} == {(1.0, 1.0, 1.0)}


def test_a_strategy_that_ignores_the_nodes_is_worse_than_one_that_waits_for_the_quick_ones() -> None:
    turnaround = compare("original-a", "srpt_eft", "random_random", 5)[0]
    assert turnaround.ratio < 0.9
    assert turnaround.high < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--placer", "nobody"], "there is no placer 'nobody'"),
        (["--placer", "custom", "--scenario", "nowhere"], "there is no scenario 'nowhere'"),
    ],
)
def test_a_wrong_name_is_told_in_a_sentence(arguments: list[str], said: str) -> None:
    ended = CliRunner().invoke(app, ["bench", *arguments])
    assert ended.exit_code == 2
    assert said in ended.output


def test_fewer_than_five_seeds_are_no_comparison() -> None:
    assert CliRunner().invoke(app, ["bench", "--placer", "custom", "--seeds", "4"]).exit_code == 2


def test_the_answer_can_be_had_as_json() -> None:
    ended = CliRunner().invoke(
        app, ["bench", "--placer", "fifo_greedy", "--against", "custom", "--scenario", "original-a", "--json"]
    )
    assert ended.exit_code == 0
    assert {one["seeds"] for one in json.loads(ended.stdout)} == {5}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of public data with two graphs and two streams."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "online").mkdir()
    line = {
        "id": 0,
        "arrival": {"0.7": 1.0, "0.95": 1.0, "1.3": 1.0},
        "seconds_by_type": [[8, 4, 2, 1], [9, 4, 2, 1]],
        "after": [[], [0]],
    }
    for number in range(2):
        graph = {"run_seconds": [[9, 1], [2, 8 + number]], "edges": [[0, 1, 2.0]], "seconds_per_byte": [[0, 1], [1, 0]]}
        with gzip.open(tmp_path / "dags" / f"{number}.json.gz", "wt") as file:
            json.dump(graph, file)
        with gzip.open(tmp_path / "online" / f"stream-{number}.jsonl.gz", "wt") as file:
            file.write(json.dumps(line) + "\n")
    monkeypatch.setenv("MLOPX_BENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("table", "figures"), [("graphs", 1), ("stream-0.95", 3)])
def test_tables_of_public_data_have_a_pair_per_instance(data: Path, table: str, figures: int) -> None:
    asked = ["bench", "--placer", "srpt_eft", "--against", "random_random", "--table", table, "--json"]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert [(one["scenario"], one["seeds"]) for one in found] == [(table, 2)] * figures
    assert all(one["ratio"] <= 1 for one in found)


def test_without_data_the_rest_is_measured_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLOPX_BENCH_DATA", raising=False)
    monkeypatch.setattr("server.cli.benching.SCENARIOS", ("original-a",))
    ended = CliRunner().invoke(app, ["bench", "--placer", "custom", "--against", "fifo_greedy"])
    assert ended.exit_code == 0
    assert "MLOPX_BENCH_DATA is not set: only scenarios that come with the server, without gpu-cluster" in ended.stderr
    assert "original-a" in ended.stdout
