"""What `mlopx strategies` says of strategies that run beside the live one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
ALL, ONE = "GET /api/v1/strategies/shadows", "GET /api/v1/strategies/shadows/{name}"


def test_every_shadow_is_told_with_how_often_it_agrees_and_what_it_predicts(said: Said) -> None:
    lines = [" ".join(line.split()) for line in said("strategies").splitlines()]
    assert lines[0] == "in use: online"
    assert lines[2] == "heft 79 % +6 % 48 31 0"
    assert lines[3] == "predicted: mean turnaround against the one in use; below 0 is quicker"


def test_what_a_shadow_failed_with_is_told(api: Api, said: Said) -> None:
    found = api.example(ALL)
    found["shadows"][0] |= {"problem": "it was late", "agreement": None, "predicted_difference": None}
    api.says(ALL, found)
    text = said("strategies")
    assert "heft failed last with: it was late" in text
    assert " - " in text


def test_where_no_shadow_runs_the_setting_is_named(api: Api, said: Said) -> None:
    api.says(ALL, {"live": "online", "shadows": []})
    assert said("strategies") == (
        "in use: online\nno other strategy runs beside it: the server's setting SHADOW names some\n"
    )


def test_one_shadow_is_told_cycle_by_cycle_with_where_they_differ_first(said: Said) -> None:
    text = said("strategies", "heft")
    assert " ".join(text.split()).startswith(
        "heft beside online: the same node for 79 % of 212 tasks, predicted turnaround +6 %"
    )
    assert [" ".join(line.split()) for line in text.splitlines()][-1] == (
        "12:00:04 17 5 6 41.2 s 43.7 s greet: quick / slow"
    )


def test_a_shadow_that_was_never_compared_has_no_table(api: Api, said: Said) -> None:
    found = {**api.example(ONE), "tasks": 0, "agreement": None, "predicted_difference": None, "newest": []}
    api.says(ONE, found)
    assert "cycle" not in said("strategies", "heft")


def test_names_travel_whole(api: Api, mlopx_command: Command) -> None:
    mlopx_command("strategies", "a:b c")
    assert api.asked[0].url.raw_path.endswith(b"/shadows/a%3Ab%20c")


def test_programs_get_json(api: Api, said: Said) -> None:
    assert json.loads(said("strategies", "--json")) == api.example(ALL)
    assert json.loads(said("strategies", "heft", "--json")) == api.example(ONE)
