"""What the command `mlopx` answers to words, files and settings that cannot be meant: a sentence, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlopx import component, pipeline
from mlopx.cli.app import app
from mlopx.spec import to_json

NESTED = "[" * 100_000
FILE = "spec.json"


@component
def step(a: float) -> float:
    return a


@pipeline
def flow(a: float = 1.0):
    step(a=a)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLOPX_URL", "http://127.0.0.1:9")
    Path(FILE).write_text(to_json(flow.build()))
    Path("nested.json").write_text(NESTED)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["submit", FILE, "--deadline", "soon"], "the deadline: 'soon' is not a time span such as 90"),
        (["schedule", FILE, "--cron", "* * * * *", "--deadline", "-1"], "the deadline: '-1' is not a time span"),
        (["schedule", FILE, "--cron", "* * * * *", "--late-after", "1h 2"], "--late-after: '1h 2' is not a time span"),
        (["submit", FILE, "-p", f"a={NESTED}"], "parameter 'a' expects float, not '[[["),
        (["submit", FILE, "-p", NESTED], "is not NAME=VALUE"),
        (["submit", FILE, "--params", "nested.json"], "the parameter file nested.json is not JSON"),
        (["submit", "nested.json"], "this is not a pipeline spec: it cannot be read as JSON"),
        (["build", FILE, "-o", "."], ". cannot be written: Is a directory"),
    ],
)
def test_the_command_says_what_is_wrong(words: list[str], said: str) -> None:
    ended = CliRunner().invoke(app, words)
    assert isinstance(ended.exception, SystemExit), repr(ended.exception)[:300]
    assert ended.exit_code == 2
    assert said in ended.output
    assert len(ended.output) < 1000


@pytest.mark.parametrize("variable", ["MLOPX_TOKEN", "MLOPX_KFP_TOKEN", "MLOPX_KFP_COOKIE"])
@pytest.mark.parametrize("value", ["sécret", "sec\nret"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    ended = CliRunner().invoke(app, ["runs"])
    assert ended.exit_code == 2, repr(ended.exception)
    assert "holds a character that no header can carry" in ended.output
    assert "ret" not in ended.output.replace("carry", "")
