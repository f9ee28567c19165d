"""`mlopx-server bench`: pairs of simulations, ratios with intervals, and bad names told in one sentence."""

from __future__ import annotations

import json

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
