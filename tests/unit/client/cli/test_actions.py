"""The commands that change something: what is sent to the server, and what is said of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
RUN, NEW = "churn-vpud6est2e", "churn-new"


def a_new_run(api: Api, operation: str, **more: Any) -> None:
    """The answer to an operation names another run."""
    found = api.example(operation)
    api.says(operation, {**found, "run": {**found["run"], "id": NEW}, **more})


def test_a_submission_says_which_run_it_became_and_where_to_look(api: Api, said: Said, file: Path) -> None:
    api.says("POST /submit/", {**api.example("POST /submit/"), "notes": ["the strategy is being prepared " * 4]})
    lines = said("submit", str(file)).splitlines()
    assert lines[0] == f"submitted flow as run {RUN}"
    assert lines[1].startswith("  note: the strategy is being prepared")
    assert lines[-1] == f"  http://127.0.0.1:8000/ui/#/runs/{RUN}"


def test_a_submission_as_json_is_the_run_and_its_page(said: Said, file: Path) -> None:
    assert json.loads(said("submit", str(file), "--json")) == {
        "run_id": RUN,
        "link": f"http://127.0.0.1:8000/ui/#/runs/{RUN}",
    }


def test_one_that_waits_as_json_gets_the_run_at_its_end(said: Said, file: Path) -> None:
    assert json.loads(said("submit", str(file), "--wait", "--json"))["state"] == "succeeded"


def test_a_spec_is_written_where_it_is_asked_for(api: Api, said: Said, file: Path, tmp_path: Path) -> None:
    assert said("build", str(file), columns=200) == file.read_text()
    target = tmp_path / "out.json"
    assert said("build", str(file), "-o", str(target), columns=200) == f"wrote {target}\n"
    assert target.read_text() == file.read_text()
    assert api.asked == []


def test_a_spec_that_cannot_be_written_is_told(mlopx_command: Command, file: Path, tmp_path: Path) -> None:
    ended = mlopx_command("build", str(file), "-o", str(tmp_path / "none" / "out.json"))
    assert ended.exit_code == 2
    assert "cannot be written: No such file or directory" in ended.stderr


def test_cancelling_passes_the_reason_on_and_says_what_becomes_of_the_run(api: Api, said: Said) -> None:
    assert said("cancel", RUN, "--reason", "wrong data") == f"run {RUN} is cancelling\n"
    assert api.bodies(f"/api/v1/runs/{RUN}/cancel") == [{"reason": "wrong data"}]


def test_what_is_offered_is_taken_by_node_option_or_both(api: Api, said: Said) -> None:
    assert (
        said("accept", RUN, "train", "--node", "quick") == "train goes to quick with option cpu; 41 s are predicted.\n"
    )
    said("accept", RUN, "train", "--option", "cpu")
    assert api.bodies(f"/api/v1/runs/{RUN}/accept") == [
        {"task": "train", "option": None, "node": "quick"},
        {"task": "train", "option": "cpu", "node": None},
    ]


def test_accepting_nothing_is_asked_back(api: Api, mlopx_command: Command) -> None:
    ended = mlopx_command("accept", RUN, "train")
    assert (ended.exit_code, api.asked) == (2, [])
    assert "accept what?\n  hint: say --option NAME, --node NAME, or both" in ended.stderr


def test_an_offer_that_is_gone_is_told_in_the_servers_words(api: Api, mlopx_command: Command) -> None:
    api.says("POST /api/v1/runs/{run_id}/accept", {"detail": "quick has no room any more"}, status=409)
    ended = mlopx_command("accept", RUN, "train", "--node", "quick")
    assert (ended.exit_code, ended.stderr) == (4, "error: quick has no room any more\n")


def test_a_retry_names_the_new_run_and_sends_new_code_where_it_is_given(api: Api, said: Said, file: Path) -> None:
    a_new_run(api, "POST /api/v1/runs/{run_id}/retry")
    text = said("retry", RUN, "--from", "train", "--file", str(file))
    assert text == f"retrying {RUN} as run {NEW}\n  http://127.0.0.1:8000/ui/#/runs/{NEW}\n"
    (body,) = api.bodies(f"/api/v1/runs/{RUN}/retry")
    assert (body["from_task"], body["spec"]["name"]) == ("train", "flow")


def test_a_new_placement_is_accepted_and_the_new_run_named(api: Api, said: Said) -> None:
    a_new_run(api, "POST /api/v1/runs/{run_id}/replace")
    assert said("replace", RUN).splitlines()[0] == f"run {RUN} is being stopped; run {NEW} takes its place"


def test_an_archived_run_is_said_to_be(said: Said) -> None:
    assert said("archive", RUN) == f"run {RUN} is archived on its platform\n"


@pytest.mark.parametrize("words", [("cancel", RUN), ("archive", RUN), ("accept", RUN, "train", "--node", "a")])
def test_programs_get_the_answer_as_json(said: Said, words: tuple[str, ...]) -> None:
    assert json.loads(said(*words, "--json"))
