"""What the commands that show something print: runs, one run, logs, events, the queue, nodes, strategies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
RUN = "churn-vpud6est2e"
RUN_PATH = f"/api/v1/runs/{RUN}"
DETAIL = "GET /api/v1/runs/{run_id}"
EXPLAIN = "GET /api/v1/runs/{run_id}/explain"
QUEUE = "GET /api/v1/queue"


def rows(text: str) -> list[list[str]]:
    """Lines in words."""
    return [line.split() for line in text.splitlines() if line.strip()]


def many(api: Api, count: int, **more: Any) -> list[dict[str, Any]]:
    """So many runs in the list."""
    (one,) = api.example("GET /api/v1/runs")["runs"]
    return [{**one, "id": f"run-{number}", **more} for number in range(count)]


def test_runs_are_listed_with_their_state_and_times(api: Api, said: Said) -> None:
    head, row = rows(said("runs"))
    assert head[:2] == ["run", "state"]
    assert row[:2] == [RUN, "succeeded"]
    assert row[-6:] == ["0.0", "s", "4.3", "s", "4.4", "s"]


@pytest.mark.parametrize(
    ("letters", "columns", "heads"),
    [
        (18, 80, ["run", "state", "submitted", "waiting", "turnaround"]),
        (33, 80, ["run", "state", "submitted", "turnaround"]),
        (45, 80, ["run", "state", "turnaround"]),
        (45, 120, ["run", "state", "submitted", "waiting", "execution", "turnaround"]),
    ],
)
def test_ids_of_runs_stay_whole_and_columns_go_where_these_do_not_fit(
    api: Api, said: Said, letters: int, columns: int, heads: list[str]
) -> None:
    (one,) = api.example("GET /api/v1/runs")["runs"]
    api.says("GET /api/v1/runs", {"runs": [{**one, "id": "r" * letters, "waiting_seconds": 3601}], "next": None})
    head, row = rows(said("runs", columns=columns))
    assert [word for word in head if not word.startswith("(")] == heads
    assert row[0] == "r" * letters


def test_where_there_are_no_runs_the_first_step_is_told(api: Api, said: Said) -> None:
    api.says("GET /api/v1/runs", {"runs": [], "next": None})
    assert "no runs yet; submit one: mlopx submit FILE" in said("runs")


def test_more_runs_than_a_page_holds_are_asked_for_page_by_page(api: Api, said: Said) -> None:
    pages = [{"runs": many(api, 200), "next": "further"}, {"runs": many(api, 50), "next": None}]
    api.says("GET /api/v1/runs", *pages)
    assert len(json.loads(said("runs", "--limit", "300", "--json"))) == 250
    assert api.queries("/api/v1/runs") == [{"limit": "200"}, {"limit": "100", "cursor": "further"}]


def test_what_is_asked_for_is_handed_to_the_server(api: Api, said: Said) -> None:
    said("runs", "--state", "failed", "--name", "churn", "--project", "ads", "--limit", "3")
    assert api.queries("/api/v1/runs") == [{"state": "failed", "name": "churn", "project": "ads", "limit": "3"}]


def test_a_run_is_shown_with_its_tasks_their_nodes_and_what_they_gave(api: Api, said: Said) -> None:
    text = said("show", RUN)
    assert f"run {RUN}  succeeded" in text
    assert "parameters  name='world'" in text
    assert ["greet", "succeeded", "quick", "1", "4.3", "s", "output=hello", "world"] in rows(text)


def test_a_remark_on_what_a_task_asks_for_comes_with_its_run(api: Api, said: Said) -> None:
    assert "warning: greet asks for 8.0 GiB of memory" in said("show", RUN)


def test_a_run_that_was_left_to_the_platform_says_so(api: Api, said: Said) -> None:
    api.says(DETAIL, {**api.example(DETAIL), "is_holdout": True})
    assert "left to the platform's own scheduler (holdout)" in said("show", RUN)


def test_an_offer_of_a_new_placement_is_shown_with_its_doubts_and_command(api: Api, said: Said) -> None:
    offer = {"at": "2026-01-31T12:00:00Z", "nodes": {"train": "b"}, "reason": "train waits", "doubts": ["it repeats"]}
    api.says(DETAIL, {**api.example(DETAIL), "state": "running", "finished_at": None, "offer": offer})
    text = said("show", RUN)
    assert "train waits" in text
    assert "but it repeats" in text
    assert f"place it anew: mlopx replace {RUN}" in text


def failed(api: Api, **error: Any) -> dict[str, Any]:
    """The run, of which `greet` failed."""
    detail: dict[str, Any] = {**api.example(DETAIL), "state": "failed", "error": "greet failed"}
    task = detail["tasks"][0]
    task["state"] = "failed"
    task["attempts"][0]["error"] = {"kind": "user-code", "message": "bad luck", "traceback": "", "hint": "", **error}
    return detail


def test_a_failure_is_shown_with_its_cause_the_end_of_its_log_and_what_to_do(api: Api, said: Said) -> None:
    api.says(DETAIL, failed(api, hint="try a better day"))
    text = said("show", RUN)
    assert "  cause: bad luck" in text
    assert "  hint:  try a better day" in text
    assert "  | greeting world" in text
    assert f"next: `mlopx retry {RUN} --from greet` or\n    `mlopx rerun {RUN} greet --local`" in text


@pytest.mark.parametrize(("error", "end"), [("cancelled by ann", "\ncancelled: by ann\n"), ("", "\ncancelled\n")])
def test_a_cancelled_run_says_why_where_that_is_known(api: Api, said: Said, error: str, end: str) -> None:
    api.says(DETAIL, {**api.example(DETAIL), "state": "cancelled", "error": error})
    assert said("show", RUN).endswith(end)


def test_markup_in_what_users_wrote_is_only_text(api: Api, said: Said) -> None:
    api.says(DETAIL, {**api.example(DETAIL), "parameters": {"name": "[bold]x[/bold]"}})
    assert "name='[bold]x[/bold]'" in said("show", RUN)


def chosen(api: Api, *states: str) -> dict[str, Any]:
    """The run with one task in each of the states, named by it."""
    detail: dict[str, Any] = api.example(DETAIL)
    detail["tasks"] = [{**detail["tasks"][0], "key": f"in-{state}", "state": state} for state in states]
    return detail


@pytest.mark.parametrize(
    ("states", "task"),
    [
        (("succeeded",), "in-succeeded"),
        (("succeeded", "failed", "running"), "in-failed"),
        (("succeeded", "running", "pending"), "in-running"),
    ],
)
def test_without_a_task_the_log_is_of_the_one_that_is_meant(
    api: Api, said: Said, states: tuple[str, ...], task: str
) -> None:
    api.says(DETAIL, chosen(api, *states))
    assert said("logs", RUN) == "greeting world\n"
    assert api.queries(f"{RUN_PATH}/logs")[0]["task"] == task


def test_where_several_tasks_could_be_meant_their_names_are_told(api: Api, mlopx_command: Command) -> None:
    api.says(DETAIL, chosen(api, *["succeeded"] * 9))
    ended = mlopx_command("logs", RUN)
    assert ended.exit_code == 2
    assert f"run {RUN} has several tasks: in-succeeded" in ended.stderr
    assert ended.stderr.count("in-succeeded") == 8
    assert f"hint: say which: `mlopx logs {RUN} TASK`" in ended.stderr


def test_a_run_without_tasks_has_no_log(api: Api, mlopx_command: Command) -> None:
    api.says(DETAIL, chosen(api))
    ended = mlopx_command("logs", RUN)
    assert (ended.exit_code, "none began before it ended" in ended.stderr) == (2, True)


def test_a_followed_log_goes_on_until_the_task_ends(api: Api, said: Said) -> None:
    pieces = [
        {"text": "one\n", "next_offset": 4, "is_end": False, "attempt": 2, "node": "quick"},
        {"text": "", "next_offset": 4, "is_end": False, "attempt": 2, "node": "quick"},
        {"text": "two\n", "next_offset": 8, "is_end": True, "attempt": 2, "node": "quick"},
    ]
    api.says("GET /api/v1/runs/{run_id}/logs", *pieces)
    assert said("logs", RUN, "greet", "--follow", "--attempt", "2") == "one\ntwo\n"
    asked = api.queries(f"{RUN_PATH}/logs")
    assert [one["offset"] for one in asked] == ["0", "4", "4"]
    assert all(one["attempt"] == "2" for one in asked)


def test_a_log_as_json_names_its_run_and_task(api: Api, said: Said) -> None:
    assert json.loads(said("logs", RUN, "greet", "--json")) == {
        "run_id": RUN,
        "task": "greet",
        "text": "greeting world\n",
    }


def test_a_runs_story_is_told_event_by_event_over_all_pages(api: Api, said: Said) -> None:
    (event,) = api.example("GET /api/v1/runs/{run_id}/events")["events"]
    placed = {**event, "id": 2, "kind": "task-placed", "task": "greet", "data": {"node": "quick", "outputs": {"x": 1}}}
    placed["data"]["planned_start_at"] = "2026-01-31T12:00:05.123Z"
    pages = [{"events": [event], "next": 1}, {"events": [placed], "next": None}]
    api.says("GET /api/v1/runs/{run_id}/events", *pages)
    told = rows(said("events", RUN))
    assert told[1] == ["1", "12:00:00.000", "run-submitted", "name=churn"]
    assert told[2] == ["2", "12:00:00.000", "task-placed", "greet", "node=quick,", "planned_start_at=12:00:05"]


def test_in_a_narrow_terminal_what_waits_has_two_lines_and_the_rest_of_its_run_one(api: Api, said: Said) -> None:
    found = api.example(QUEUE)
    (ready,) = found["tasks"]
    later = {**ready, "state": "pending", "waiting": {**ready["waiting"], "kind": "dependency"}}
    found["tasks"] += [{**later, "position": number, "task": f"t{number}"} for number in (2, 3)]
    api.says(QUEUE, found)
    text = said("queue")
    assert text.splitlines()[0] == "  1  train of segments-a6use3jjke"
    assert "waits for a new node: it needs 1 CPU" in text
    assert "it has waited 2.5 s" in text
    assert "segments-a6use3jjke: 2 tasks wait for earlier ones" in text
    assert text.endswith("no start is predicted until every task of a run has run here once\n")


def test_in_a_wide_terminal_every_task_that_waits_has_a_line(api: Api, said: Said) -> None:
    text = said("queue", columns=160)
    head, row, *_ = rows(text)
    assert head == ["#", "run", "task", "waited", "starts", "in", "why"]
    assert row[:5] == ["1", "segments-a6use3jjke", "train", "2.5", "s"]


def test_a_start_that_is_predicted_is_told_once(api: Api, said: Said) -> None:
    found = api.example(QUEUE)
    band = {"p10": "2099-01-01T00:00:00Z", "p50": "2099-01-01T00:00:00Z", "p90": "2099-01-01T00:00:00Z"}
    found["tasks"][0] |= {"starts": band, "ends": band}
    api.says(QUEUE, found)
    text = said("queue")
    assert text.count("; starts in ") == 1
    assert "no start is predicted" not in text


def test_a_queue_that_is_empty_says_so_and_a_strategy_that_is_prepared_too(api: Api, said: Said) -> None:
    api.says(QUEUE, {"tasks": [], "preparing": "the strategy anytime is being prepared"})
    assert said("queue") == "note: the strategy anytime is being prepared\nnothing waits\n"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ready"),
        ({"is_schedulable": False}, "cordoned"),
        ({"is_ready": False}, "down"),
        ({"is_virtual": True}, "to"),
    ],
)
def test_nodes_are_shown_with_what_is_free_and_runs_there(
    api: Api, said: Said, changes: dict[str, Any], state: str
) -> None:
    found = api.example("GET /api/v1/nodes")
    found["nodes"][0] |= {**changes, "running": [{"run_id": "r", "task": "fit"}]}
    found["problems"] = {"prometheus": "it does not answer"}
    api.says("GET /api/v1/nodes", found)
    text = said("nodes", columns=120)
    row = rows(text)[1]
    assert row[:2] == ["quick", state]
    assert "2 of 2" in text
    assert row[-3:] == ["fit", "of", "r"]
    assert "warning: source prometheus: it does not answer" in text


def test_strategies_to_choose_from_name_the_one_in_use(api: Api, said: Said) -> None:
    text = said("placers", "--all", columns=120)
    assert rows(text)[1][:3] == ["fifo_greedy", "in", "use"]
    assert api.queries("/api/v1/placers") == [{"all": "true"}]


@pytest.mark.parametrize("words", [("runs",), ("show", RUN), ("events", RUN), ("queue",), ("nodes",), ("placers",)])
def test_programs_get_json_of_everything_that_is_shown(api: Api, said: Said, words: tuple[str, ...]) -> None:
    assert json.loads(said(*words, "--json"))
