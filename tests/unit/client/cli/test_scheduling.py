"""Schedules on the command line: what is sent to the server, and how schedules are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
ADDRESS = "/api/v1/schedules"


def firing(outcome: str, **more: Any) -> dict[str, Any]:
    return {"due_at": "2026-05-04T04:30:00+00:00", "outcome": outcome, "run_id": None, "reason": "", **more}


def test_only_what_was_said_is_sent(api: Api, said: Said, file: Path) -> None:
    assert said("schedule", str(file), "--cron", "30 6 * * 1-5") == "schedule nightly: first at 2026-05-04 04:30 UTC\n"
    (body,) = api.bodies(ADDRESS)
    assert body["spec"]["name"] == "flow"
    assert {name: body[name] for name in body if name != "spec"} == {
        "cron": "30 6 * * 1-5",
        "zone": "UTC",
        "parameters": {},
        "options": {},
        "overlap": "Forbid",
        "missed": "last",
        "most_missed": 10,
    }


def test_everything_that_can_be_said_arrives_in_the_units_of_the_server(api: Api, said: Said, file: Path) -> None:
    words = ["--tz", "Europe/Berlin", "--name", "mine", "-p", "depth=5", "--overlap", "Replace", "--missed", "all"]
    words += ["--most-missed", "3", "--webhook", "http://127.0.0.1/x", "--late-after", "30m", "--priority", "2"]
    said("schedule", str(file), "--cron", "0 * * * *", *words, "--project", "ads", "--deadline", "2h", "--no-cache")
    (body,) = api.bodies(ADDRESS)
    assert (body["zone"], body["name"], body["parameters"]) == ("Europe/Berlin", "mine", {"depth": 5})
    assert (body["overlap"], body["missed"], body["most_missed"]) == ("Replace", "all", 3)
    assert (body["webhook"], body["late_seconds"]) == ("http://127.0.0.1/x", 1800)
    assert body["options"] == {"priority": 2, "project": "ads", "deadline_seconds": 7200, "is_caching": False}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--late-after", "soon"), "--late-after: 'soon' is not a time span"),
        (("--deadline", "soon"), "the deadline: 'soon' is not a time span"),
        (("-p", "depth=deep"), "parameter 'depth' expects int, not 'deep'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    api: Api, mlopx_command: Command, file: Path, words: tuple[str, ...], says: str
) -> None:
    ended = mlopx_command("schedule", str(file), "--cron", "0 * * * *", *words)
    assert (ended.exit_code, api.asked) == (2, [])
    assert ended.stderr.startswith(f"error: {says}")


def test_what_the_server_refuses_is_told_in_its_words(api: Api, mlopx_command: Command, file: Path) -> None:
    api.says(f"POST {ADDRESS}", {"detail": "'x' is no cron expression", "hint": "write five fields"}, status=422)
    ended = mlopx_command("schedule", str(file), "--cron", "x")
    assert ended.exit_code == 4
    assert ended.stderr == "error: 'x' is no cron expression\n  hint: write five fields\n"


def test_schedules_are_listed_with_when_they_are_next_and_what_became_of_the_last(api: Api, said: Said) -> None:
    found = api.example(f"GET {ADDRESS}")
    (one,) = found["schedules"]
    last = [firing("submitted", run_id="flow-a1")]
    paused = {**one, "name": "resting", "is_paused": True, "next_at": None, "firings": last}
    api.says(f"GET {ADDRESS}", {"schedules": [one, paused, {**one, "name": "over", "next_at": None}]})
    lines = [" ".join(line.split()) for line in said("schedules", columns=140).splitlines()]
    assert lines[1] == "nightly 30 6 * * 1-5 Europe/Berlin Forbid 2026-05-04 04:30 UTC"
    assert lines[2] == "resting 30 6 * * 1-5 Europe/Berlin Forbid paused submitted flow-a1"
    assert lines[3].endswith("Forbid never")


def test_where_there_are_no_schedules_the_first_step_is_told(api: Api, said: Said) -> None:
    api.says(f"GET {ADDRESS}", {"schedules": []})
    assert said("schedules") == 'no schedules yet; make one: mlopx schedule FILE --cron "30 6 * * 1-5"\n'


def test_one_schedule_is_shown_with_what_became_of_its_times(api: Api, said: Said) -> None:
    found = api.example(f"GET {ADDRESS}/{{name}}")
    last = [firing("submitted", run_id="flow-a1"), firing("skipped", reason="flow-a0 is not over")]
    api.says(f"GET {ADDRESS}/{{name}}", {**found, "firings": last})
    assert said("schedules", "show", "nightly").splitlines() == [
        "schedule nightly: 30 6 * * 1-5 (Europe/Berlin), next at 2026-05-04 04:30 UTC",
        "  2026-05-04 04:30 UTC  submitted  flow-a1",
        "  2026-05-04 04:30 UTC  skipped    flow-a0 is not over",
    ]


@pytest.mark.parametrize(
    ("word", "method", "address", "says"),
    [
        ("pause", "POST", b"/api/v1/schedules/a%2Fb/pause", "schedule a/b is paused"),
        ("resume", "POST", b"/api/v1/schedules/a%2Fb/resume", "schedule a/b goes on"),
        ("delete", "DELETE", b"/api/v1/schedules/a%2Fb", "schedule a/b is forgotten; its runs stay"),
    ],
)
def test_a_schedule_is_changed_by_its_whole_name(
    api: Api, said: Said, word: str, method: str, address: bytes, says: str
) -> None:
    assert said("schedules", word, "a/b") == f"{says}\n"
    (asked,) = api.asked
    assert (asked.method, asked.url.raw_path) == (method, address)


@pytest.mark.parametrize("words", [("schedules",), ("schedules", "show", "nightly"), ("schedules", "pause", "nightly")])
def test_programs_get_json(said: Said, words: tuple[str, ...]) -> None:
    assert json.loads(said(*words, "--json"))
