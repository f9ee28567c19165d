"""The live view of a run: what runs first, what it waits for, when it is done, and what is to come."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from mlopx.cli.watching import picture, so_far

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
RUN = "churn-vpud6est2e"
DETAIL, EVENTS = "GET /api/v1/runs/{run_id}", "GET /api/v1/runs/{run_id}/events"
EXPLAIN = "GET /api/v1/runs/{run_id}/explain"


def ahead(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()  # noqa: TID251 - the view is of the present


def drawn(*given: Any, width: int = 80) -> str:
    """A frame as a terminal of that width shows it."""
    out = Console(width=width, highlight=False)
    with out.capture() as caught:
        out.print(picture(given[0], given[1], width, *given[2:]))
    assert max(len(line.rstrip()) for line in caught.get().splitlines()) <= width
    return caught.get()


@pytest.fixture
def nodes(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.example("GET /api/v1/nodes")["nodes"]
    return found


@pytest.fixture
def live(api: Api) -> dict[str, Any]:
    """The run of the examples while `train` runs."""
    detail: dict[str, Any] = {**api.example(DETAIL), "state": "running", "finished_at": None}
    detail |= {"submitted_at": ahead(-30), "turnaround_seconds": None}
    greet, train = detail["tasks"]
    greet["attempts"][0] |= {"started_at": ahead(-30), "finished_at": ahead(-20)}
    train["state"] = "running"
    train["attempts"][0] |= {"state": "running", "started_at": ahead(-20), "finished_at": None, "run_seconds": None}
    return detail


def explained(api: Api, **train: Any) -> dict[str, Any]:
    """The run explained, with a line on `train`."""
    found: dict[str, Any] = api.example(EXPLAIN)
    (line,) = found["tasks"]
    said = {**line, "task": "train", "state": "running", "sentence": "train runs on quick since 12:00, chosen by heft."}
    return {**found, "tasks": [line, {**said, **train}]}


def test_what_runs_stands_first_with_why_it_is_there(api: Api, live: Any, nodes: Any) -> None:
    lines = drawn(live, nodes, explained(api)).splitlines()
    assert lines[0].startswith(f"run {RUN}  running  1 of 2 tasks done  30.")
    rows = [line.split() for line in lines[2:5]]
    assert rows[0] == ["task", "state", "node", "why"]
    assert rows[1] == ["train", "running", "quick", "since", "12:00,", "chosen", "by", "heft"]
    assert rows[2][:3] == ["greet", "succeeded", "quick"]


def test_when_it_is_done_is_told_once_that_is_known(api: Api, live: Any, nodes: Any) -> None:
    ends = {"p10": ahead(60.5), "p50": ahead(70), "p90": ahead(80.5)}
    assert " done in " not in drawn(live, nodes, explained(api))
    assert "  done in 60." in drawn(live, nodes, {**explained(api), "ends": ends})


def test_of_what_runs_it_is_told_first_when_it_is_done(api: Api, live: Any, nodes: Any) -> None:
    ends = {"p10": ahead(5.5), "p50": ahead(7), "p90": ahead(30.5)}
    text = drawn(live, nodes, explained(api, ends=ends, why="chosen by heft"))
    (row,) = [" ".join(line.split()) for line in text.splitlines() if line.startswith("train")]
    assert re.fullmatch(r"train running quick done in 5\.\d to 30\.\d s, chosen by heft", row)


def test_the_rest_of_what_runs_is_drawn_as_expected(api: Api, live: Any, nodes: Any) -> None:
    assert ". = expected" not in drawn(live, nodes, explained(api))
    said = explained(api, ends={"p10": ahead(20), "p50": ahead(30), "p90": ahead(40)})
    text = drawn(live, nodes, said)
    chart = next(line for line in text.splitlines() if line.startswith("quick  |"))
    assert chart.rindex("A") < chart.index(".")
    assert ". = expected" in text


def test_what_waits_says_what_for(api: Api, live: Any, nodes: Any) -> None:
    live["tasks"][1] |= {"state": "ready", "node": None}
    waiting = {"kind": "capacity", "text": "", "tasks": [], "nodes": []}
    line = {"state": "ready", "waiting": waiting, "sentence": "train waits for room on quick: it needs 1 CPU."}
    text = drawn(live, nodes, explained(api, **line))
    (row,) = [" ".join(line.split()) for line in text.splitlines() if line.startswith("train")]
    assert row == "train ready - waits for room on quick"


def test_of_very_many_tasks_those_that_run_are_shown_and_the_rest_counted(api: Api, live: Any, nodes: Any) -> None:
    train = live["tasks"].pop()
    (greet,) = live["tasks"]
    live["tasks"] = [{**greet, "key": f"part-{number}"} for number in range(40)] + [train]
    text = drawn(live, nodes, explained(api))
    assert "train" in text
    assert "and 16 more" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_frame_is_no_wider_than_the_terminal_whatever_things_are_called(
    api: Api, live: Any, nodes: Any, width: int
) -> None:
    name = "x" * 70
    live["tasks"][0] |= {"key": name, "node": "a-node-of-a-very-long-name-in-a-far-zone"}
    nodes[0]["name"] = "n" * 40
    drawn(live, nodes, explained(api, sentence="train " + "waits and " * 60), width=width)


def test_what_runs_counts_until_now(live: Any) -> None:
    train = so_far(live)["tasks"][1]["attempts"][0]
    assert train["state"] == "succeeded"
    now = datetime.now(UTC)  # noqa: TID251 - what is drawn is the present
    assert abs((now - datetime.fromisoformat(train["finished_at"])).total_seconds()) < 5
    assert live["tasks"][1]["attempts"][0]["finished_at"] is None


def event(number: int, kind: str, task: str | None = None, **data: Any) -> dict[str, Any]:
    return {"id": number, "run_id": RUN, "kind": kind, "at": "2026-01-31T12:00:01Z", "task": task, "data": data}


def test_in_a_pipe_each_event_of_a_task_is_a_line_and_the_end_too(api: Api, said: Said) -> None:
    first = [event(1, "run-submitted"), event(2, "task-started", "greet", node="quick")]
    rest = [event(3, "task-lost", "greet", reason="quick went away"), event(4, "task-succeeded", "greet")]
    running = {**api.example(DETAIL), "state": "running"}
    api.says(DETAIL, running, running, api.example(DETAIL))
    api.says(EVENTS, {"events": first, "next": None}, {"events": rest, "next": None})
    assert said("watch", RUN).splitlines() == [
        "12:00:01  greet started on quick",
        "12:00:01  greet was lost; it is placed again (quick went away)",
        "12:00:01  greet succeeded",
        f"run {RUN} succeeded in 4.4 s",
    ]
    assert [one["after"] for one in api.queries(f"/api/v1/runs/{RUN}/events")] == ["0", "2"]


def test_in_a_pipe_what_a_run_waits_for_is_told_once_until_that_changes(
    api: Api, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlopx.cli.following.WAITS_EVERY", 2)
    waiting = {"kind": "capacity", "text": "", "tasks": [], "nodes": ["quick"]}
    first, later = ({**api.example(EXPLAIN), "sentence": f"churn waits, {more}"} for more in ("for 9 s", "for 5 s"))
    for found in (first, later):
        found["tasks"][0]["waiting"] = waiting
    elsewhere = copy.deepcopy(later)
    elsewhere["tasks"][0]["waiting"]["nodes"] = ["slow"]
    waits = {**api.example(DETAIL), "state": "waiting"}
    api.says(DETAIL, *[waits] * 7, api.example(DETAIL))
    api.says(EXPLAIN, first, later, elsewhere)
    api.says(EVENTS, {"events": [], "next": None})
    at = first["at"][11:19]
    assert said("watch", RUN).splitlines() == [
        f"{at}  churn waits, for 9 s",
        f"{at}  churn waits, for 5 s",
        f"run {RUN} succeeded in 4.4 s",
    ]


def test_a_long_story_is_told_to_its_end_though_the_run_is_over(api: Api, said: Said) -> None:
    pages = [{"events": [event(n, "task-started", f"t{n}", node="a")], "next": n if n < 3 else None} for n in (1, 2, 3)]
    api.says(EVENTS, *pages)
    assert [line.split()[1] for line in said("watch", RUN).splitlines()] == ["t1", "t2", "t3", RUN]


def test_as_json_every_event_is_a_line_and_the_run_the_last(api: Api, said: Said) -> None:
    api.says(EVENTS, {"events": [event(1, "run-submitted")], "next": None})
    first, last = (json.loads(line) for line in said("watch", RUN, "--json").splitlines())
    assert first["kind"] == "run-submitted"
    assert last["run"]["state"] == "succeeded"
    assert "tasks" not in last["run"]


def test_a_run_that_fails_ends_the_command_with_five_and_says_what_to_do(api: Api, mlopx_command: Command) -> None:
    detail = {**api.example(DETAIL), "state": "failed", "error": "no node can run it", "tasks": []}
    api.says(DETAIL, detail)
    ended = mlopx_command("watch", RUN)
    assert ended.exit_code == 5
    assert f"error: run {RUN} failed: no node can run it\n  hint: `mlopx show {RUN}`" in ended.stderr
