"""What `mlopx report` says of savings: measured with its interval, simulated and called so, or nothing at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
REPORT = "GET /api/v1/report"


def rows(text: str) -> list[str]:
    """Lines with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


def simulated(api: Api, **more: Any) -> dict[str, Any]:
    """A report of a server that leaves no runs out."""
    found = {
        "runs": 30,
        "strategy": "online",
        "change": -0.2,
        "simulator_error": 0.04,
        "simulator_error_of_runs": 0.1,
        "turnaround_mean_seconds": 80.0,
        "baseline_turnaround_mean_seconds": 130.0,
        "saved": {"turnaround_seconds": -1500.0, "node_hours": -0.001, "gpu_hours": 0.5, "money": None},
        "slower_runs": 1,
        "slower": [{"run_id": "a-1", "factor": 1.25}],
        "warnings": ["the simulator errs by 30 %"],
        "assumptions": [],
    }
    report: dict[str, Any] = {**api.example(REPORT), "kind": "simulated", "measured": None, "simulated": found}
    return {**report, "sentence": "simulated, not measured: mean turnaround -20 %", **more}


def test_a_measured_saving_is_told_with_its_interval_by_figure_and_by_pipeline(said: Said) -> None:
    text = said("report")
    assert text.startswith("measured: mean turnaround 18 s less than when left to the platform")
    lines = rows(text)
    assert "turnaround 41.3 s 58.9 s -30 % -24.9 to -10.2 s" in lines
    assert "GPU-hours 0.000 0.000 - +0.000 to +0.000" in lines
    assert any(line.startswith("money EUR 0.010 0.010 -30 % +0.010 to") for line in lines)
    assert "churn 180 21 -30 %" in lines
    saved = "saved in all by 180 placed runs: 52 min 48 s of turnaround, 0.11 node-hours, 0.00 GPU-hours, 0.08 EUR"
    assert saved in " ".join(text.split())


def test_the_runs_made_slower_are_told_too(said: Said) -> None:
    text = " ".join(said("report").split())
    assert "9 runs took longer than runs like them do when left out: churn-vpud6est2e (1.4 times)" in text


def test_what_is_not_among_the_runs_is_counted(said: Said) -> None:
    text = said("report")
    assert "203 runs succeeded since 2025-12-12" in text
    assert "not among them: 4 not over" in text


def test_a_simulated_saving_is_called_so_with_its_warnings(api: Api, said: Said) -> None:
    api.says(REPORT, simulated(api))
    text = " ".join(said("report").split())
    assert text.startswith("simulated, not measured")
    assert "simulated 30 runs: 80.0 s a run, 2 min 10 s without the strategy" in text
    assert "saved in all: -25 min 00 s of turnaround, 0.00 node-hours, 0.50 GPU-hours" in text
    assert "warning: the simulator errs by 30 %" in text
    assert "1 run would have been quicker without it: a-1 (1.2 times)" in text
    assert "measured, " not in text


def test_where_nothing_can_be_said_only_that_is(api: Api, said: Said) -> None:
    none = {**api.example(REPORT), "kind": "none", "measured": None, "sentence": "nothing can be said: no runs"}
    api.says(REPORT, {**none, "totals": {"runs": 1, "node_hours": 0, "gpu_hours": 0, "money": None, "others": {}}})
    assert (
        said("report")
        == "nothing can be said: no runs\n1 run succeeded since 2025-12-12: 0.00 node-hours, 0.00 GPU-hours\n"
    )


def test_a_simulation_is_waited_for(api: Api, said: Said) -> None:
    working = simulated(api, status="working", simulated=None, sentence="it is being simulated")
    api.says(REPORT, working, working, simulated(api))
    assert said("report").startswith("simulated, not measured")
    assert len(api.asked) == 3


def test_who_does_not_want_to_wait_is_told_what_there_is(api: Api, said: Said) -> None:
    api.says(REPORT, simulated(api, status="working", simulated=None, sentence="it is being simulated"))
    assert said("report", "--no-wait").startswith("it is being simulated")
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("words", "days"), [((), "30"), (("--month",), "30"), (("--since", "7d"), "7"), (("--since", "90"), "90")]
)
def test_how_far_back_is_told_in_days(api: Api, said: Said, words: tuple[str, ...], days: str) -> None:
    said("report", *words)
    assert api.queries("/api/v1/report") == [{"days": days}]


@pytest.mark.parametrize("text", ["soon", "0d", "-1d", "7h", "9999d"])
def test_what_is_no_number_of_days_is_refused(api: Api, mlopx_command: Command, text: str) -> None:
    ended = mlopx_command("report", "--since", text)
    assert ended.exit_code == 2
    assert ended.stderr == f"error: --since {text!r} is no number of days\n  hint: write it like 7d\n"
    assert api.asked == []


def test_how_far_back_is_said_once(mlopx_command: Command) -> None:
    ended = mlopx_command("report", "--since", "7d", "--month")
    assert ended.exit_code == 2
    assert "say --since or --month, not both" in ended.stderr


def test_programs_get_the_report_as_it_is(api: Api, said: Said) -> None:
    assert json.loads(said("report", "--json")) == api.example(REPORT)
