"""The examples learn something: each is played from start to end, with less work than usual, and judged."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.domain.states import RunState, TaskState

Play = Callable[..., Any]


def test_segments_choose_the_family_that_did_best_train_it_test_it_and_sign_it(play: Play) -> None:
    played = play("segments", folds=2, publish=True, secrets={"model-registry/signing": "a key"})
    assert played.run.state is RunState.SUCCEEDED, played.run.error
    tried = {
        played.value(f"cross-validate.{i}", "family"): played.value(f"cross-validate.{i}", "accuracy") for i in range(3)
    }
    winner = played.value("choose", "family")
    assert tried[winner] == max(tried.values()) > 0.94

    fits = {"logistic": "fit-logistic", "forest": "fit-forest", "boosting": "fit-boosting"}
    states = played.states()
    assert {states[task] for family, task in fits.items() if family != winner} == {TaskState.SKIPPED}
    assert played.artifact(fits[winner], "model").metadata["family"] == winner

    assert played.value("split", "train_rows") + played.value("split", "test_rows") == 2086, "each patch is in one part"
    matrix = played.artifact("evaluate", "metrics").metadata["confusionMatrix"]
    assert sum(map(sum, matrix["matrix"])) == played.value("split", "test_rows")
    assert matrix["categories"] == ["brickface", "cement", "foliage", "grass", "path", "sky", "window"]
    assert played.value("evaluate", "accuracy") > 0.94

    signed = played.artifact("sign", "signed")
    expected = hmac.new(b"a key", Path(signed.uri).read_bytes(), hashlib.sha256).hexdigest()
    assert played.value("sign", "output") == signed.metadata["signature"] == expected


@pytest.mark.parametrize(("option", "hidden"), [("cpu", [64]), ("gpu", [256, 128])])
def test_digits_train_the_network_that_suits_the_option_they_got(play: Play, option: str, hidden: list[int]) -> None:
    played = play("digits", epochs=15, options={"train-network": option})
    assert played.run.state is RunState.SUCCEEDED, played.run.error
    model = played.artifact("train-network", "model")
    assert (model.metadata["option"], model.metadata["hidden"]) == (option, hidden)
    assert played.value("evaluate", "accuracy") > 0.93
    page = Path(played.artifact("draw-mistakes", "page").uri).read_text(encoding="utf-8")
    assert page.count("<figure>") == played.value("evaluate", "mistakes") > 0
    assert played.states()["reject"] is TaskState.SKIPPED


def test_digits_reject_a_network_that_was_hardly_trained(play: Play) -> None:
    played = play("digits", epochs=1, options={"train-network": "cpu"})
    assert played.run.state is RunState.SUCCEEDED, played.run.error
    assert played.states()["draw-mistakes"] is TaskState.SKIPPED
    assert played.states()["reject"] is TaskState.SUCCEEDED


def test_diamonds_keep_the_model_with_the_smallest_error(play: Play) -> None:
    played = play("diamonds", rows=8000, trials=4)
    assert played.run.state is RunState.SUCCEEDED, played.run.error
    errors = [played.value(f"fit.{trial}", "log_error") for trial in range(4)]
    winner = played.value("choose", "output")
    assert errors[winner] == min(errors)
    assert played.artifact("choose", "best").digest == played.artifact(f"fit.{winner}", "model").digest
    found = played.artifact("evaluate", "metrics").metadata
    assert found["rmse_log_price"] < 0.12 < found["rmse_log_price_of_the_mean"]
    table = Path(played.artifact("choose", "table").uri).read_text().splitlines()
    assert len(table) == 2 + 4
    assert f"{min(errors):.4f}" in table[2]


def test_diamonds_propose_the_same_settings_for_the_same_seed(play: Play) -> None:
    first, second = (play("diamonds", rows=500, trials=2, seed=7).value("propose", "output") for _ in range(2))
    assert first == second
    assert len(first) == 2


def test_languages_are_told_apart_better_by_longer_pieces(play: Play) -> None:
    played = play("languages", longest=3)
    assert played.run.state is RunState.SUCCEEDED, played.run.error
    pairs = played.value("recogniser/evaluate", "accuracy")
    pieces = played.value("recogniser-2/evaluate", "accuracy")
    assert 0.8 < pairs < pieces
    assert pieces > 0.9
    assert played.states()["recognise-by-pairs"] is TaskState.SKIPPED
    assert played.value("recognise-by-pieces", "output")[0] == "de"


def test_languages_use_the_shorter_pieces_when_the_longer_are_no_better(play: Play) -> None:
    played = play("languages", longest=2)
    assert played.states()["recognise-by-pieces"] is TaskState.SKIPPED
    assert played.value("recognise-by-pairs", "output")[0] == "de"


def test_bikes_are_forecast_better_than_by_repeating_last_week(play: Play) -> None:
    played = play("bikes", rounds=40)
    assert played.run.state is RunState.SUCCEEDED, played.run.error
    for window in range(6):
        metrics = json.loads(Path(played.artifact(f"forecast.{window}", "metrics").uri).read_text())
        assert metrics["model_error"] < metrics["weekly_error"]
    assert played.value("summarise", "model_error") < 38
    report = Path(played.artifact("report", "page").uri).read_text()
    assert report.startswith("# Bike forecasts")
    assert "**succeeded**" in report


def test_bikes_report_which_task_failed_and_why(play: Play) -> None:
    played = play("bikes", rounds=-1)
    assert played.run.state is RunState.FAILED
    report = Path(played.artifact("report", "page").uri).read_text()
    assert "**failed**" in report
    assert "task `forecast.0` failed" in report
