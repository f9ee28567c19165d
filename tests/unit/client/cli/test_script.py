"""A definition file as a script: `Pipeline.main` submits, follows, or only prints, and ends like the command does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mlopx import component, pipeline

Api = Any
RUN = "churn-vpud6est2e"


@component
def greet(name: str) -> str:
    return f"hello {name}"


@pipeline(description="Greets.")
def hello(name: str = "world", times: int = 1):
    greet(name=name)


@pytest.fixture
def main(api: Api) -> Callable[..., int]:
    """Runs the file with these words; its exit code."""

    def run(*words: str) -> int:
        try:
            hello.main(list(words))
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return run


def form(api: Api) -> str:
    """What was uploaded."""
    (asked,) = [one for one in api.asked if one.url.path == "/submit/"]
    return str(asked.content.decode())


def test_it_submits_and_says_which_run_and_where(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("-p", "name=moon") == 0
    assert capsys.readouterr().out == (f"submitted hello as run {RUN}\n  http://127.0.0.1:8000/ui/#/runs/{RUN}\n")
    assert '{"name": "moon"}' in form(api)


def test_what_the_server_remarks_is_passed_on(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    api.says("POST /submit/", {**api.example("POST /submit/"), "notes": ["it is being prepared"]})
    assert main() == 0
    assert "\n  note: it is being prepared\n" in capsys.readouterr().out


def test_every_option_is_sent(api: Api, main: Callable[..., int], tmp_path: Any) -> None:
    (tmp_path / "given.json").write_text('{"name": "file", "times": 2}')
    words = ["--params", str(tmp_path / "given.json"), "-p", "name=pair", "--priority", "3", "--project", "ads"]
    assert main(*words, "--deadline", "2h", "--no-cache") == 0
    sent = form(api)
    assert '{"name": "pair", "times": 2}' in sent
    options = json.loads(sent.split('name="options"\r\n\r\n')[1].split("\r\n")[0])
    assert options == {"priority": 3, "project": "ads", "is_caching": False, "deadline_seconds": 7200}


def test_with_wait_it_follows_the_run_to_its_end(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--wait") == 0
    assert capsys.readouterr().out.endswith(f"run {RUN} succeeded in 4.4 s\n")


def test_a_run_that_fails_ends_with_five(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    detail = api.example("GET /api/v1/runs/{run_id}")
    api.says("GET /api/v1/runs/{run_id}", {**detail, "state": "failed", "error": "no node", "tasks": []})
    assert main("--wait") == 5
    assert f"error: run {RUN} failed: no node" in capsys.readouterr().err


def test_a_dry_run_prints_the_spec_and_asks_nobody(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "hello"
    assert api.asked == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-p", "times=often"), "error: parameter 'times' expects int, not 'often'"),
        (("-p", "colour=red"), "error: the pipeline has no parameter 'colour'\n  hint: it has: name, times"),
        (("-p", "colour=red", "--dry-run"), "error: the pipeline has no parameter 'colour'"),
        (("--params", "gone.json"), "error: the parameter file gone.json cannot be read"),
        (("--deadline", "soon"), "error: the deadline: 'soon' is not a time span"),
    ],
)
def test_what_makes_no_sense_ends_with_two_and_is_not_sent(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert main(*words) == 2
    assert capsys.readouterr().err.startswith(says)
    assert api.asked == []


def test_what_the_server_refuses_ends_with_four(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    api.says("POST /submit/", {"detail": "no node can run greet", "hint": "ask for less"}, status=422)
    assert main() == 4
    assert capsys.readouterr().err == "error: no node can run greet\n  hint: ask for less\n"


def test_who_stops_waiting_is_told_that_the_run_goes_on(
    api: Api, main: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", stop)
    api.says("GET /api/v1/runs/{run_id}", {**api.example("GET /api/v1/runs/{run_id}"), "state": "running"})
    assert main("--wait") == 130
    assert capsys.readouterr().err == "\nstopped waiting; the run goes on\n"


def test_its_help_names_the_pipeline_and_what_it_does(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--help") == 0
    assert "Submit pipeline hello. Greets." in " ".join(capsys.readouterr().out.split())
